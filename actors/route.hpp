/// Routes and surfaces as the session sees them. The table itself is in http/routes/table.cpp: one
/// line per route, and the only place where a route's access is declared.
#pragma once

#include "actors/exchange.hpp"
#include "actors/task.hpp"
#include "config/limits.hpp"
#include "persistence/transaction.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace binnacle {

class context;
struct services;

/// Who may call a route.
enum class access : std::uint8_t {
  undeclared, // a mistake: a test fails
  anyone,     // with or without a credential
  stranger,   // likewise, and no credential is looked at: limits count by address
  user,       // a valid credential of an active user
  admin,      // an active user with is_admin
  cron,       // Authorization: Bearer <CRON_SECRET>
  auth0,      // X-Auth0-Secret: <AUTH0_WEBHOOK_SECRET>
  signer,     // whoever made the body, which proves itself; the handler checks: 400 or 401 if not
};

/// Served by the session of the client's address whatever credential comes along.
constexpr bool ignores_credentials(access a) {
  return a == access::stranger || a == access::cron || a == access::auth0 || a == access::signer;
}
/// Whoever is genuine is never turned away for coming often: all come from a few addresses, and
/// what they bring must not be lost. The limit counts what was refused as not genuine, and bounds
/// only the answers to that.
constexpr bool limits_forgeries_only(access a) { return a == access::signer; }
constexpr bool is_forgery(int status) { return status == 400 || status == 401; }

/// What an unsafe method must prove about the browser that sent it.
enum class csrf : std::uint8_t {
  none,
  origin,            // Origin (or Referer) must be ours; absent is refused
  origin_if_present, // an absent Origin is fine
  token,             // double submit of csrf_token
  origin_and_token,
};

/// Keeps 200s of a GET in the session until one of these topics changes.
struct cache_rule {
  bool keep = false;
  std::uint8_t topics = 0; // bits by persistence::topic
};
constexpr cache_rule kept_until(auto... topics) {
  return {true, static_cast<std::uint8_t>((0 | ... | (1 << static_cast<int>(topics))))};
}

/// A handler reads top to bottom: parse, co_await, render. A fault becomes the surface's error.
using handler = task<result<response>> (*)(context&);

struct route {
  method verb = method::get;
  std::string_view path{}; // "/api/admin/usage/{userId}"
  const surface* face = nullptr;
  access who = access::undeclared;
  limit_class limit = limit_class::none;
  enum csrf csrf = csrf::none;
  handler run = nullptr;
  cache_rule cache{};
  std::size_t max_body = 0; // 0: the general limit
  /// Access is checked before the method: 401 before 405. All routes of a path must agree.
  bool access_first = false;
  /// Changes nothing, whatever its method: an Idempotency-Key means nothing here, as on a GET.
  bool only_asks = false;
};

/// A step of the pipeline before the handler.
enum class check : std::uint8_t { csrf, limit, authentication };

/// One client-facing contract: its error dialect and the order of its checks.
struct surface {
  std::string_view name{};
  std::array<check, 3> order{};
  /// An error in this surface's dialect.
  response (*render)(const fault& f, const exchange& x) = nullptr;
  /// What an unsafe method that a path does not have must prove before it is told so (405).
  enum csrf csrf_before_method = csrf::none;
  /// True where access is checked before the method (401 or 403 before 405) on admin routes.
  bool admin_before_method = false;
  /// The cookie that names a login session here; empty: none.
  std::string_view session_cookie{};
  /// Cookies that may name one instead, looked for in this order when there is none of that name.
  std::array<std::string_view, 3> other_session_cookies{};
  /// A credential that is good at any surface is good here.
  bool of_all_surfaces = false;
  /// Whether scripts of the request's Origin may read the answer (CORS): asked before anything else
  /// about a request that has one. Null: none but ours, and a preflight is answered as any OPTIONS.
  task<result<bool>> (*admits_origin)(context&) = nullptr;
};

/// The value of the cookie that names the request's login session at `face`; empty: none.
inline std::string_view session_cookie_of(const request& req, const surface& face) {
  if (face.session_cookie.empty()) return {};
  auto found = req.cookie(face.session_cookie);
  for (auto name : face.other_session_cookies)
    if (found.empty() && !name.empty()) found = req.cookie(name);
  return found;
}

} // namespace binnacle
