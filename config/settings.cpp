#include "config/settings.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <toml++/toml.h>

namespace binnacle {
namespace {

using std::chrono::milliseconds;

std::string env_name(std::string_view option) {
  std::string out = "BINNACLE_";
  for (char c : option) out.push_back(c == '.' ? '_' : static_cast<char>(std::toupper(c)));
  return out;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return n;
}

struct unit {
  std::string_view suffix;
  std::int64_t milliseconds;
};
constexpr std::array units{unit{"ms", 1}, unit{"min", 60'000}, unit{"s", 1'000},
                           unit{"h", 3'600'000}, unit{"d", 86'400'000}};

std::optional<milliseconds> duration(std::string_view text) {
  for (const auto& u : units) {
    if (!text.ends_with(u.suffix)) continue;
    if (auto n = number(text.substr(0, text.size() - u.suffix.size())))
      return milliseconds{*n * u.milliseconds};
    return {};
  }
  return {};
}

std::string show_duration(milliseconds d) {
  auto n = d.count();
  if (n == 0) return "0s";
  for (auto suffix : {"d", "h", "min", "s"}) {
    auto u = *std::ranges::find(units, std::string_view{suffix}, &unit::suffix);
    if (n % u.milliseconds == 0) return std::to_string(n / u.milliseconds) + suffix;
  }
  return std::to_string(n) + "ms";
}

/// Without the white space around it, line ends included: they come along when a secret is pasted.
std::string_view bare(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  auto first = text.find_first_not_of(blank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto comma = text.find(',');
    auto item = bare(text.substr(0, comma));
    if (!item.empty()) out.emplace_back(item);
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
  }
  return out;
}

fault refuse(const option& o, std::string_view text, std::string_view wanted) {
  auto shown =
      std::holds_alternative<secret*>(o.target) ? std::string{"(secret)"} : std::string{text};
  return {
      errc::bad_request, o.name + ": \"" + shown + "\" is not " + std::string{wanted}, o.name, {}};
}

result<done> check_bounds(const option& o, std::string_view text, std::int64_t n) {
  if (n < o.min || (o.max != 0 && n > o.max))
    return refuse(o, text,
                  "between " + std::to_string(o.min) + " and " +
                      (o.max != 0 ? std::to_string(o.max) : std::string{"any number"}));
  return done{};
}

std::string text_of(const toml::node& node) {
  std::ostringstream out;
  if (auto s = node.value<std::string>()) return *s;
  if (auto* list = node.as_array()) {
    for (auto separator = ""; auto& item : *list) {
      out << separator << item.value_or(std::string{});
      separator = ",";
    }
    return out.str();
  }
  if (auto b = node.as_boolean()) return b->get() ? "true" : "false";
  if (auto n = node.as_integer()) return std::to_string(n->get());
  return "?";
}

using flat = std::map<std::string, const toml::node*>;

void flatten(const toml::table& table, const std::string& prefix, flat& out) {
  for (auto&& [key, node] : table) {
    auto name = prefix + std::string{key.str()};
    if (auto* inner = node.as_table())
      flatten(*inner, name + ".", out);
    else
      out.emplace(name, &node);
  }
}

void read_issuers(const toml::node& node, settings& s, std::vector<std::string>& problems) {
  auto* list = node.as_array();
  if (!list) {
    problems.emplace_back("identity.issuers: write [[identity.issuers]] tables");
    return;
  }
  for (auto& item : *list) {
    auto* table = item.as_table();
    if (!table) {
      problems.emplace_back("identity.issuers: write [[identity.issuers]] tables");
      continue;
    }
    issuer_settings issuer;
    for (auto&& [key, value] : *table) {
      auto name = std::string{key.str()};
      if (name == "issuer")
        issuer.issuer = text_of(value);
      else if (name == "audience")
        issuer.audience = text_of(value);
      else if (name == "keys_url")
        issuer.keys_url = text_of(value);
      else if (name == "algorithm")
        issuer.algorithm = text_of(value);
      else if (name == "surfaces")
        issuer.surfaces = split(text_of(value));
      else if (name == "require_auth_time")
        issuer.require_auth_time = value.value_or(false);
      else
        problems.push_back("identity.issuers." + name + ": unknown key");
    }
    if (issuer.issuer.empty() || issuer.audience.empty() || issuer.keys_url.empty())
      problems.emplace_back("identity.issuers: issuer, audience and keys_url are required");
    if (issuer.algorithm != "RS256" && issuer.algorithm != "ES256")
      problems.emplace_back("identity.issuers.algorithm: RS256 or ES256");
    s.identity.issuers.push_back(std::move(issuer));
  }
}

void read_file(const std::string& file, settings& s, std::vector<option>& options,
               std::vector<std::string>& problems) {
  toml::table table;
  try {
    table = toml::parse_file(file);
  } catch (const toml::parse_error& e) {
    std::ostringstream what;
    what << file << ": " << e.description() << " (line " << e.source().begin.line << ")";
    problems.push_back(what.str());
    return;
  }
  flat values;
  flatten(table, "", values);
  for (auto& [name, node] : values) {
    if (name == "identity.issuers") {
      read_issuers(*node, s, problems);
      continue;
    }
    auto found = std::ranges::find(options, name, &option::name);
    if (found == options.end()) {
      problems.push_back(name + ": unknown key in " + file);
    } else if (std::holds_alternative<secret*>(found->target)) {
      problems.push_back(name + ": a secret; set " + found->env.front() + " or " +
                         found->env.front() + "_FILE instead");
    } else if (auto set = assign(*found, text_of(*node)); !set) {
      problems.push_back(set.error().text);
    }
  }
}

std::optional<std::string> read_value(const environment& env, const std::string& name,
                                      std::vector<std::string>& problems) {
  if (auto direct = env(name)) return direct;
  auto path = env(name + "_FILE");
  if (!path) return {};
  std::ifstream in{*path};
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    problems.push_back(name + "_FILE: cannot read " + *path);
    return {};
  }
  auto value = text.str();
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.pop_back();
  return value;
}

void add_shorthand_issuers(identity_settings& s) {
  if (!s.firebase_project.empty())
    s.issuers.push_back({.issuer = "https://securetoken.google.com/" + s.firebase_project,
                         .audience = s.firebase_project,
                         .keys_url = "https://www.googleapis.com/robot/v1/metadata/x509/"
                                     "securetoken@system.gserviceaccount.com",
                         .require_auth_time = true});
  // Without an audience there are only browser logins, and their tokens never come as bearers.
  if (!s.auth0_url.empty() && !s.auth0_audience.empty()) {
    auto base = s.auth0_issuer();
    s.issuers.push_back(
        {.issuer = base, .audience = s.auth0_audience, .keys_url = base + ".well-known/jwks.json"});
  }
}

} // namespace

