/// Applies Stripe's events: one of an object at a time, over all nodes, and several objects side by
/// side.
///
/// What this node has stored it applies at once; what another has left behind (it died, or failed)
/// it finds within a second of its becoming due. An event is applied by reading the present state
/// of its object from Stripe and writing, in one transaction, what follows from it and that the
/// event is done: so it is done exactly once, whatever ends when. What fails is tried again after 1
/// s, doubling to 1 h, for ever; meanwhile it can be seen (GET /api/admin/billing/events, the
/// metrics binnacle_stripe_events…). What is about somebody who is no user yet waits for them.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

stripe_inbox_actor spawn_stripe_inbox(caf::actor_system&, services&);

/// The pause after the attempt of this number: 1 s doubling to 1 h.
seconds pause_after(std::int64_t attempt);

} // namespace binnacle
