/// Whose scripts may read what we tell about a project: its allowedOrigins. developer.md §9.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

/// "*", an origin ("https://app.example.com:8443"), or all hosts below one ("*.example.com", or
/// with a scheme "https://*.example.com"), as it is kept; nothing for anything else.
std::optional<std::string> origin_pattern(std::string_view text);

/// Whether one of the patterns fits; an empty list fits every origin. `origin` is normalised.
bool fits_origin(const std::vector<std::string>& patterns, std::string_view origin);

/// Our own front ends always; for what is of a project, the origins it allows. What is of none
/// (logins, the list of projects) may be read from everywhere: no cookie is good at this surface,
/// so a script sees no more than whoever wrote it could.
task<result<bool>> admits_origin(context& ctx);

} // namespace binnacle::http
