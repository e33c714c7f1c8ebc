/// What is recorded of every request: one access-log line, a counter and a latency.
#pragma once

#include "actors/exchange.hpp"

#include <chrono>

namespace binnacle::http {

/// Records one answered request of `user`, empty when nobody knows. No query string, cookie, token
/// or body is written down.
class journal {
public:
  explicit journal(bool access_log) : access_log_{access_log} {}
  void record(const exchange& x, std::size_t bytes_sent, std::string_view user) const;

private:
  bool access_log_;
};

} // namespace binnacle::http
