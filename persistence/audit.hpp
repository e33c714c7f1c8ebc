/// Reading the audit log. It is written by write_audit (users.hpp), in the transaction of what it
/// tells of.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct audit_filter {
  std::string actor{};  // a user's id; empty: everybody's
  std::string action{}; // empty: all
  std::optional<time_point> from{};
  std::optional<time_point> to{};       // exclusive
  std::optional<std::int64_t> before{}; // only rows with a smaller id
  std::int64_t most = 100;
};

struct audit_row {
  std::int64_t id = 0;
  time_point at{};
  std::string actor{}; // empty: nobody who was logged in
  std::string action{};
  std::string target{};
  std::string detail{}; // JSON
  std::string address{};
};

/// Newest first. Of everybody: for admins. A row is among them once every transaction that was
/// writing when it was written has ended, so that none ever appears below one that was read.
result<std::vector<audit_row>> list_audit(transaction&, const audit_filter&);

} // namespace binnacle::persistence
