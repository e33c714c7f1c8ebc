/// One database transaction, as the functions of this folder see it. Opened, committed and retried
/// by `database::run` only; SQL functions never begin or end one. Callers outside this folder
/// handle a `transaction&` without knowing what is inside (only persistence/ includes pqxx).
#pragma once

#include "config/base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::persistence {

/// What a commit changed, for whoever cached it.
enum class topic : std::uint8_t {
  identity,   // a user's row, credentials or login sessions
  usage,      // booked usage of a user
  billing,    // a user's money
  prices,     // the price list; concerns everybody
  clusters,   // cluster records; concerns everybody
  subscriber, // a subscriber's data, subscriptions, orders, invoices
  api_keys,   // keys of a developer's projects; concerns the projects' owner
};
inline constexpr std::size_t topic_count = 7;

/// A change of `what` for one user, or for everybody when `who` is empty.
struct change {
  topic what = topic::usage;
  user_id who{};

  bool operator==(const change&) const = default;
};

/// Every topic, for one user.
std::vector<change> everything_of(const user_id& who);
std::string_view name_of(topic t);

/// "usage:usr_1,usr_2" and back; the payload of NOTIFY on channel `binnacle_changes`.
std::vector<std::string> to_payloads(const std::vector<change>& changes);
std::vector<change> from_payload(const std::string& payload);

class transaction {
public:
  virtual ~transaction() = default;
  /// Notes a change; published (NOTIFY, and handed back by `database::run`) if the commit succeeds.
  void touch(change c) { changes_.push_back(std::move(c)); }
  const std::vector<change>& changes() const { return changes_; }

protected:
  std::vector<change> changes_{};
};

} // namespace binnacle::persistence
