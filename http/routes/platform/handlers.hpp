/// Handlers of the usage-billed platform.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/base/errors.hpp"
#include "config/base/json.hpp"
#include "config/prices.hpp"

#include <optional>
#include <string>

namespace binnacle::http {

// usage.cpp, billing.cpp, pricing.cpp
task<result<response>> get_usage(context& ctx);
task<result<response>> get_billing(context& ctx);
task<result<response>> get_pricing(context& ctx);

// payment_method.cpp
task<result<response>> post_payment_method(context& ctx);

// subscriptions.cpp
task<result<response>> post_fix_missing_subscriptions(context& ctx);
task<result<response>> get_admin_billing(context& ctx);
task<result<response>> post_admin_billing(context& ctx);

// collection.cpp
task<result<response>> collect_opencost(context& ctx);
task<result<response>> post_admin_collect(context& ctx);

// meters.cpp
task<result<response>> sync_stripe(context& ctx);

// usage_health.cpp
task<result<response>> get_check_opencost(context& ctx);
task<result<response>> get_check_database(context& ctx);
task<result<response>> get_timers(context& ctx);

// explanation.cpp
task<result<response>> get_explanation(context& ctx);
task<result<response>> get_user_explanation(context& ctx);
task<result<response>> get_credits_explanation(context& ctx);
task<result<response>> get_user_credits_explanation(context& ctx);

// reconciliation.cpp
task<result<response>> get_reconciliation(context& ctx);

// user_usage.cpp
task<result<response>> get_user_usage(context& ctx);

// hopsworks_info.cpp, sync_username.cpp, project_roles.cpp
task<result<response>> get_hopsworks_info(context& ctx);
task<result<response>> post_sync_username(context& ctx);
task<result<response>> get_project_roles(context& ctx);
task<result<response>> post_project_role(context& ctx);
task<result<response>> put_project_roles(context& ctx);
task<result<response>> cron_sync_projects(context& ctx);

// clusters.cpp
task<result<response>> get_clusters(context& ctx);
task<result<response>> post_cluster(context& ctx);
task<result<response>> put_cluster(context& ctx);
task<result<response>> post_kubeconfig(context& ctx);
task<result<response>> post_test_opencost(context& ctx);

// team.cpp
task<result<response>> get_team_members(context& ctx);
task<result<response>> delete_team_member(context& ctx);
task<result<response>> patch_team_member(context& ctx);
task<result<response>> get_team_invites(context& ctx);
task<result<response>> post_team_invite(context& ctx);
task<result<response>> delete_team_invite(context& ctx);
task<result<response>> get_accept_invite(context& ctx);
task<result<response>> post_team_join(context& ctx);

// mail.cpp
task<result<response>> get_mails(context& ctx);

// stripe_webhook.cpp, stripe_events.cpp
task<result<response>> post_stripe_webhook(context& ctx);
task<result<response>> get_stripe_events(context& ctx);
task<result<response>> get_stripe_event(context& ctx);
task<result<response>> post_stripe_event_replay(context& ctx);

// login.cpp
task<result<response>> get_login(context& ctx);
task<result<response>> get_signup(context& ctx);
task<result<response>> get_callback(context& ctx);
task<result<response>> get_logout(context& ctx);

// admin_users.cpp, audit.cpp
task<result<response>> get_admin_users(context& ctx);
task<result<response>> post_admin_user(context& ctx);
task<result<response>> delete_admin_user(context& ctx);
task<result<response>> get_audit(context& ctx);

// auth0_webhook.cpp, corporate.cpp
task<result<response>> post_auth0_webhook(context& ctx);
task<result<response>> post_validate_corporate(context& ctx);
task<result<response>> get_corporate_info(context& ctx);

/// 500 {"error": what, "message": why}: `why` is the public text of the cause, for an admin.
inline fault failed_at(std::string what, const fault& cause) {
  return {errc::internal, std::move(what), std::string{cause.message()}, cause.detail};
}

/// The rates of a price list, by their names in GET /api/pricing.
json::object rates_of(const price_list& prices);

/// A time, or null.
json::value time_or_null(const std::optional<time_point>& t);

/// "2MB" below 0.1 GB, else "50.25GB".
std::string storage_text(decimal gigabytes);

} // namespace binnacle::http
