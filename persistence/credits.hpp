/// The ledger of credits that users bought or were given, in whole tenths of a credit.
///
/// Entries are added and never changed. A user's entries are made one at a time, so that concurrent
/// uses never overdraw. What one grant brought is a lot; uses are paid from the lot that expires
/// first, and every entry says which lots it drew from or filled. Before any entry, what has
/// expired by `now` is written off, one entry per lot, so that `balance_after` is always what could
/// be used at that moment.
///
/// Every entry has a `source` that names its cause ("checkout:cs_1", "job:42"), unique per user and
/// kind; that of a checkout's grant over all users. Booking the same again changes nothing and
/// returns the first entry; the same source with other content is conflict.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// Ascending in the order in which a user's entries were made.
enum class credit_entry_id : std::int64_t {};

enum class credit_kind : std::uint8_t {
  grant,       // bought or given; opens a lot
  use,         // paid from lots
  expiry,      // what was left of one lot when it expired
  refund,      // takes back a use, or a part of it
  revocation,  // takes what is left of a grant whose money went back
  restoration, // takes back a revocation
};

struct credit_entry {
  credit_entry_id id{};
  credit_kind kind = credit_kind::grant;
  std::string source{};
  std::int64_t tenths = 0; // negative for a use, an expiry or a revocation, which may be of 0
  /// What this takes back: of a refund the use, of a revocation the grant, of a restoration the
  /// revocation.
  std::optional<credit_entry_id> use{};
  std::optional<time_point> expires_at{}; // of the lot it opened; none: never, or it opened none
  std::int64_t balance_after = 0;         // tenths
  time_point occurred_at{};
  time_point created_at{};

  bool operator==(const credit_entry&) const = default;
};

struct booked_credits {
  credit_entry entry{};
  bool repeated = false; // it was there already, and nothing was changed
};

struct credit_grant {
  std::string source{};
  std::int64_t tenths = 0;
  std::optional<time_point> expires_at{}; // none: never; from this instant on it cannot be used
  time_point occurred_at{};
};
/// Adds a lot. bad_request; not_found for an unknown user; conflict. Touches billing.
result<booked_credits> grant_credits(transaction&, const user_id&, const credit_grant&,
                                     time_point now);

/// Pays `tenths` in full or, unprocessable with a text that says how much is left, not at all.
/// bad_request; not_found for an unknown user; conflict. Touches billing.
result<booked_credits> use_credits(transaction&, const user_id&, const std::string& source,
                                   std::int64_t tenths, time_point now);

struct use_refund {
  std::string use{};                    // source of the use
  std::string source{};                 // of the refund
  std::optional<std::int64_t> tenths{}; // none: all that was not refunded before
};
/// Takes a use back, never more than it used: conflict when that much is not left of it. What was
/// taken last goes back first, so that a part returns to the lot that lasts longest. A lot that has
/// expired is not reopened: its share becomes a new lot that lasts `refund_grace` from `now`, for a
/// failed job is no reason to lose credits that were good when they were spent. bad_request;
/// not_found for an unknown user or use; conflict. Touches billing.
result<booked_credits> refund_use(transaction&, const user_id&, const use_refund&, time_point now);

struct grant_revocation {
  std::string grant{};  // source of the grant
  std::string source{}; // of the revocation
  std::int64_t tenths = 0;
};
/// Takes what is left of the grant, at most `tenths`; what was used stays used. Booked even when
/// that is nothing, so that it is done once and for all: what comes back to the lot later stays.
/// bad_request; not_found for an unknown user or grant; conflict. Touches billing.
result<booked_credits> revoke_grant(transaction&, const user_id&, const grant_revocation&,
                                    time_point now);
/// Whom the grant of this source, a checkout's, went to; empty: there is none.
result<user_id> checkout_holder(transaction&, const std::string& source);
/// Takes the revocation of that source back, once, to where `refund_use` would bring it. Nothing
/// happens when there is none, or it took nothing. not_found for an unknown user. Touches billing.
result<done> restore_grant(transaction&, const user_id&, const std::string& source, time_point now);

/// Writes off what has expired, of at most `users` users, and returns the number of lots; to be
/// called again until it returns 0. Users who are being booked just now are left for the next call.
/// Any number of callers at once. Touches billing.
result<std::int64_t> expire_credits(transaction&, time_point now, std::int64_t users);

/// What the user can use at `now`, in tenths; exact before the sweep, too. 0 for an unknown user.
result<std::int64_t> credit_balance(transaction&, const user_id&, time_point now);

/// When what the user can use falls next by itself; none: never.
result<std::optional<time_point>> next_credit_expiry(transaction&, const user_id&, time_point now);

/// A user's entries, newest first, at most `most`; older than `before`, if given.
result<std::vector<credit_entry>> credit_entries_of(transaction&, const user_id&,
                                                    std::optional<credit_entry_id> before,
                                                    std::int64_t most);

/// What one lot paid for a use.
struct credit_payment {
  credit_entry lot{}; // the grant, or the refund, that opened it
  std::int64_t tenths = 0;

  bool operator==(const credit_payment&) const = default;
};
/// In the order in which they were drawn from. not_found when the user has no such use.
result<std::vector<credit_payment>> explain_use(transaction&, const user_id&, credit_entry_id use);

/// Recomputes everything of a user's ledger that can be computed and says, for operators, what
/// differs; empty when all is well. Reads the whole ledger.
result<std::vector<std::string>> verify_ledger(transaction&, const user_id&);

} // namespace binnacle::persistence
