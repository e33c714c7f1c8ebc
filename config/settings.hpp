/// Settings: one struct per area with its defaults. `options_of` binds every field to its name,
/// environment variables, bounds and help text, so that the help, the README's table, validation
/// and loading come from the same line.
///
/// Precedence: default < TOML file (BINNACLE_CONFIG) < environment < command line. An unknown key,
/// a bad value or one out of bounds stops the start and is named. Every variable NAME also has
/// NAME_FILE, which reads the value from a file (trailing line ends removed).
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "config/limits.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace binnacle {

struct http_settings {
  std::string listen = "127.0.0.1:8080";
  std::int64_t threads = 0; // 0: one per core
  std::int64_t max_connections = 10'000;
  std::int64_t max_connections_per_address = 1'000;
  std::int64_t max_header_bytes = 16'384;
  std::int64_t max_header_count = 100;
  std::int64_t max_target_bytes = 8'192;
  std::int64_t max_body_bytes = 1'048'576; // a route may set less or more
  std::int64_t min_body_rate = 1'024;      // bytes per second, after the first 5 s
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds request_timeout{30'000}; // from the request's last byte to its answer
  std::chrono::milliseconds drain_timeout{30'000};   // at a graceful stop
  std::vector<std::string> trusted_proxies{};        // addresses or CIDR blocks
  std::vector<std::string> allowed_origins{};        // scheme://host[:port]
  std::string public_url{};                          // scheme://host[:port] users see; empty: Host
};

struct database_settings {
  secret url{}; // empty: the private cluster in data_dir
  std::int64_t connections = 4;
  std::int64_t queue = 1'000;
  std::chrono::milliseconds statement_timeout{10'000};
  std::chrono::milliseconds connect_timeout{2'000};
  std::string postgres_bin = "/usr/lib/postgresql/15/bin";
};

/// One trusted issuer of bearer tokens.
struct issuer_settings {
  std::string issuer{};   // exact `iss`
  std::string audience{}; // required member of `aud`
  std::string keys_url{}; // JWKS, or a JSON map kid -> PEM certificate
  std::string algorithm = "RS256";
  std::vector<std::string> surfaces{}; // empty: all
  bool require_auth_time = false;      // Firebase: auth_time must lie in the past

  bool operator==(const issuer_settings&) const = default;
};

struct identity_settings {
  bool local_accounts = true;
  std::string issuer = "binnacle"; // `iss` and `aud` of our own tokens
  std::chrono::milliseconds access_token_life{900'000};
  std::chrono::milliseconds refresh_token_life{7 * 24 * 3'600'000LL}; // unused for so long
  std::chrono::milliseconds session_life{7 * 24 * 3'600'000LL};
  bool secure_cookies = false; // adds Secure; on behind TLS
  std::chrono::milliseconds clock_leeway{60'000};
  std::vector<issuer_settings> issuers{};
  std::string firebase_project{}; // shorthand for the Firebase issuer
  std::string auth0_url{};        // shorthand for an Auth0 or OIDC issuer: its base URL
  std::string auth0_audience{};
  std::string auth0_client_id{}; // of browser logins; empty: there are none through a provider
  secret auth0_client_secret{};  // empty: a public client
  std::string auth0_base_url{};  // scheme://host[:port] it redirects back to; empty: public_url
  secret auth0_webhook_secret{}; // empty: POST /api/webhooks/auth0 answers 401
  std::chrono::milliseconds auth0_timeout{10'000}; // of one call to the provider

  /// Browsers log in through the provider at `auth0_url`.
  bool provider_logins() const { return !auth0_url.empty() && !auth0_client_id.empty(); }
  /// The name under which the identities of `auth0_url` are kept: `iss` of Auth0's tokens.
  std::string auth0_issuer() const;
};

struct session_settings {
  std::chrono::milliseconds idle{900'000};      // then the session is passivated
  std::chrono::milliseconds cache_idle{60'000}; // then its cached bodies go
  std::int64_t max_in_flight = 32;              // requests of one session at once
  std::int64_t max_listeners = 16;              // event streams of one user
  bool cache = true;
};

struct collector_settings {
  bool enabled = true;
  std::chrono::milliseconds interval{3'600'000};
  std::chrono::milliseconds jitter{30'000};
  std::int64_t backfill_hours = 72; // missed hours collected at start, at most
  std::chrono::milliseconds upstream_timeout{30'000};
  std::int64_t upstream_attempts = 4;
};

struct stripe_settings {
  secret secret_key{};      // empty: not configured
  secret webhook_secrets{}; // comma separated; two while one replaces the other
  std::string api_url = "https://api.stripe.com";
  std::int64_t rate = 80;                    // calls a second; Stripe allows 100 in live mode
  std::int64_t parallel = 16;                // calls at once
  std::int64_t queue = 10'000;               // calls that may wait
  std::chrono::milliseconds timeout{30'000}; // of one call
  std::int64_t attempts = 4;
  std::chrono::milliseconds webhook_tolerance{300'000};
  std::chrono::milliseconds event_lease{
      90'000}; // after this, who applies an event is taken for dead
  std::chrono::milliseconds heal_interval{900'000};
  std::string pricing_table{};         // JSON: plan -> price id
  std::string pricing_table_annual{};  // likewise
  std::string credits_pricing_table{}; // JSON: "100" -> price id
  std::string meter_compute = "compute_credits";
  std::string meter_storage_online = "storage_online_gb";
  std::string meter_storage_offline = "storage_offline_gb";

  bool configured() const { return !secret_key.empty(); }
  /// The webhook secrets one by one, without white space around them.
  std::vector<secret> signing_secrets() const;
};

struct referral_settings {
  bool rewards = false;
  std::int64_t reward_tenths = 100; // of a credit, to who referred somebody that paid
};

/// With neither Resend nor SMTP, mails stay in the outbox.
struct mail_settings {
  secret resend_api_key{}; // empty: not Resend
  std::string resend_url = "https://api.resend.com";
  secret smtp_url{}; // smtp[s]://[user:password@]host[:port]; a secret for its password
  std::string from = "Binnacle <no-reply@localhost>";
  std::chrono::milliseconds timeout{30'000}; // of one attempt
  std::chrono::milliseconds lease{120'000};  // after this, who sends a mail is taken for dead

  bool configured() const { return !resend_api_key.empty() || !smtp_url.empty(); }
};

/// Where objects (avatars, generated images) are kept: Cloudflare R2, or anything else that speaks
/// S3 with path-style addresses; a directory in data_dir while it is not configured.
struct r2_settings {
  std::string account_id{};
  std::string endpoint{}; // scheme://host[:port]; empty: the account's own at Cloudflare
  std::string access_key_id{};
  secret secret_access_key{};
  std::string avatars = "avatars";     // bucket; empty: none
  std::string ai_images = "ai-images"; // likewise
  std::int64_t parallel = 8;           // calls at once, a thread each
  std::int64_t queue = 1'000;          // calls that may wait
  std::chrono::milliseconds timeout{10'000};
  std::int64_t attempts = 4;
  std::int64_t streams = 256; // large objects on their way to clients at once
  std::chrono::milliseconds removal_interval{60'000}; // of what nothing refers to any more

  bool configured() const {
    return !access_key_id.empty() && !secret_access_key.empty() &&
           !(account_id.empty() && endpoint.empty());
  }
};

struct hubspot_settings {
  secret api_key{}; // of a private app; empty: not configured
  std::string api_url = "https://api.hubapi.com";
  std::int64_t parallel = 4;                // calls at once
  std::int64_t queue = 256;                 // calls that may wait
  std::chrono::milliseconds timeout{5'000}; // of one call
  std::int64_t attempts = 2;

  bool configured() const { return !api_key.empty(); }
};

struct settings {
  std::string data_dir = "data";
  std::string log_level = "info";
  std::string access_log{};              // a file; empty: standard output; "off": none
  std::string deployment = "production"; // "development" adds `details` to errors
  http_settings http{};
  database_settings database{};
  identity_settings identity{};
  session_settings session{};
  collector_settings collector{};
  stripe_settings stripe{};
  referral_settings referrals{};
  mail_settings mail{};
  r2_settings r2{};
  hubspot_settings hubspot{};
  secret cron_secret{};
  secret encryption_key{}; // 64 hex digits; empty: a key file in data_dir
  std::int64_t rate_limit_scale = 1;
  limit_table limits = default_limits();
  std::string host_hub{}, host_assinante{}, host_gateway{}, host_platform{}, host_developer{};

  static limit_table default_limits();
};

/// Where an option's value lives in a `settings`.
using option_target = std::variant<std::string*, std::int64_t*, bool*, std::chrono::milliseconds*,
                                   secret*, std::vector<std::string>*, rate_limit*>;

struct option {
  std::string name;             // in the file: "http.max_connections"
  std::vector<std::string> env; // first the service's own name, then names from the contracts
  option_target target;
  std::string help;
  std::int64_t min = 0; // integers and durations in ms
  std::int64_t max = 0; // 0: unbounded
};

/// Every option, bound to the fields of `s`.
std::vector<option> options_of(settings& s);

/// Printable value; a secret prints as "(set)" or "(not set)".
std::string show(const option& o);

using environment = std::function<std::optional<std::string>(const std::string&)>;
/// The process's environment.
environment process_environment();

/// Loads file and environment. All problems are reported in one fault, a line each.
result<settings> load_settings(const std::string& file, const environment& env);

/// Sets one option from text, as from the environment: "30s", "5min", "true", "a,b", "60/60s".
result<done> assign(option& o, std::string_view text);

/// The table of all options as the README shows it.
std::string options_as_markdown();

} // namespace binnacle
