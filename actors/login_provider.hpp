/// The OpenID provider at `identity.auth0_url`: where its endpoints are, and who has logged in
/// there.
///
/// What it says of itself is kept for an hour, and for a day more while it cannot be reached. Its
/// keys are kept as those of other issuers are (issuer_keys.hpp). A code is traded once: a call
/// whose outcome is unknown is not repeated, the browser begins anew.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <caf/fwd.hpp>

namespace binnacle {

/// `http` makes the calls.
login_provider_actor spawn_login_provider(caf::actor_system&, services&, upstream_actor http);

} // namespace binnacle
