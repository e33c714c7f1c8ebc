/// Supervision: one helper keeps one actor alive.
///
/// `supervise` gives a handle that stays valid for ever. Behind it stands a guardian that spawns
/// the actor, passes every message on to it, and spawns it again when it ends: after 100 ms, then
/// twice as long each time, at most 10 s. More than ten restarts within a minute are not a fault
/// that goes away: the guardian gives up, and the service stops with an error. While there is no
/// actor, requests fail at once with errc::unavailable.
#pragma once

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <functional>
#include <string>

namespace binnacle {

struct restart_policy {
  std::chrono::milliseconds first{100};
  std::chrono::milliseconds longest{10'000};
  int most = 10;
  std::chrono::seconds within{60};
};

/// `factory` is called in the guardian, at the start and after each end; `give_up` once, with the
/// actor's name, on a scheduler thread.
caf::actor spawn_guardian(caf::actor_system& system, std::string name,
                          std::function<caf::actor()> factory,
                          std::function<void(const std::string&)> give_up,
                          restart_policy policy = {});

template <class Handle>
Handle supervise(caf::actor_system& system, std::string name, std::function<Handle()> factory,
                 std::function<void(const std::string&)> give_up, restart_policy policy = {}) {
  auto untyped = [factory = std::move(factory)] { return caf::actor_cast<caf::actor>(factory()); };
  return caf::actor_cast<Handle>(
      spawn_guardian(system, std::move(name), std::move(untyped), std::move(give_up), policy));
}

} // namespace binnacle
