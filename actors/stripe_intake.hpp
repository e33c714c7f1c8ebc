/// Stores Stripe's events as they come in, many in one commit: while one batch is at the database,
/// the next gathers.
///
/// Each event is answered by itself, and not before its commit. What PostgreSQL refuses together is
/// stored one by one, so that an event it cannot take fails alone. When the database is away, all
/// that wait are told so, and it is for the sender to bring them again: nothing is kept here.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

/// Tells the inbox of what is to be applied.
stripe_intake_actor spawn_stripe_intake(caf::actor_system&, services&);

} // namespace binnacle
