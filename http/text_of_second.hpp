/// The present time for headers and log lines, which changes once a second: formatting it for every
/// request would be a waste.
#pragma once

#include "config/base/time.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace binnacle::http {

/// What `format` makes of the present second. The text is the thread's own, until its next call.
template <std::string (*format)(time_point)>
std::string_view text_of_second() {
  thread_local std::int64_t second = -1;
  thread_local std::string text;
  auto now = std::chrono::system_clock::now();
  if (auto s = unix_seconds(now); s != second) {
    second = s;
    text = format(now);
  }
  return text;
}

} // namespace binnacle::http
