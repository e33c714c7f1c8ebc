#include "actors/notifier.hpp"

#include "actors/known_keys.hpp"
#include "config/base/log.hpp"

#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <thread>

namespace binnacle {
namespace {

/// Between two waits the actor looks into its mailbox, so this bounds how long a stop takes.
constexpr milliseconds patience{200};

struct notifier_state {
  explicit notifier_state(notifier_actor::pointer) {}
  ~notifier_state() {
    if (app) app->listening = false;
  }
  static inline constexpr const char* name = "notifier";

  std::vector<persistence::change> wait() {
    auto heard = listener->wait(patience, [this] {
      app->api_keys->forget(user_id{});
      app->change_generation.fetch_add(1, std::memory_order_acq_rel);
      app->listening.store(true, std::memory_order_release);
      // Readiness must come back without traffic: nobody sends any to a node that is not ready.
      app->database_up.store(true, std::memory_order_relaxed);
      log::info("listening for changes");
    });
    if (heard) return std::move(*heard);
    app->database_up.store(false, std::memory_order_relaxed);
    if (app->listening.exchange(false))
      log::warn("not listening for changes", {{"why", heard.error().detail}});
    std::this_thread::sleep_for(patience); // our own thread: nothing else waits for it
    return {};
  }

  services* app = nullptr;
  std::unique_ptr<persistence::change_listener> listener{};
};

notifier_actor::behavior_type notifier(notifier_actor::stateful_pointer<notifier_state> self,
                                       services* app, const persistence::database_config& config) {
  self->state.app = app;
  self->state.listener = std::make_unique<persistence::change_listener>(config);
  self->send(notifier_actor{self}, caf::tick_atom_v);
  return {[self](caf::tick_atom) {
    auto& state = self->state;
    if (auto changes = state.wait(); !changes.empty()) {
      state.app->api_keys->forget(changes);
      self->send(state.app->front_end, changed{std::move(changes)});
    }
    self->send(notifier_actor{self}, caf::tick_atom_v);
  }};
}

} // namespace

notifier_actor spawn_notifier(caf::actor_system& system, services& app,
                              persistence::database_config config) {
  return system.spawn<caf::detached>(notifier, &app, std::move(config));
}

} // namespace binnacle
