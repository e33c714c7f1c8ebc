/// Set-Cookie (RFC 6265 §4.1).
#pragma once

#include "actors/context.hpp"

#include <string>
#include <string_view>

namespace binnacle::http {

enum class readable : bool { no, yes }; // by scripts of the page

/// Path=/, SameSite=Lax, Secure where the client speaks TLS. A `life` of 0 removes the cookie.
std::string set_cookie(const context& ctx, std::string_view name, std::string_view value,
                       seconds life, readable by_scripts);

} // namespace binnacle::http
