/// Distinct id types and ULIDs. An id is opaque text; a function that wants a user's id cannot be
/// handed a cluster's.
#pragma once

#include <chrono>
#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace binnacle {

template <class Tag>
struct id {
  std::string value{};

  auto operator<=>(const id&) const = default;
  bool empty() const { return value.empty(); }
};

using user_id = id<struct user_tag>;
using cluster_id = id<struct cluster_tag>;
using login_session_id = id<struct login_session_tag>; // a row of `sessions`, not an actor

/// A new ULID (26 characters of Crockford base32, monotonic within a millisecond in one thread).
/// Thread-safe. Source: the ULID specification, github.com/ulid/spec.
std::string make_ulid(std::chrono::system_clock::time_point now);

/// A new id: `prefix` (such as "usr_") and a ULID.
template <class Id>
Id make_id(std::string_view prefix, std::chrono::system_clock::time_point now) {
  return Id{std::string{prefix} + make_ulid(now)};
}

} // namespace binnacle

template <class Tag>
struct std::hash<binnacle::id<Tag>> {
  std::size_t operator()(const binnacle::id<Tag>& x) const noexcept {
    return std::hash<std::string>{}(x.value);
  }
};
