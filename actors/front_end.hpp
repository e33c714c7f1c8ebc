/// Finds the session of a request, or makes it.
///
/// A request whose credential the connection remembers never comes here: it goes straight to its
/// session. Here arrive first requests (sent on to identity when they carry a credential), requests
/// whose credential a session refused (served anonymously then), and those whose session had ended.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

front_end_actor spawn_front_end(caf::actor_system& system, services& app);

} // namespace binnacle
