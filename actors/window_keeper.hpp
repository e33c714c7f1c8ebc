/// Carries rate-limit windows over passivation and restarts. Sessions hand them in; they are
/// written in batches, every few seconds, and all at a graceful stop. What cannot be written now
/// (database down) is kept and tried again, newest state per key.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

window_keeper_actor spawn_window_keeper(caf::actor_system& system, services& app);

} // namespace binnacle
