/// Who a user is to Stripe, and what they subscribe to there. Stripe is the truth; these rows are
/// what the service last knew of it. Every change touches topic billing.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct stripe_customer {
  user_id who{};
  std::string id{}; // cus_…
  bool has_payment_method = false;
  time_point created_at{};
};

result<std::optional<stripe_customer>> find_stripe_customer(transaction&, const user_id&);
/// Links the user to the customer unless there is a link, and returns the link there is: of several
/// at once, and until it is deleted at Stripe, the first wins. conflict when the customer is
/// another user's, gone when it was deleted.
result<stripe_customer> link_stripe_customer(transaction&, const user_id&,
                                             const std::string& customer, time_point now);
/// The customer was deleted at Stripe: it is nobody's any more, and the user may get another one.
result<done> unlink_stripe_customer(transaction&, const std::string& customer, time_point now);
/// How many customers of the user's were deleted at Stripe.
result<std::int64_t> former_stripe_customers(transaction&, const user_id&);
/// Whose customer it is; an empty id: nobody's.
result<user_id> user_of_customer(transaction&, const std::string& customer);
result<done> set_payment_method(transaction&, const user_id&, bool has_one);

struct subscription {
  std::string id{}; // sub_…
  user_id who{};
  std::string customer{};
  std::string kind = "plan"; // or usage: billed by meters
  std::string plan{};        // of kind plan: pro, premium, enterprise; else empty
  std::string status{};      // Stripe's
  std::optional<time_point> current_period_end{};
  bool cancel_at_period_end = false;
  time_point as_of{};      // when this was so in Stripe
  time_point created_at{}; // in Stripe
  time_point updated_at{}; // here
};

/// Active to the contracts: active, trialing, past_due, unpaid, paused.
bool is_active(const subscription&);

/// The database's clock, the only one for `as_of`: those of the nodes may differ. To be read before
/// Stripe is asked, so that no later news is taken for older than what was asked for.
result<time_point> stripe_clock(transaction&);

/// Stores what is known unless something newer is, and returns whether it was stored. Of equal age
/// the later call wins, but nothing follows Stripe's final statuses, canceled and
/// incomplete_expired. Whose it is and of which kind never changes: another user's is not stored.
/// `updated_at` is ignored; it becomes `now`.
result<bool> upsert_subscription(transaction&, const subscription&, time_point now);
/// The most recently changed first.
result<std::vector<subscription>> subscriptions_of(transaction&, const user_id&);
/// The one to show: the newest of those that are active, or of all when none is.
result<std::optional<subscription>> telling_subscription(transaction&, const user_id&,
                                                         const std::string& kind);
/// Whose it is; nothing when it is not known.
result<std::optional<subscription>> find_subscription(transaction&, const std::string& id);

// -- for admins -----------------------------------------------------------------------------------

/// How a user pays.
struct payer {
  user_id who{};
  std::string email{};
  std::string billing_mode{};        // prepaid, postpaid or empty
  std::string feature_flags = "{}";  // JSON
  std::string subscription_status{}; // of the telling usage subscription; empty: none
};
/// Newest users first.
result<std::vector<payer>> list_payers(transaction&);
result<std::optional<payer>> find_payer(transaction&, const user_id&);
/// prepaid with feature_flags.prepaid_enabled, or postpaid without. not_found. Touches identity.
result<done> set_prepaid(transaction&, const user_id&, bool prepaid, time_point now);
/// Active owners who pay afterwards, have a customer and never had a usage subscription; in the
/// order of their ids.
result<std::vector<payer>> payers_without_subscription(transaction&);

// -- plans ---------------------------------------------------------------------------------------

/// Until the transaction ends, nobody else who holds the account decides about its plan. not_found
/// when there is no such user.
result<done> hold_account(transaction&, const user_id&);
/// free, pro, premium or enterprise; not_found when there is no such user. A change touches
/// identity too.
result<done> set_plan(transaction&, const user_id&, const std::string& plan, time_point now);

} // namespace binnacle::persistence
