/// Rate-limit windows that survive passivation and a restart. The value is the limiter's own
/// compact text; this folder does not read it.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

struct rate_window {
  std::string key{};   // "user:<id>", "addr:<address>" or "login:<SHA-256 of a user name>"
  std::string state{}; // opaque
  time_point expires_at{};
};

/// The stored state of `key`; empty when there is none that has not expired.
result<std::string> load_rate_window(transaction&, const std::string& key, time_point now);
/// The same for a transaction that is going to save it: nobody else gets it before the commit.
result<std::string> lock_rate_window(transaction&, const std::string& key, time_point now);
/// Upserts all, in one statement.
result<done> save_rate_windows(transaction&, const std::vector<rate_window>&);
result<std::int64_t> delete_expired_rate_windows(transaction&, time_point now);

} // namespace binnacle::persistence
