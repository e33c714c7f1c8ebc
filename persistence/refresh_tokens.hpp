/// Refresh tokens. Those of one login are a family, in which one is unused, the newest; how they
/// are given and taken is in actors/token_pairs.hpp. Of a token its SHA-256 is kept.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"
#include "persistence/users.hpp"

#include <optional>
#include <string>

namespace binnacle::persistence {

struct refresh_token {
  std::string digest{}; // SHA-256, 32 raw bytes
  time_point expires_at{};
};

/// The first of a new family.
result<done> insert_refresh_token(transaction&, const user_id&, std::int64_t session_version,
                                  const refresh_token& first, time_point now);

enum class refreshing : std::uint8_t {
  refused,  // nothing to be had for it: unknown, expired, revoked, its user not active
  rotated,  // used; the successor is in its place
  repeated, // used within the interval before
  reused,   // used longer ago: its family is revoked now
};
struct refreshed {
  refreshing what = refreshing::refused;
  std::string newest{}; // repeated: the family's newest token, sealed
  std::optional<user> who{};
};
/// Uses a token of this user. `successor` takes its place, and its sealed text is kept.
result<refreshed> use_refresh_token(transaction&, const user_id&, const std::string& digest,
                                    const refresh_token& successor, const std::string& sealed,
                                    seconds interval, time_point now);

/// Revokes the family of this token, if it is one of the user's.
result<done> revoke_refresh_family(transaction&, const user_id&, const std::string& digest,
                                   time_point now);

/// Deletes what has expired, and forgets what was sealed before; gives how many rows are gone.
result<std::int64_t> delete_expired_refresh_tokens(transaction&, time_point sealed_before,
                                                   time_point now);

} // namespace binnacle::persistence
