/// What Stripe's objects mean for a user's account here: the rules, without a call to Stripe and
/// without HTTP. Each function runs inside a transaction of its caller and may be repeated, in any
/// order, with the same outcome.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "config/catalogue.hpp"
#include "integrations/stripe/objects.hpp"
#include "persistence/transaction.hpp"

#include <vector>

namespace binnacle {

/// Stores a subscription as Stripe had it at `as_of`, unless something newer is known, and for one
/// of kind "plan" brings users.plan in line. Of the user's subscriptions that are active, trialing,
/// past_due or paused the newest gives the plan, so that one that ends takes nothing away that
/// another pays for; where there is none, one that ended (canceled, unpaid, incomplete_expired)
/// leaves free; else the plan stays (hub.md §5, made independent of the order). The plan of a
/// subscription is its price's, else metadata[plan]; one of neither is none of ours and gives and
/// takes nothing. The kind is metadata[kind], else usage when a price is a product's.
result<done> apply_subscription(persistence::transaction&, const user_id&,
                                const stripe::subscription&, const catalogue&, time_point as_of,
                                time_point now);

/// Grants the credits of a paid checkout session (mode payment, metadata[purpose] = credits) once,
/// by its id; hub.md §10. Anything else, and one that is not paid (yet), is left alone.
result<done> apply_credit_purchase(persistence::transaction&, const user_id&,
                                   const stripe::checkout_session&, time_point now);

/// Whether that would grant anything.
bool buys_credits(const stripe::checkout_session&);

/// What went back of the money for a pack of credits takes its share of the pack, as far as it is
/// unused, once for each refund or dispute, rounded down to tenths over all of them; one that did
/// not last (a refund that failed, a dispute that was won) gives it back. Concerns whom the pack
/// was granted to: after apply_credit_purchase; leaves alone what it leaves alone. While half of
/// the money or more is back, the purchase is none that earns who referred its buyer anything.
result<done> apply_reversals(persistence::transaction&, const stripe::checkout_session&,
                             std::vector<stripe::reversal>, time_point now);

/// What names the session as the cause of an entry: "checkout:<id>".
std::string source_of(const stripe::checkout_session&);

/// The user a checkout session is about: client_reference_id, else metadata[userId]; empty: none.
user_id user_of(const stripe::checkout_session&);

} // namespace binnacle