limit_table settings::default_limits() {
  limit_table out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = limit_rows[i].preset;
  return out;
}

std::string identity_settings::auth0_issuer() const {
  return auth0_url.ends_with('/') ? auth0_url : auth0_url + "/";
}

std::vector<secret> stripe_settings::signing_secrets() const {
  std::vector<secret> out;
  for (auto& item : split(webhook_secrets.reveal())) out.emplace_back(std::move(item));
  return out;
}

std::vector<option> options_of(settings& s) {
  std::vector<option> out;
  auto add = [&](std::string name, auto* target, std::string help, std::int64_t min = 0,
                 std::int64_t max = 0, std::vector<std::string> also = {}) {
    std::vector<std::string> env{env_name(name)};
    if (name.starts_with("http.listen")) env.front() = "BINNACLE_LISTEN";
    env.insert(env.end(), also.begin(), also.end());
    out.push_back({std::move(name), std::move(env), target, std::move(help), min, max});
  };
  add("data_dir", &s.data_dir, "where the private database, keys and objects live");
  add("log_level", &s.log_level, "debug, info, warn or error");
  add("log.access_file", &s.access_log, "access log file; empty: standard output; off: none");
  add("deployment", &s.deployment, "production or development (errors then carry details)");
  auto& h = s.http;
  add("http.listen", &h.listen, "address:port to listen on");
  add("http.threads", &h.threads, "threads for sockets and actors; 0: one per core", 0, 256);
  add("http.max_connections", &h.max_connections, "open connections in total", 1, 1'000'000);
  add("http.max_connections_per_address", &h.max_connections_per_address,
      "open connections of one client address", 1, 1'000'000);
  add("http.max_header_bytes", &h.max_header_bytes, "request line and header fields", 1'024,
      1'048'576);
  add("http.max_header_count", &h.max_header_count, "header fields of a request", 8, 10'000);
  add("http.max_target_bytes", &h.max_target_bytes, "request target", 256, 65'536);
  add("http.max_body_bytes", &h.max_body_bytes, "body of a request, unless its route says", 1'024,
      1'073'741'824);
  add("http.min_body_rate", &h.min_body_rate, "bytes per second a body must arrive with", 0,
      1'000'000'000);
  add("http.header_timeout", &h.header_timeout, "from the first byte to the end of the header", 100,
      3'600'000);
  add("http.body_timeout", &h.body_timeout, "for the whole body", 100, 3'600'000);
  add("http.idle_timeout", &h.idle_timeout, "between two requests of a connection", 100, 3'600'000);
  add("http.write_timeout", &h.write_timeout, "for writing one answer", 100, 3'600'000);
  add("http.request_timeout", &h.request_timeout, "from a request's last byte to its answer", 100,
      3'600'000);
  add("http.drain_timeout", &h.drain_timeout, "for requests in flight when stopping", 0, 3'600'000);
  add("http.trusted_proxies", &h.trusted_proxies,
      "addresses or CIDR blocks whose X-Forwarded-* are believed");
  add("http.allowed_origins", &h.allowed_origins, "origins of browser front ends", 0, 0,
      {"ALLOWED_ORIGINS", "ALLOW_ORIGINS", "APP_ORIGIN", "PUBLIC_APP_ORIGIN"});
  add("http.public_url", &h.public_url, "scheme://host[:port] that users see", 0, 0,
      {"DASHBOARD_URL", "BASE_URL"});
  auto& d = s.database;
  add("database.url", &d.url, "PostgreSQL connection string; empty: a private cluster", 0, 0,
      {"DATABASE_URL"});
  add("database.connections", &d.connections, "storage workers, one connection each", 1, 256);
  add("database.queue", &d.queue, "jobs that may wait for a worker", 1, 1'000'000);
  add("database.statement_timeout", &d.statement_timeout, "for one statement", 10, 3'600'000);
  add("database.connect_timeout", &d.connect_timeout, "for one attempt to connect", 1'000, 60'000);
  add("database.postgres_bin", &d.postgres_bin, "programs of the private cluster's PostgreSQL");
  auto& i = s.identity;
  add("identity.local_accounts", &i.local_accounts, "accounts with a password kept here");
  add("identity.issuer", &i.issuer, "issuer and audience of the service's own tokens");
  add("identity.access_token_life", &i.access_token_life, "life of an access token", 1'000,
      604'800'000);
  add("identity.refresh_token_life", &i.refresh_token_life,
      "life of a refresh token; each use gives a new one", 60'000, 31'536'000'000);
  add("identity.session_life", &i.session_life, "life of a cookie session", 1'000, 31'536'000'000);
  add("identity.secure_cookies", &i.secure_cookies, "cookies carry Secure; on behind TLS");
  add("identity.clock_leeway", &i.clock_leeway, "tolerated clock difference of issuers", 0,
      600'000);
  add("identity.firebase_project", &i.firebase_project, "accept this project's Firebase tokens", 0,
      0, {"FIREBASE_PROJECT_ID", "NEXT_PUBLIC_FIREBASE_PROJECT_ID"});
  add("identity.auth0_url", &i.auth0_url, "accept tokens of this Auth0 or OIDC issuer", 0, 0,
      {"AUTH0_ISSUER_BASE_URL"});
  add("identity.auth0_audience", &i.auth0_audience, "audience of that issuer's tokens", 0, 0,
      {"AUTH0_AUDIENCE"});
  add("identity.auth0_client_id", &i.auth0_client_id,
      "client of that issuer through which browsers log in", 0, 0, {"AUTH0_CLIENT_ID"});
  add("identity.auth0_client_secret", &i.auth0_client_secret,
      "that client's secret; unset: a public client", 0, 0, {"AUTH0_CLIENT_SECRET"});
  add("identity.auth0_base_url", &i.auth0_base_url,
      "scheme://host[:port] a login comes back to; empty: http.public_url", 0, 0,
      {"AUTH0_BASE_URL"});
  add("identity.auth0_webhook_secret", &i.auth0_webhook_secret,
      "secret of Auth0's post-login webhook; unset: it answers 401", 0, 0,
      {"AUTH0_WEBHOOK_SECRET"});
  add("identity.auth0_timeout", &i.auth0_timeout, "for one call to that issuer", 100, 600'000);
  auto& e = s.session;
  add("session.idle", &e.idle, "an idle session is passivated after this", 1'000, 86'400'000);
  add("session.cache_idle", &e.cache_idle, "an idle session drops its cached answers after this",
      1'000, 86'400'000);
  add("session.max_in_flight", &e.max_in_flight, "requests of one user at once", 1, 10'000);
  add("session.max_listeners", &e.max_listeners, "event streams of one user at once", 1, 10'000);
  add("cache.enabled", &e.cache, "keep serialised answers in the session");
  auto& c = s.collector;
  add("collector.enabled", &c.enabled, "collect usage on a timer");
  add("collector.interval", &c.interval, "time between collections", 60'000, 86'400'000);
  add("collector.jitter", &c.jitter, "random delay of a collection", 0, 3'600'000);
  add("collector.backfill_hours", &c.backfill_hours, "missed hours collected at start, at most", 0,
      9'000);
  add("collector.upstream_timeout", &c.upstream_timeout, "for one call to OpenCost", 100, 600'000);
  add("collector.upstream_attempts", &c.upstream_attempts, "calls until an hour is given up", 1,
      20);
  auto& st = s.stripe;
  add("stripe.secret_key", &st.secret_key, "Stripe's API key; unset: stripe_not_configured", 0, 0,
      {"STRIPE_SECRET_KEY", "STRIPE_SECRET"});
  add("stripe.webhook_secrets", &st.webhook_secrets,
      "secrets of the webhook endpoint; two, with a comma, while one replaces the other", 0, 0,
      {"STRIPE_WEBHOOK_SECRET"});
  add("stripe.api_url", &st.api_url, "where Stripe's API is");
  add("stripe.rate", &st.rate, "calls to Stripe per second", 1, 10'000);
  add("stripe.parallel", &st.parallel, "calls to Stripe at once, a thread each", 1, 256);
  add("stripe.queue", &st.queue, "calls to Stripe that may wait", 1, 1'000'000);
  add("stripe.timeout", &st.timeout, "for one call to Stripe", 100, 600'000);
  add("stripe.attempts", &st.attempts, "calls to Stripe until one is given up", 1, 20);
  add("stripe.webhook_tolerance", &st.webhook_tolerance, "age at which a webhook is refused", 1'000,
      86'400'000);
  add("stripe.event_lease", &st.event_lease,
      "time after which an event that a node began to apply is given to another", 1'000, 3'600'000);
  add("stripe.heal_interval", &st.heal_interval,
      "pause between two readings of the events that Stripe could not deliver", 1'000, 86'400'000);
  add("stripe.pricing_table", &st.pricing_table, "JSON object: plan to Stripe price, monthly", 0, 0,
      {"PRICING_TABLE"});
  add("stripe.pricing_table_annual", &st.pricing_table_annual, "likewise, annual", 0, 0,
      {"PRICING_TABLE_ANNUAL"});
  add("stripe.credits_pricing_table", &st.credits_pricing_table,
      "JSON object: size of a credit pack to Stripe price", 0, 0, {"CREDITS_PRICING_TABLE"});
  add("stripe.meter_compute", &st.meter_compute, "event name of the meter of compute credits");
  add("stripe.meter_storage_online", &st.meter_storage_online,
      "event name of the meter of online storage");
  add("stripe.meter_storage_offline", &st.meter_storage_offline,
      "event name of the meter of offline storage");
  auto& r = s.referrals;
  add("referrals.rewards", &r.rewards,
      "grant credits to who referred somebody, at that person's first payment", 0, 0,
      {"ENABLE_REFERRAL_REWARDS"});
  add("referrals.reward_tenths", &r.reward_tenths, "how much, in tenths of a credit", 1,
      1'000'000'000, {"REFERRAL_REWARD_TENTHS"});
  auto& m = s.mail;
  add("mail.resend_api_key", &m.resend_api_key,
      "Resend's API key; with neither it nor mail.smtp_url mails stay in the outbox", 0, 0,
      {"RESEND_API_KEY"});
  add("mail.resend_url", &m.resend_url, "where Resend's API is");
  add("mail.smtp_url", &m.smtp_url,
      "smtp or smtps URL of a mail server, with user and password if it wants them", 0, 0,
      {"SMTP_URL"});
  add("mail.from", &m.from, "sender of mails: an address, or Name <address>", 0, 0,
      {"RESEND_FROM_EMAIL"});
  add("mail.timeout", &m.timeout, "for one attempt to send a mail", 100, 600'000);
  add("mail.lease", &m.lease,
      "time after which a mail that a node began to send is given to another", 1'000, 3'600'000);
  auto& r2 = s.r2;
  add("r2.account_id", &r2.account_id, "Cloudflare account of the buckets; unset: a directory", 0,
      0, {"R2_ACCOUNT_ID"});
  add("r2.endpoint", &r2.endpoint, "where the buckets are; unset: at the account's own address", 0,
      0, {"R2_ENDPOINT"});
  add("r2.access_key_id", &r2.access_key_id, "access key to the buckets", 0, 0,
      {"R2_ACCESS_KEY_ID"});
  add("r2.secret_access_key", &r2.secret_access_key, "its secret", 0, 0, {"R2_SECRET_ACCESS_KEY"});
  add("r2.avatars", &r2.avatars, "bucket, or directory, of avatars", 0, 0, {"R2_AVATARS"});
  add("r2.ai_images", &r2.ai_images, "bucket, or directory, of generated images", 0, 0,
      {"R2_AI_IMAGES"});
  add("r2.parallel", &r2.parallel, "calls to the object store at once, a thread each", 1, 256);
  add("r2.queue", &r2.queue, "calls to the object store that may wait", 1, 1'000'000);
  add("r2.timeout", &r2.timeout, "for one call to R2", 100, 600'000);
  add("r2.attempts", &r2.attempts, "calls to R2 until one is given up", 1, 20);
  add("r2.streams", &r2.streams, "large objects in R2 on their way to clients at once", 1, 100'000);
  add("r2.removal_interval", &r2.removal_interval,
      "how often objects are removed that nothing refers to any more", 1'000, 86'400'000);
  auto& hs = s.hubspot;
  add("hubspot.api_key", &hs.api_key, "token of HubSpot's private app; unset: no corporate deals",
      0, 0, {"HUBSPOT_API_KEY"});
  add("hubspot.api_url", &hs.api_url, "where HubSpot's API is");
  add("hubspot.parallel", &hs.parallel, "calls to HubSpot at once, a thread each", 1, 64);
  add("hubspot.queue", &hs.queue, "calls to HubSpot that may wait", 1, 1'000'000);
  add("hubspot.timeout", &hs.timeout, "for one call to HubSpot", 100, 600'000);
  add("hubspot.attempts", &hs.attempts, "calls to HubSpot until one is given up", 1, 20);
  add("cron_secret", &s.cron_secret, "bearer secret of the cron routes; unset: they answer 401", 0,
      0, {"CRON_SECRET"});
  add("encryption_key", &s.encryption_key,
      "64 hex digits that encrypt stored credentials; unset: a key file in data_dir");
  add("rate_limit_scale", &s.rate_limit_scale, "multiplies every rate limit; for load tests", 1,
      1'000'000'000);
  for (std::size_t k = 1; k < limit_class_count; ++k)
    add("limits." + std::string{limit_rows[k].key}, &s.limits[k],
        "admissions per window of " + std::string{limit_rows[k].key});
  add("surfaces.hub.host", &s.host_hub, "a request for this host sees only the hub surface");
  add("surfaces.assinante.host", &s.host_assinante, "likewise");
  add("surfaces.gateway.host", &s.host_gateway, "likewise");
  add("surfaces.platform.host", &s.host_platform, "likewise");
  add("surfaces.developer.host", &s.host_developer, "likewise");
  return out;
}

result<done> assign(option& o, std::string_view text) {
  struct setter {
    option& o;
    std::string_view text;
    result<done> operator()(std::string* to) const {
      *to = text;
      return done{};
    }
    result<done> operator()(secret* to) const {
      *to = secret{std::string{bare(text)}};
      return done{};
    }
    result<done> operator()(bool* to) const {
      if (text == "true" || text == "1" || text == "on")
        *to = true;
      else if (text == "false" || text == "0" || text == "off")
        *to = false;
      else
        return refuse(o, text, "true or false");
      return done{};
    }
    result<done> operator()(std::int64_t* to) const {
      auto n = number(text);
      if (!n) return refuse(o, text, "a whole number");
      if (auto within = check_bounds(o, text, *n); !within) return within;
      *to = *n;
      return done{};
    }
    result<done> operator()(milliseconds* to) const {
      auto d = duration(text);
      if (!d) return refuse(o, text, "a duration such as 250ms, 30s, 5min, 1h or 7d");
      if (auto within = check_bounds(o, text, d->count()); !within) return within;
      *to = *d;
      return done{};
    }
    result<done> operator()(std::vector<std::string>* to) const {
      *to = split(text);
      return done{};
    }
    result<done> operator()(rate_limit* to) const {
      auto slash = text.find('/');
      auto max = number(text.substr(0, slash));
      auto window = slash == text.npos ? std::nullopt : duration(text.substr(slash + 1));
      if (!max || !window || *max < 1 || *max > 1'000'000'000 || window->count() < 1'000 ||
          window->count() > 86'400'000)
        return refuse(o, text, "a limit such as 60/60s");
      *to = {static_cast<std::uint32_t>(*max),
             std::chrono::duration_cast<std::chrono::seconds>(*window)};
      return done{};
    }
  };
  return std::visit(setter{o, text}, o.target);
}

std::string show(const option& o) {
  struct printer {
    std::string operator()(const std::string* s) const { return *s; }
    std::string operator()(const secret* s) const { return s->empty() ? "(not set)" : "(set)"; }
    std::string operator()(const bool* b) const { return *b ? "true" : "false"; }
    std::string operator()(const std::int64_t* n) const { return std::to_string(*n); }
    std::string operator()(const milliseconds* d) const { return show_duration(*d); }
    std::string operator()(const std::vector<std::string>* list) const {
      std::string out;
      for (auto& item : *list) out.append(out.empty() ? "" : ",").append(item);
      return out;
    }
    std::string operator()(const rate_limit* l) const {
      return std::to_string(l->max) + "/" + show_duration(l->window);
    }
  };
  return std::visit(printer{}, o.target);
}

environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    if (auto* value = std::getenv(name.c_str())) return value;
    return {};
  };
}

result<settings> load_settings(const std::string& file, const environment& env) {
  settings s;
  auto options = options_of(s);
  std::vector<std::string> problems;
  if (!file.empty()) read_file(file, s, options, problems);
  for (auto& o : options)
    for (auto& name : o.env)
      if (auto text = read_value(env, name, problems)) {
        if (auto set = assign(o, *text); !set) problems.push_back(name + ": " + set.error().text);
        break;
      }
  if (s.log_level != "debug" && s.log_level != "info" && s.log_level != "warn" &&
      s.log_level != "error")
    problems.emplace_back("log_level: debug, info, warn or error");
  if (s.deployment != "production" && s.deployment != "development")
    problems.emplace_back("deployment: production or development");
  if (!s.encryption_key.empty() &&
      (s.encryption_key.reveal().size() != 64 ||
       s.encryption_key.reveal().find_first_not_of("0123456789abcdefABCDEF") != std::string::npos))
    problems.emplace_back("encryption_key: 64 hexadecimal digits");
  const auto& i = s.identity;
  auto uses_auth0 =
      !i.auth0_audience.empty() || !i.auth0_client_id.empty() || !i.auth0_webhook_secret.empty();
  if (!i.auth0_url.empty() && !uses_auth0)
    problems.emplace_back("identity.auth0_audience, auth0_client_id or auth0_webhook_secret: one "
                          "is required with identity.auth0_url");
  if (i.auth0_url.empty() && uses_auth0)
    problems.emplace_back("identity.auth0_url: required with the other settings of Auth0");
  if (problems.empty()) {
    add_shorthand_issuers(s.identity);
    for (auto& limit : s.limits) {
      auto scaled = static_cast<std::int64_t>(limit.max) * s.rate_limit_scale;
      limit.max = static_cast<std::uint32_t>(std::min<std::int64_t>(scaled, 4'000'000'000));
    }
    return s;
  }
  std::string all;
  for (auto& problem : problems) all.append(all.empty() ? "" : "\n").append(problem);
  return fault{errc::bad_request, all, {}, {}};
}

std::string options_as_markdown() {
  settings defaults;
  std::string out = "| setting | environment | default | meaning |\n|---|---|---|---|\n";
  for (auto& o : options_of(defaults)) {
    std::string names;
    for (auto& name : o.env) names.append(names.empty() ? "`" : ", `").append(name).append("`");
    auto shown = show(o);
    out.append("| `").append(o.name).append("` | ").append(names).append(" | ");
    out.append(shown.empty() ? "" : "`" + shown + "`").append(" | ").append(o.help).append(" |\n");
  }
  return out;
}

} // namespace binnacle
