#include "http/routes/table.hpp"

#include "http/routes/assinante/admin_handlers.hpp"
#include "http/routes/assinante/handlers.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/gateway/handlers.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/operations/handlers.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

using enum method;
using enum limit_class;
using persistence::topic;
using who = access;

/// 401 before 405.
constexpr bool access_first = true;
/// Nothing is changed.
constexpr bool only_asks = true;
/// Stripe's events are some kilobytes long; an expanded invoice may be some hundred.
constexpr std::size_t longest_webhook = 1'048'576;
/// The largest picture, 5 MiB, is refused by its handler; this bounds the form around it.
constexpr std::size_t longest_upload = 6 * 1'048'576;

// Method, path, surface, who may call, limit class, what a browser must prove, handler, and for
// summaries until when they are kept. platform.md names no check of the origin; a browser's request
// from elsewhere is refused all the same where a cookie would do harm.
// clang-format off
constexpr route routes[]{
    {get,  "/api/csrf",                      &hub, who::anyone, hub_api,              csrf::none,             get_csrf},
    {get,  "/api/dashboard/billing-summary", &hub, who::user,   hub_api,              csrf::none,             get_billing_summary, kept_until(topic::billing, topic::identity)},
    {get,  "/api/dashboard/referral-summary", &hub, who::user,  hub_api,              csrf::none,             get_referral_summary},
    {post, "/api/dashboard/referral",        &hub, who::user,   hub_api,              csrf::origin_and_token, post_referral},
    {get,  "/api/dashboard/activity",        &hub, who::user,   hub_api,              csrf::none,             get_activity},
    {get,  "/api/dashboard/projects",        &hub, who::user,   hub_api,              csrf::none,             get_projects},
    {get,  "/api/dashboard/notifications",   &hub, who::user,   hub_api,              csrf::none,             get_notifications},
    {get,  "/api/dashboard/stats",           &hub, who::user,   hub_api,              csrf::none,             get_stats},
    {get,  "/api/dashboard/quick-actions",   &hub, who::anyone, hub_api,              csrf::none,             get_quick_actions},
    {get,  "/api/dashboard/recommendations", &hub, who::user,   hub_api,              csrf::none,             get_recommendations},
    {post, "/api/dashboard/perform-action",  &hub, who::user,   hub_api,              csrf::origin,           post_perform_action},
    {post, "/api/billing/credits",           &hub, who::user,   hub_api,              csrf::origin_and_token, post_billing_credits},
    {get,  "/api/billing/sync",              &hub, who::user,   hub_api,              csrf::none,             get_billing_sync},
    {post, "/api/billing/session",           &hub, who::user,   hub_sensitive_action, csrf::origin_and_token, post_billing_session},

    {post, "/api/newsletter/subscribe",   &hub, who::stranger, hub_newsletter_subscribe,   csrf::origin, post_newsletter_subscribe},
    {get,  "/api/newsletter/confirm",     &hub, who::stranger, none,                       csrf::none,   get_newsletter_confirm},
    {post, "/api/newsletter/unsubscribe", &hub, who::stranger, hub_newsletter_unsubscribe, csrf::origin, post_newsletter_unsubscribe},
    {post, "/api/billing/stripe-webhook", &hub, who::signer, hub_stripe_webhook, csrf::none, post_hub_stripe_webhook, {}, longest_webhook},

    {post, "/api/user/avatar", &hub, who::user,   hub_avatar_upload, csrf::origin_and_token, post_user_avatar, {}, longest_upload},
    {get,  "/r2/{path...}",    &hub, who::anyone, none,              csrf::none,             get_avatar_object},
    {get,  "/r2-ai/{path...}", &hub, who::anyone, none,              csrf::none,             get_ai_object},

    {get,  "/api/setup",                &gateway, who::anyone, none,                    csrf::none,              get_setup},
    {post, "/api/setup",                &gateway, who::stranger, gateway_setup,           csrf::origin_if_present, post_setup},
    {post, "/api/auth/login",           &gateway, who::stranger, gateway_login,           csrf::origin_if_present, post_login},
    {post, "/api/auth/logout",          &gateway, who::anyone, none,                    csrf::origin_if_present, post_logout},
    {get,  "/api/auth/me",              &gateway, who::user,   none,                    csrf::none,              get_me},
    {post, "/api/auth/change-password", &gateway, who::user,   gateway_change_password, csrf::origin_if_present, post_change_password},

    {get,  "/api/auth/login",              &platform, who::stranger, platform_default, csrf::none, get_login},
    {get,  "/api/auth/signup",             &platform, who::stranger, platform_default, csrf::none, get_signup},
    {get,  "/api/auth/callback",           &platform, who::stranger, platform_default, csrf::none, get_callback},
    {get,  "/api/auth/logout",             &platform, who::stranger, platform_default, csrf::none, get_logout},
    {post, "/api/auth/validate-corporate", &platform, who::stranger, platform_default, csrf::none, post_validate_corporate},
    {post, "/api/webhooks/auth0",          &platform, who::auth0,    platform_webhook, csrf::none, post_auth0_webhook, {}, 0, true},
    {get,  "/api/user/corporate-info",     &platform, who::user,     platform_default, csrf::none, get_corporate_info},
    {get,     "/api/admin/users", &platform, who::admin, platform_default, csrf::none,              get_admin_users},
    {post,    "/api/admin/users", &platform, who::admin, platform_default, csrf::origin_if_present, post_admin_user},
    {delete_, "/api/admin/users", &platform, who::admin, platform_default, csrf::origin_if_present, delete_admin_user},
    {get,     "/api/admin/audit", &platform, who::admin, platform_default, csrf::none,              get_audit},

    {get,  "/api/usage",                             &platform, who::user,   platform_default, csrf::none,              get_usage,   kept_until(topic::usage)},
    {get,  "/api/billing",                           &platform, who::user,   platform_billing, csrf::none,              get_billing},
    {post, "/api/billing/payment-method",            &platform, who::user,   platform_billing, csrf::origin_if_present, post_payment_method},
    {get,  "/api/billing/explain",                   &platform, who::user,   platform_billing, csrf::none,              get_explanation},
    {get,  "/api/billing/explain/credits",           &platform, who::user,   platform_billing, csrf::none,              get_credits_explanation},
    {get,  "/api/admin/billing/explain",             &platform, who::admin,  platform_default, csrf::none,              get_user_explanation},
    {get,  "/api/admin/billing/explain/credits",     &platform, who::admin,  platform_default, csrf::none,              get_user_credits_explanation},
    {get,  "/api/admin/billing/reconciliation",      &platform, who::admin,  platform_default, csrf::none,              get_reconciliation},
    {get,  "/api/pricing",                           &platform, who::anyone, platform_default, csrf::none,              get_pricing, kept_until(topic::prices)},
    {get,  "/api/usage/collect-opencost",            &platform, who::cron,   none,             csrf::none,              collect_opencost},
    {post, "/api/usage/collect-opencost",            &platform, who::cron,   none,             csrf::none,              collect_opencost},
    {get,  "/api/billing/sync-stripe",               &platform, who::cron,   none,             csrf::none,              sync_stripe},
    {post, "/api/billing/sync-stripe",               &platform, who::cron,   none,             csrf::none,              sync_stripe},
    {get,  "/api/admin/usage/check-opencost",        &platform, who::admin,  platform_default, csrf::none,              get_check_opencost},
    {get,  "/api/admin/usage/check-database",        &platform, who::admin,  platform_default, csrf::none,              get_check_database},
    {post, "/api/admin/usage/collect",               &platform, who::admin,  platform_default, csrf::origin_if_present, post_admin_collect},
    {get,  "/api/admin/usage/{userId}",              &platform, who::admin,  platform_default, csrf::none,              get_user_usage},
    {get,  "/api/user/hopsworks-info",               &platform, who::user,   platform_default, csrf::none,              get_hopsworks_info},
    {get,  "/api/cron/sync-projects",                &platform, who::cron,   none,             csrf::none,              cron_sync_projects},
    {post, "/api/cron/sync-projects",                &platform, who::cron,   none,             csrf::none,              cron_sync_projects},
    {post, "/api/admin/sync-username",               &platform, who::admin,  platform_default, csrf::origin_if_present, post_sync_username},
    {get,  "/api/admin/project-roles",               &platform, who::admin,  platform_default, csrf::none,              get_project_roles},
    {post, "/api/admin/project-roles",               &platform, who::admin,  platform_default, csrf::origin_if_present, post_project_role},
    {put,  "/api/admin/project-roles",               &platform, who::admin,  platform_default, csrf::origin_if_present, put_project_roles},
    {get,  "/api/admin/clusters",                    &platform, who::admin,  platform_default, csrf::none,              get_clusters},
    {post, "/api/admin/clusters",                    &platform, who::admin,  platform_default, csrf::origin_if_present, post_cluster},
    {put,  "/api/admin/clusters",                    &platform, who::admin,  platform_default, csrf::origin_if_present, put_cluster},
    {post, "/api/admin/clusters/update-kubeconfig",  &platform, who::admin,  platform_default, csrf::origin_if_present, post_kubeconfig},
    {post, "/api/admin/test-opencost",               &platform, who::admin,  platform_default, csrf::origin_if_present, post_test_opencost},
    {post, "/api/admin/fix-missing-subscriptions",   &platform, who::admin,  platform_billing, csrf::origin_if_present, post_fix_missing_subscriptions},
    {get,  "/api/admin/billing",                     &platform, who::admin,  platform_billing, csrf::none,              get_admin_billing},
    {post, "/api/admin/billing",                     &platform, who::admin,  platform_billing, csrf::origin_if_present, post_admin_billing},
    {post, "/api/webhooks/stripe",                   &platform, who::signer, platform_webhook, csrf::none,             post_stripe_webhook, {}, longest_webhook},
    {get,  "/api/admin/billing/events",              &platform, who::admin,  platform_default, csrf::none,              get_stripe_events},
    {get,  "/api/admin/billing/events/{id}",         &platform, who::admin,  platform_default, csrf::none,              get_stripe_event},
    {post, "/api/admin/billing/events/{id}/replay",  &platform, who::admin,  platform_default, csrf::origin_if_present, post_stripe_event_replay},
    {get,     "/api/team/members",       &platform, who::user,   platform_default, csrf::none,              get_team_members,   {}, 0, access_first},
    {delete_, "/api/team/members",       &platform, who::user,   platform_default, csrf::origin_if_present, delete_team_member, {}, 0, access_first},
    {patch,   "/api/team/members",       &platform, who::user,   platform_default, csrf::origin_if_present, patch_team_member,  {}, 0, access_first},
    {get,     "/api/team/invite",        &platform, who::user,   platform_default, csrf::none,              get_team_invites,   {}, 0, access_first},
    {post,    "/api/team/invite",        &platform, who::user,   platform_default, csrf::origin_if_present, post_team_invite,   {}, 0, access_first},
    {delete_, "/api/team/invite",        &platform, who::user,   platform_default, csrf::origin_if_present, delete_team_invite, {}, 0, access_first},
    {get,     "/api/team/accept-invite", &platform, who::anyone, platform_default, csrf::none,              get_accept_invite},
    {post,    "/api/team/join",          &platform, who::user,   platform_default, csrf::origin_if_present, post_team_join},
    {get,  "/api/admin/mail",                        &platform, who::admin,  platform_default, csrf::none,              get_mails},
    {get,  "/api/admin/timers",                      &platform, who::admin,  platform_default, csrf::none,              get_timers},

    // Where the surface has a host of its own.
    {get,  "/api/csrf",                   &assinante, who::anyone, assinante_read,      csrf::none,  get_csrf},
    {get,  "/api/assinante/subscription", &assinante, who::user,   assinante_read,      csrf::none,  get_subscription, kept_until(topic::subscriber, topic::identity)},
    {put,  "/api/assinante/subscription", &assinante, who::user,   assinante_write,     csrf::token, put_subscription},
    {get,  "/api/assinante/orders",       &assinante, who::user,   assinante_read,      csrf::none,  get_orders,       kept_until(topic::subscriber)},
    {get,  "/api/assinante/invoices",     &assinante, who::user,   assinante_read,      csrf::none,  get_invoices,     kept_until(topic::subscriber)},
    {get,  "/api/assinante/invoices/{id}/pdf", &assinante, who::user, assinante_read,    csrf::none,  get_invoice_pdf},
    {post, "/api/assinante/register",     &assinante, who::user,   assinante_sensitive, csrf::token, post_register},

    {get, "/api/admin/assinante/subscriptions",        &assinante_admin, who::admin, platform_default, csrf::none,               get_subscription_rows},
    {post,"/api/admin/assinante/subscriptions",        &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  post_subscription_row},
    {get, "/api/admin/assinante/subscriptions/{id}",   &assinante_admin, who::admin, platform_default, csrf::none,               get_subscription_row},
    {put, "/api/admin/assinante/subscriptions/{id}",   &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  put_subscription_row},
    {get, "/api/admin/assinante/orders",               &assinante_admin, who::admin, platform_default, csrf::none,               get_order_rows},
    {post,"/api/admin/assinante/orders",               &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  post_order_row},
    {get, "/api/admin/assinante/orders/{id}",          &assinante_admin, who::admin, platform_default, csrf::none,               get_order_row},
    {put, "/api/admin/assinante/orders/{id}",          &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  put_order_row},
    {get, "/api/admin/assinante/invoices",             &assinante_admin, who::admin, platform_default, csrf::none,               get_invoice_rows},
    {post,"/api/admin/assinante/invoices",             &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  post_invoice_row},
    {get, "/api/admin/assinante/invoices/{id}",        &assinante_admin, who::admin, platform_default, csrf::none,               get_invoice_row},
    {put, "/api/admin/assinante/invoices/{id}",        &assinante_admin, who::admin, platform_default, csrf::origin_if_present,  put_invoice_row},

    {get,     "/dashboard/projects/{projectId}/api-keys",                &developer, who::user,   none,               csrf::none, get_api_keys},
    {post,    "/dashboard/projects/{projectId}/api-keys",                &developer, who::user,   none,               csrf::none, post_api_key},
    {delete_, "/dashboard/projects/{projectId}/api-keys/{keyId}",        &developer, who::user,   none,               csrf::none, delete_api_key},
    {post,    "/dashboard/projects/{projectId}/api-keys/{keyId}/rotate", &developer, who::user,   none,               csrf::none, post_rotate_api_key},
    {post,    "/auth/verify-key",                                        &developer, who::signer, developer_refusals, csrf::none, post_verify_key, {}, 0, false, only_asks},
    {post,    "/auth/login",                                             &developer, who::stranger, developer_auth,   csrf::none, post_developer_login},
    {post,    "/auth/refresh",                                           &developer, who::signer, developer_refusals, csrf::none, post_refresh},
    {post,    "/auth/logout",                                            &developer, who::signer, developer_refusals, csrf::none, post_end_refresh},

    {get,     "/dashboard/projects",                            &developer, who::user, none, csrf::none, get_own_projects},
    {post,    "/dashboard/projects",                            &developer, who::user, none, csrf::none, post_project},
    {get,     "/dashboard/projects/{projectId}",                &developer, who::user, none, csrf::none, get_project},
    {patch,   "/dashboard/projects/{projectId}",                &developer, who::user, none, csrf::none, patch_project},
    {delete_, "/dashboard/projects/{projectId}",                &developer, who::user, none, csrf::none, delete_project},
    {get,     "/dashboard/projects/{projectId}/users",          &developer, who::user, none, csrf::none, get_project_users},
    {post,    "/dashboard/projects/{projectId}/users",          &developer, who::user, none, csrf::none, post_project_user},
    {patch,   "/dashboard/projects/{projectId}/users/{userId}", &developer, who::user, none, csrf::none, patch_project_user},
    {delete_, "/dashboard/projects/{projectId}/users/{userId}", &developer, who::user, none, csrf::none, delete_project_user},

    {get,  "/api/events",            &operations, who::user,   platform_default, csrf::none, get_events},
    {get,  "/.well-known/jwks.json", &operations, who::anyone, none,             csrf::none, get_jwks},
};

constexpr direct_route direct[]{
    {"/version",             get_version},
    {"/healthz",             get_healthz},
    {"/readyz",              get_readyz},
    {"/metrics",             get_metrics},
    {"/openapi.yaml",        get_document},
    {"/openapi.json",        get_document},
    {"/docs",                get_document},
    {"/docs/page.css",       get_document},
    {"/docs/page.js",        get_document},
    {"/docs/description.js", get_document},
    {"/docs/request.js",     get_document},
};
// clang-format on

} // namespace

std::span<const route> all_routes() { return routes; }
std::span<const direct_route> direct_routes() { return direct; }

} // namespace binnacle::http
