/// Rate-limit classes: every class that a surface's contract names, with its default.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace binnacle {

enum class limit_class : std::uint8_t {
  none = 0,
  hub_api,
  hub_avatar_upload,
  hub_newsletter_subscribe,
  hub_newsletter_unsubscribe,
  hub_stripe_webhook,
  hub_sensitive_action,
  assinante_read,
  assinante_write,
  assinante_sensitive,
  gateway_setup,
  gateway_login,
  gateway_change_password,
  gateway_custom_providers,
  gateway_fetch_models,
  gateway_sync_tokens,
  gateway_api_keys,
  platform_default,
  platform_billing,
  platform_webhook,
  platform_team_invite,
  developer_auth,
  developer_refusals,
  login_failures,
  unknown_cookies,
  idempotency_keys,
  count_
};

inline constexpr std::size_t limit_class_count = static_cast<std::size_t>(limit_class::count_);

/// At most `max` admissions in any window of length `window`.
struct rate_limit {
  std::uint32_t max = 0;
  std::chrono::seconds window{0};
};

struct limit_row {
  limit_class name;
  std::string_view key;    // in the configuration: limits.<key>; in RateLimit-Policy: its last word
  std::string_view policy; // name within its surface
  rate_limit preset;
};

inline constexpr std::array limit_rows{
    limit_row{limit_class::none, "none", "none", {}},
    limit_row{limit_class::hub_api, "hub_api", "api", {30, std::chrono::seconds{60}}},
    limit_row{limit_class::hub_avatar_upload,
              "hub_avatar_upload",
              "avatarUpload",
              {5, std::chrono::seconds{60}}},
    limit_row{limit_class::hub_newsletter_subscribe,
              "hub_newsletter_subscribe",
              "newsletterSubscribe",
              {10, std::chrono::seconds{60}}},
    limit_row{limit_class::hub_newsletter_unsubscribe,
              "hub_newsletter_unsubscribe",
              "newsletterUnsubscribe",
              {10, std::chrono::seconds{60}}},
    limit_row{limit_class::hub_stripe_webhook,
              "hub_stripe_webhook",
              "stripeWebhook",
              {100, std::chrono::seconds{60}}},
    limit_row{limit_class::hub_sensitive_action,
              "hub_sensitive_action",
              "sensitiveAction",
              {5, std::chrono::seconds{3600}}},
    limit_row{
        limit_class::assinante_read, "assinante_read", "read", {200, std::chrono::seconds{900}}},
    limit_row{
        limit_class::assinante_write, "assinante_write", "write", {50, std::chrono::seconds{900}}},
    limit_row{limit_class::assinante_sensitive,
              "assinante_sensitive",
              "sensitive",
              {10, std::chrono::seconds{900}}},
    limit_row{limit_class::gateway_setup, "gateway_setup", "setup", {3, std::chrono::seconds{900}}},
    limit_row{
        limit_class::gateway_login, "gateway_login", "login", {10, std::chrono::seconds{900}}},
    limit_row{limit_class::gateway_change_password,
              "gateway_change_password",
              "change-password",
              {5, std::chrono::seconds{900}}},
    limit_row{limit_class::gateway_custom_providers,
              "gateway_custom_providers",
              "custom-providers",
              {10, std::chrono::seconds{60}}},
    limit_row{limit_class::gateway_fetch_models,
              "gateway_fetch_models",
              "custom-providers-fetch-models",
              {10, std::chrono::seconds{60}}},
    limit_row{limit_class::gateway_sync_tokens,
              "gateway_sync_tokens",
              "config-sync-tokens",
              {5, std::chrono::seconds{60}}},
    limit_row{limit_class::gateway_api_keys,
              "gateway_api_keys",
              "api-keys",
              {10, std::chrono::seconds{60}}},
    limit_row{limit_class::platform_default,
              "platform_default",
              "default",
              {60, std::chrono::seconds{60}}},
    limit_row{limit_class::platform_billing,
              "platform_billing",
              "billing",
              {20, std::chrono::seconds{60}}},
    limit_row{limit_class::platform_webhook,
              "platform_webhook",
              "webhook",
              {100, std::chrono::seconds{60}}},
    limit_row{limit_class::platform_team_invite,
              "platform_team_invite",
              "team-invite",
              {5, std::chrono::seconds{3600}}},
    limit_row{
        limit_class::developer_auth, "developer_auth", "auth", {10, std::chrono::seconds{900}}},
    // API keys and refresh tokens that are no good; good ones are not counted.
    limit_row{limit_class::developer_refusals,
              "developer_refusals",
              "refusals",
              {100, std::chrono::seconds{60}}},
    // Of no route: failed logins per user name, cookies nobody has per address, and the keys of
    // one caller, which are kept for so long.
    limit_row{limit_class::login_failures,
              "login_failures",
              "login-failures",
              {10, std::chrono::seconds{900}}},
    limit_row{limit_class::unknown_cookies,
              "unknown_cookies",
              "unknown-cookies",
              {60, std::chrono::seconds{60}}},
    limit_row{limit_class::idempotency_keys,
              "idempotency_keys",
              "idempotency-keys",
              {10'000, std::chrono::seconds{86'400}}},
};
static_assert(limit_rows.size() == limit_class_count, "one row per limit class");

using limit_table = std::array<rate_limit, limit_class_count>;

} // namespace binnacle
