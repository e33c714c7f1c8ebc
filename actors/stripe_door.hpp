/// The one door through which Stripe's events come in, whoever brings them.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/base/errors.hpp"
#include "integrations/stripe/objects.hpp"
#include "persistence/stripe_events.hpp"

#include <string>

namespace binnacle {

/// An event as the inbox keeps it. Its events are ordered by customer, or by object when it is
/// nobody's; those about money that went back by its payment, for not all of them name a customer.
/// One of a type that has no effect is inert, unless it is of the other mode.
persistence::stripe_event to_inbox(const stripe_settings&, const stripe::event&,
                                   std::string payload);

/// A live event must not be applied by what the test mode's objects are, nor the other way round.
bool is_of_other_mode(const stripe_settings&, bool livemode);

/// Verifies the request's body and stores the event, once; when this returns it is committed, and
/// the sender may forget it. Faults:
///   bad_request   not signed by Stripe, or no event; the text says what is wrong, for the sender
///   internal      "Stripe not configured"
///   others        it was not stored: the sender must send it again
/// Counts binnacle_stripe_webhooks_total by outcome.
task<result<done>> receive_stripe_event(context&);

} // namespace binnacle
