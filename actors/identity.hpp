/// Examines credentials: our own tokens, tokens of configured issuers, session cookies.
///
/// Says what a credential is, once; whether it is still good is the session's decision at every
/// request. Keys of issuers are fetched by an actor for each; when, see issuer_keys.hpp. A request
/// waits for keys only when its token names one that is not at hand.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>
#include <vector>

namespace binnacle {

/// One fetcher per configured issuer, in their order.
identity_actor spawn_identity(caf::actor_system& system, services& app,
                              const std::vector<key_fetcher_actor>& fetchers);

/// Blocking HTTP, on a thread of its own.
key_fetcher_actor spawn_key_fetcher(caf::actor_system& system, services& app);

} // namespace binnacle
