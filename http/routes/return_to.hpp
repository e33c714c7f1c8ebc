/// Where a browser is sent back to: only to pages of our own front end.
#pragma once

#include <string>
#include <string_view>

namespace binnacle::http {

/// `text` if it is a path of our own, with a query or fragment or not; else empty, which is no
/// error but means the usual page. A path begins with one slash, has 1 to 512 characters, no
/// backslash and no control character: browsers read "/\evil.example" and "/<tab>/evil.example" as
/// another host. hub.md §4.
std::string sanitize_return_to(std::string_view text);

/// `target` with the query's parameter set, in place of those of that name; its fragment stays
/// last. `value` needs no escape.
std::string with_parameter(std::string_view target, std::string_view name, std::string_view value);

/// Printable ASCII as it is, everything else as %XX: what a Location may hold (RFC 3986 §2).
std::string escape_target(std::string_view target);

/// The dashboard of a workspace, which is escaped: "/dashboard?ws=…".
std::string dashboard_of(std::string_view workspace);

} // namespace binnacle::http
