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

/// A payment of the user, `payment` being its source ("checkout:cs_1"): whoever referred them is
/// granted `tenths`, at the first one, in this transaction, and notified. Nothing happens for who
/// was not referred, and when it was rewarded before. Touches billing of the owner.
result<done> reward_referral(transaction&, const user_id& referred, const std::string& payment,
                             std::int64_t tenths, time_point now);

/// The money of such a payment has gone back, or has come again. While none of a referral's
/// payments stands it is cancelled, and what is unused of its reward is taken back; when one does
/// again it is verified, and that is given back. Other payments are nothing. Touches billing of the
/// owner.
result<done> reconsider_referral(transaction&, const std::string& payment, bool returned,
                                 time_point now);

} // namespace binnacle::persistence
