/// What the service shows of itself: the description of its routes, and the page that reads it.
/// Compiled into the binary by web/CMakeLists.txt, so that it always fits the routes it is served
/// with.
#pragma once

#include <span>
#include <string_view>

namespace binnacle::web {

struct document {
  std::string_view path; // as requested
  std::string_view content_type;
  std::string_view text;
};

std::span<const document> documents();

} // namespace binnacle::web
