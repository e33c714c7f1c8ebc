#include "actors/admission.hpp"

#include "config/base/secret.hpp"

#include <algorithm>
#include <cctype>

namespace binnacle {
namespace {

fault forbidden(std::string text, std::string detail) {
  return {errc::forbidden, std::move(text), {}, std::move(detail)};
}

/// Those that the configuration names, in the order in which links take them.
std::vector<std::string> configured_origins(const settings& config) {
  std::vector<std::string> out{normalised_origin(config.http.public_url),
                               normalised_origin(config.identity.auth0_base_url)};
  for (const auto& allowed : config.http.allowed_origins) out.push_back(normalised_origin(allowed));
  std::erase(out, std::string{});
  return out;
}

bool is_one_of(const std::string& given, const std::vector<std::string>& origins) {
  return std::ranges::find(origins, given) != origins.end();
}

std::optional<fault> check_origin(const exchange& x, const settings& config, bool required) {
  auto origin = x.req.at(field::origin);
  if (origin.empty() && required) origin = x.req.at(field::referer);
  if (origin.empty()) {
    if (!required) return {};
    return forbidden("Missing Origin/Referer header", "csrf_origin_missing");
  }
  if (is_own_origin(normalised_origin(origin), x.req, config)) return {};
  return forbidden("Origin not allowed", "csrf_origin_rejected");
}

std::optional<fault> check_token(const exchange& x) {
  auto header = x.req.at(field::csrf_token);
  auto cookie = x.req.cookie("csrf_token");
  if (!header.empty() && !cookie.empty() && constant_time_equal(header, cookie)) return {};
  return forbidden("Invalid CSRF token", "csrf_token_mismatch");
}

bool cron_secret_given(const exchange& x, const settings& config) {
  constexpr std::string_view scheme = "Bearer ";
  auto given = x.req.at(field::authorization);
  return !config.cron_secret.empty() && given.starts_with(scheme) &&
         constant_time_equal(given.substr(scheme.size()), config.cron_secret.reveal());
}

bool auth0_secret_given(const exchange& x, const settings& config) {
  const auto& wanted = config.identity.auth0_webhook_secret;
  return !wanted.empty() && constant_time_equal(x.req.at(field::auth0_secret), wanted.reveal());
}

/// Somebody may have a credential that is good at `face`.
bool has_logins(const surface& face, const identity_settings& config) {
  return (config.local_accounts && accepts_own(face, config)) || config.provider_logins() ||
         std::ranges::any_of(config.issuers, [&](const auto& i) { return serves(i, face); });
}

} // namespace

bool serves(const issuer_settings& issuer, const surface& face) {
  return face.of_all_surfaces || issuer.surfaces.empty() ||
         std::ranges::find(issuer.surfaces, face.name) != issuer.surfaces.end();
}

bool accepts_own(const surface& face, const identity_settings& config) {
  if (face.of_all_surfaces || face.name == "gateway" || face.name == "developer") return true;
  if (face.name == "platform" && config.provider_logins()) return false;
  return std::ranges::none_of(config.issuers, [&](const auto& i) { return serves(i, face); });
}

bool is_unsafe(method m) {
  return m == method::post || m == method::put || m == method::patch || m == method::delete_;
}

std::string own_origin(const request& req, const settings& config) {
  if (!config.http.public_url.empty()) return config.http.public_url;
  return std::string{req.secure ? "https://" : "http://"} + std::string{req.at(field::host)};
}

std::string normalised_origin(std::string_view text) {
  auto scheme_end = text.find("://");
  if (scheme_end == text.npos) return {};
  auto authority_end = text.find_first_of("/?#", scheme_end + 3);
  std::string out{text.substr(0, authority_end)};
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  if (out.starts_with("http://") && out.ends_with(":80")) out.erase(out.size() - 3);
  if (out.starts_with("https://") && out.ends_with(":443")) out.erase(out.size() - 4);
  return out;
}

bool is_own_origin(const std::string& origin, const request& req, const settings& config) {
  if (origin.empty()) return false;
  return origin == normalised_origin(own_origin(req, config)) ||
         is_one_of(origin, configured_origins(config));
}

std::string platform_origin(const request& req, const settings& config) {
  auto out = normalised_origin(config.identity.auth0_base_url);
  return out.empty() ? own_origin(req, config) : out;
}

bool is_secure(const request& req, const settings& config) {
  auto over_tls = [](std::string_view url) { return url.starts_with("https://"); };
  return req.secure || config.identity.secure_cookies || over_tls(config.http.public_url) ||
         over_tls(config.identity.auth0_base_url);
}

std::string origin_of_page(const request& req, const settings& config) {
  for (auto f : {field::origin, field::referer})
    if (auto given = normalised_origin(req.at(f)); is_own_origin(given, req, config)) return given;
  return own_origin(req, config);
}

std::string link_origin(const request& req, const settings& config) {
  auto ours = configured_origins(config);
  auto given = normalised_origin(req.at(field::origin));
  if (is_one_of(given, ours)) return given;
  if (!ours.empty()) return ours.front();
  auto listen = config.http.listen;
  for (std::string_view any : {"0.0.0.0:", "[::]:"})
    if (listen.starts_with(any)) listen.replace(0, any.size() - 1, "localhost");
  return "http://" + listen;
}

std::optional<fault> check_access(const exchange& x, const persistence::user* caller,
                                  const services& app) {
  switch (x.matched->who) {
  case access::anyone:
  case access::stranger:
  case access::signer:
    return {};
  case access::cron:
    if (cron_secret_given(x, app.config)) return {};
    return fault{errc::unauthenticated};
  case access::auth0:
    if (auth0_secret_given(x, app.config)) return {};
    return fault{errc::unauthenticated};
  case access::user:
  case access::admin:
    if (!x.presented || !caller) {
      if (has_logins(*x.matched->face, app.config.identity)) return fault{errc::unauthenticated};
      return fault{errc::unavailable, "Authentication is not configured", {}, {}};
    }
    if (caller->status == "deleted") return forbidden("Account has been deleted", "deleted user");
    if (caller->status != "active") return forbidden("Account is suspended", "suspended user");
    if (x.matched->who == access::admin && !caller->is_admin)
      return fault{errc::forbidden, {}, {}, "not an admin"};
    return {};
  case access::undeclared:
    break;
  }
  return internal_fault("route without an access rule");
}

std::optional<fault> check_csrf(const exchange& x, const settings& config) {
  if (!is_unsafe(x.req.verb)) return {};
  switch (x.method_known ? x.matched->csrf : x.matched->face->csrf_before_method) {
  case csrf::none:
    return {};
  case csrf::origin:
    return check_origin(x, config, true);
  case csrf::origin_if_present:
    return check_origin(x, config, false);
  case csrf::token:
    return check_token(x);
  case csrf::origin_and_token:
    if (auto refused = check_origin(x, config, true)) return refused;
    return check_token(x);
  }
  return internal_fault("unknown csrf rule");
}

} // namespace binnacle
