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
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace binnacle {

/// A resident session as its front end and it itself see it: one block, held by both.
struct resident {
  resident(std::string key_, std::uint32_t now) : key{std::move(key_)}, last_use{now} {}

  /// "user:<id>" or "addr:<address>"; names its stored windows too.
  const std::string key;
  /// Seconds (of the service's clock) at which it last had something to do: the session writes, the
  /// front end looks for idle ones.
  std::atomic<std::uint32_t> last_use;

  static std::string key_of(const user_id& who) { return "user:" + who.value; }
  static std::string key_of_address(std::string_view address) {
    return "addr:" + std::string{address};
  }
  /// The id of the user whose session it is; empty: anonymous.
  std::string_view user() const {
    return key.starts_with("user:") ? std::string_view{key}.substr(5) : std::string_view{};
  }
};

session_actor spawn_session(caf::actor_system& system, services& app,
                            std::shared_ptr<resident> self);

} // namespace binnacle
