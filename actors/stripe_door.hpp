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
/// nobody's.
persistence::stripe_event to_inbox(const stripe::event&, std::string payload);

/// Verifies the request's body and stores the event, once; when this returns it is committed, and
/// the sender may forget it. Faults:
///   bad_request   not signed by Stripe, or no event; the text says what is wrong, for the sender
///   internal      "Stripe not configured"
///   others        it was not stored: the sender must send it again
/// Counts binnacle_stripe_webhooks_total by outcome.
task<result<done>> receive_stripe_event(context&);

} // namespace binnacle
