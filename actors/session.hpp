/// The session of one user, or of one client address for callers without a valid credential.
///
/// It owns that caller's rate-limit windows and cached summaries, decides at every request whether
/// the credential is still good, applies the surface's checks in the surface's order, and answers
/// from its cache or runs the route's handler. The limiter decides before the first wait, so
/// requests in flight at once cannot race it.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"

#include <atomic>
#include <caf/fwd.hpp>
#include <memory>
#include <string>

namespace binnacle {

/// Whose session it is.
struct session_key {
  user_id who{};         // empty: anonymous
  std::string address{}; // of anonymous callers

  /// "user:<id>" or "addr:<address>"; names its stored windows too.
  std::string text() const { return who.empty() ? "addr:" + address : "user:" + who.value; }
};

/// Seconds (of the service's clock) at which a session last had something to do; shared with the
/// front end, which looks for idle ones.
using last_use = std::atomic<std::uint32_t>;

session_actor spawn_session(caf::actor_system& system, services& app, session_key key,
                            std::shared_ptr<last_use> used);

} // namespace binnacle
