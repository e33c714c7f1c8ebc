/// The surfaces: one client-facing contract each, with its error dialect and its order of checks.
/// Each is defined in routes/<surface>/dialect.cpp.
#pragma once

#include "actors/route.hpp"

#include <string>

namespace binnacle::http {

extern const surface hub, assinante, gateway, platform, developer, operations;
/// The dialect of assinante for admins, who come with whatever credential they have.
extern const surface assinante_admin;

/// An error of the protocol that no errc stands for (408, 414, 417, 431, 505), in the dialect of
/// `face`. An empty `text` becomes the status's own phrase.
response render_status(const surface& face, int status, std::string text, const exchange& x);

/// Whether Accept (RFC 9110 §12.5.1) asks for application/problem+json by name.
bool wants_problem(std::string_view accept);

} // namespace binnacle::http
