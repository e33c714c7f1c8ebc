#include "actors/supervisor.hpp"

#include "actors/messages.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"

#include <algorithm>
#include <caf/event_based_actor.hpp>
#include <caf/result.hpp>
#include <caf/stateful_actor.hpp>
#include <deque>

namespace binnacle {
namespace {

struct guardian_state {
  explicit guardian_state(caf::event_based_actor* s) : self{s} {}
  static inline constexpr const char* name = "guardian";

  void spawn_child() {
    child = factory();
    self->monitor(child);
  }

  void on_down(const caf::down_msg& m) {
    if (!child || m.source != child.address()) return;
    child = nullptr;
    if (stopping) return self->quit(m.reason);
    auto now = self->clock().now();
    while (!restarts.empty() && now - restarts.front() > policy.within) restarts.pop_front();
    if (restarts.size() >= static_cast<std::size_t>(policy.most)) {
      log::error("actor gives up", {{"actor", label}, {"reason", caf::to_string(m.reason)}});
      give_up(label);
      return;
    }
    auto delay = policy.first;
    for (std::size_t i = 0; i < restarts.size() && delay < policy.longest; ++i) delay *= 2;
    restarts.push_back(now);
    metrics::counter("binnacle_actor_restarts_total", "Actors spawned anew", {{"actor", label}})
        .Increment();
    log::warn("actor restarts", {{"actor", label}, {"reason", caf::to_string(m.reason)}});
    self->delayed_send(self, std::min(delay, policy.longest), caf::tick_atom_v);
  }

  caf::event_based_actor* self;
  std::string label{};
  std::function<caf::actor()> factory{};
  std::function<void(const std::string&)> give_up{};
  restart_policy policy{};
  caf::actor child{};
  bool stopping = false;
  std::deque<caf::actor_clock::time_point> restarts{};
};

caf::behavior guardian(caf::stateful_actor<guardian_state>* self, std::string label,
                       std::function<caf::actor()> factory,
                       std::function<void(const std::string&)> give_up, restart_policy policy) {
  auto& state = self->state;
  state.label = std::move(label);
  state.factory = std::move(factory);
  state.give_up = std::move(give_up);
  state.policy = policy;
  self->set_down_handler([self](const caf::down_msg& m) { self->state.on_down(m); });
  self->set_exit_handler([self](const caf::exit_msg& m) {
    auto& s = self->state;
    s.stopping = true;
    if (s.child)
      self->send_exit(s.child, m.reason);
    else
      self->quit(m.reason);
  });
  self->set_default_handler(
      [self](caf::scheduled_actor*, caf::message_view& x) -> caf::result<caf::message> {
        if (!self->state.child) return caf::make_error(errc::unavailable);
        self->delegate(self->state.child, x.move_content_to_message());
        return caf::delegated<caf::message>{};
      });
  state.spawn_child();
  // A tick of the child's own interface is never sent to the guardian, so this one is ours.
  return {[self](caf::tick_atom) {
    if (!self->state.child && !self->state.stopping) self->state.spawn_child();
  }};
}

} // namespace

caf::actor spawn_guardian(caf::actor_system& system, std::string name,
                          std::function<caf::actor()> factory,
                          std::function<void(const std::string&)> give_up, restart_policy policy) {
  return system.spawn(guardian, std::move(name), std::move(factory), std::move(give_up), policy);
}

} // namespace binnacle
