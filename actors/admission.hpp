/// The checks before a handler that need nothing but the request: who may call, and whether a
/// browser was tricked into calling. Pure functions; the session calls them in its surface's order.
#pragma once

#include "actors/exchange.hpp"
#include "actors/route.hpp"
#include "actors/services.hpp"
#include "persistence/users.hpp"

#include <optional>

namespace binnacle {

/// Tokens of the issuer are good at `face`.
bool serves(const issuer_settings& issuer, const surface& face);
/// Our own tokens and the login sessions of local accounts are good at `face`: where those accounts
/// are, and wherever no other issuer is configured.
bool accepts_own(const surface& face, const identity_settings& config);

/// A fault when `x` must not pass: 401 without a good credential (503 where nobody can have one,
/// for want of an issuer and of local accounts), 403 for a suspended or deleted user or one who is
/// no admin. `caller` is null for anonymous requests.
std::optional<fault> check_access(const exchange& x, const persistence::user* caller,
                                  const services& app);

/// Origin and double-submit checks of unsafe methods, as the route demands.
std::optional<fault> check_csrf(const exchange& x, const settings& config);

/// Scheme and authority the request was sent to, as the client sees them.
std::string own_origin(const request& req, const settings& config);

/// "https://Example.org:443/path" -> "https://example.org", as browsers write an Origin; empty when
/// it is none, which "null" is not either.
std::string normalised_origin(std::string_view text);
/// Of http.public_url, identity.auth0_base_url, the request's own host, or http.allowed_origins;
/// `origin` is normalised.
bool is_own_origin(const std::string& origin, const request& req, const settings& config);

/// Where the platform's pages are: identity.auth0_base_url, else `own_origin`.
std::string platform_origin(const request& req, const settings& config);

/// The client speaks TLS: as the connection shows, or as the configuration says of where users see
/// us (http.public_url, identity.auth0_base_url, identity.secure_cookies).
bool is_secure(const request& req, const settings& config);

/// Scheme and authority of the page that sent the request, if it is one of ours: of Origin, else of
/// Referer. Otherwise `own_origin`.
std::string origin_of_page(const request& req, const settings& config);

/// What links in mails begin with: the request's Origin when the configuration names it
/// (http.public_url, identity.auth0_base_url, http.allowed_origins), else the first of these, else
/// where the service listens. Unlike `own_origin` nothing that a client can make up: the mail goes
/// to somebody else.
std::string link_origin(const request& req, const settings& config);

bool is_unsafe(method m);

} // namespace binnacle
