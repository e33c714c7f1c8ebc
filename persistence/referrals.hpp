/// Who sent whom to us, and what they got for it. A user has one code, a person is referred once,
/// and a referral is rewarded once. hub.md §3 and §10.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

struct referral {
  std::string id{};
  std::string status{};    // pending, verified, paid, cancelled
  std::int64_t tenths = 0; // of a credit, that were granted for it
  time_point occurred_at{};
};

/// What a user's code has brought.
struct referral_summary {
  std::string code{}; // empty: has none yet
  std::int64_t pending = 0;
  std::int64_t verified = 0;
  std::int64_t paid = 0;
  std::int64_t cancelled = 0;
  std::int64_t total = 0;
  std::int64_t tenths = 0;
  std::vector<referral> newest{}; // first; at most five
};
result<referral_summary> summarise_referrals(transaction&, const user_id&);

/// The user's code. Whoever has none gets the first of `candidates` that nobody has; of several
/// calls at once all return the same. not_found for an unknown user; conflict when others have all
/// candidates.
result<std::string> ensure_referral_code(transaction&, const user_id&,
                                         const std::vector<std::string>& candidates,
                                         time_point now);

/// How long after an account was made it can still be said who referred its user.
inline constexpr hours referral_window{30 * 24};

/// Notes that the owner of `code`, whatever its case, referred the user; false when that was known.
/// not_found: nobody has the code. conflict: it is the user's own, another's came first, the
/// account is older than `referral_window`, or its user has paid already.
result<bool> record_referral(transaction&, const user_id& referred, const std::string& code,
                             time_point now);

/// A payment of the user: whoever referred them is granted `tenths`, at the first one, in this
/// transaction, and notified. Nothing happens for who was not referred, and when it was rewarded
/// before. Touches billing of the owner.
result<done> reward_referral(transaction&, const user_id& referred, std::int64_t tenths,
                             time_point now);

} // namespace binnacle::persistence
