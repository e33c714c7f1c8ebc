/// Users who may not use the service because of how they pay.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>

namespace binnacle::persistence {

/// Notes whether a customer has lost their last payment method: true from when there is none left
/// (`lost_one`, or one was known) until there is one again. To be called before set_payment_method.
result<done> note_lost_method(transaction&, const user_id&, bool has_method, bool lost_one);
result<bool> has_lost_method(transaction&, const user_id&);

/// An active user with a Stripe customer becomes suspended. Touches identity if so.
result<done> suspend_for_billing(transaction&, const user_id&, time_point now);

/// A suspended user becomes active again if suspend_for_billing did it or, whoever did it, if a
/// payment method was added since, at `method_added` by Stripe's clock, which counts seconds.
/// Touches identity if so.
result<done> lift_suspension(transaction&, const user_id&, std::optional<time_point> method_added,
                             time_point now);

} // namespace binnacle::persistence
