/// Handlers of the creator dashboard.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

// csrf.cpp
task<result<response>> get_csrf(context& ctx);

// avatar.cpp
task<result<response>> post_user_avatar(context& ctx);

// objects.cpp
task<result<response>> get_avatar_object(context& ctx);
task<result<response>> get_ai_object(context& ctx);

// billing.cpp
task<result<response>> get_billing_summary(context& ctx);

// referrals.cpp
task<result<response>> get_referral_summary(context& ctx);
task<result<response>> post_referral(context& ctx);

// dashboard.cpp
task<result<response>> get_activity(context& ctx);
task<result<response>> get_projects(context& ctx);
task<result<response>> get_notifications(context& ctx);
task<result<response>> get_stats(context& ctx);
task<result<response>> get_quick_actions(context& ctx);
task<result<response>> get_recommendations(context& ctx);
task<result<response>> post_perform_action(context& ctx);

// newsletter.cpp
task<result<response>> post_newsletter_subscribe(context& ctx);
task<result<response>> get_newsletter_confirm(context& ctx);
task<result<response>> post_newsletter_unsubscribe(context& ctx);

// checkout.cpp
task<result<response>> post_billing_credits(context& ctx);
task<result<response>> post_billing_session(context& ctx);

// sync.cpp
task<result<response>> get_billing_sync(context& ctx);

// stripe_webhook.cpp
task<result<response>> post_hub_stripe_webhook(context& ctx);

} // namespace binnacle::http
