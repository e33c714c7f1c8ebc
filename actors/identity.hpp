/// Examines credentials: our own tokens, tokens of configured issuers, session cookies.
///
/// Says what a credential is, once; whether it is still good is the session's decision at every
/// request. Keys of issuers are fetched by an actor of its own, kept as long as their Cache-Control
/// says, and fetched again once when a token names an unknown key.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

identity_actor spawn_identity(caf::actor_system& system, services& app, key_fetcher_actor fetcher);

/// Blocking HTTP, on a thread of its own.
key_fetcher_actor spawn_key_fetcher(caf::actor_system& system, services& app);

} // namespace binnacle
