/// The service's log: one JSON object per line. Never log a secret, a token, a cookie or a body.
/// Thread-safe; a call formats in the caller's thread and writes into a buffer.
#pragma once

#include "config/base/json.hpp"

#include <string>
#include <string_view>

namespace binnacle::log {

enum class level { debug, info, warn, error };

/// Where lines go. Empty path: standard output for access lines, standard error for the rest.
/// Call once, before the first line; without it, info and above go to standard error.
void open(level least, const std::string& access_path);
/// Writes out what is buffered; called by a timer and at exit. Errors are written at once.
void flush();

void write(level at, std::string_view event, json::object fields);
inline void debug(std::string_view event, json::object f = {}) {
  write(level::debug, event, std::move(f));
}
inline void info(std::string_view event, json::object f = {}) {
  write(level::info, event, std::move(f));
}
inline void warn(std::string_view event, json::object f = {}) {
  write(level::warn, event, std::move(f));
}
inline void error(std::string_view event, json::object f = {}) {
  write(level::error, event, std::move(f));
}

/// One finished access line, without its line end.
void access(std::string_view line);

} // namespace binnacle::log
