/// Listens to what any node commits and tells the front end. Whether anybody is listening is in
/// `services::listening`: while not, sessions trust no cache; each time listening begins (again),
/// `services::change_generation` rises and they drop what they had.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "persistence/database.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

/// Blocking, on a thread of its own.
notifier_actor spawn_notifier(caf::actor_system& system, services& app,
                              persistence::database_config config);

} // namespace binnacle
