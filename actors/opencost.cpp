#include "actors/opencost.hpp"

#include "actors/upstream.hpp"
#include "config/base/log.hpp"
#include "integrations/opencost.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>

namespace binnacle {
namespace {

using answer = result<integrations::http_answer>;

/// For an admin: what is wrong, and what exactly was said.
std::string in_words(const fault& f) {
  std::string out{f.message()};
  if (!f.detail.empty()) out.append(" (").append(f.detail).append(")");
  return out;
}

struct opencost_state {
  explicit opencost_state(opencost_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "opencost";

  struct query {
    query_allocations what{};
    caf::typed_response_promise<allocations> reply{};
  };

  caf::result<allocations> take(const query_allocations& what) {
    if (is_open()) return allocations{{}, pause_text()};
    if (waiting.size() >= config.queue) return errc::overloaded;
    auto reply = self->make_response_promise<allocations>();
    waiting.push_back({what, reply});
    if (waiting.size() == 1) self->send(opencost_actor{self}, caf::tick_atom_v);
    return reply;
  }

  /// One call for the query that is first in line. There is exactly one tick under way while
  /// queries wait.
  void attempt() {
    if (waiting.empty()) return;
    ++attempts;
    auto request =
        integrations::allocation_call(target.access, from_unix(waiting.front().what.from),
                                      from_unix(waiting.front().what.to), config.deadline);
    auto began = std::chrono::steady_clock::now();
    auto got = config.send(request);
    auto took = std::chrono::steady_clock::now() - began;
    auto read = got ? integrations::read_allocations(*got)
                    : result<integrations::allocation_set>{got.error()};
    auto how = integrations::classify(got);
    auto unreadable = how == integrations::outcome::success && !read;
    observe_call("opencost", unreadable ? "unreadable" : name_of(how), took);
    if (read) {
      breaker.succeeded();
      finish({std::make_shared<const integrations::allocation_set>(std::move(*read)), {}});
    } else if (auto delay = delay_after(got); delay) {
      self->delayed_send(opencost_actor{self}, *delay, caf::tick_atom_v);
    } else {
      fail(in_words(read.error()));
    }
  }

  /// Nothing when the query has failed for good.
  std::optional<milliseconds> delay_after(const answer& got) const {
    if (breaker.is_probing() || *target.cancelled) return {}; // a probe is not repeated
    // OpenCost reports its own faults inside a 200, and those are worth repeating like a 500.
    auto unreadable = integrations::classify(got) == integrations::outcome::success;
    auto judged = unreadable ? answer{fault{errc::upstream_failed}} : got;
    return config.retry.delay_before(attempts + 1, judged, config.random());
  }

  void fail(std::string why) {
    log::warn("opencost failed", {{"cluster", target.id.value}, {"why", why}});
    if (breaker.failed(self->clock().now()))
      log::warn("opencost circuit opens", {{"cluster", target.id.value}});
    if (!is_open()) return finish({{}, std::move(why)});
    waiting.front().reply.deliver(allocations{{}, std::move(why)});
    waiting.pop_front();
    attempts = 0;
    fail_waiting(pause_text());
  }

  void finish(allocations out) {
    attempts = 0;
    auto done = std::move(waiting.front());
    waiting.pop_front();
    done.reply.deliver(std::move(out));
    // By a message: an exit that has come meanwhile is seen before the next call.
    if (!waiting.empty()) self->send(opencost_actor{self}, caf::tick_atom_v);
  }

  void fail_waiting(const std::string& why) {
    for (auto& q : std::exchange(waiting, {})) q.reply.deliver(allocations{{}, why});
  }

  bool is_open() const { return breaker.is_open(self->clock().now()); }
  std::string pause_text() const {
    return "OpenCost failed " + std::to_string(breaker.failures()) +
           " times in a row; it is asked again after a pause";
  }

  opencost_actor::pointer self;
  opencost_target target{};
  opencost_config config{};
  std::deque<query> waiting{}; // the first is being worked on
  int attempts = 0;            // for the first
  circuit_breaker breaker{};   // of queries
};

opencost_actor::behavior_type opencost(opencost_actor::stateful_pointer<opencost_state> self,
                                       opencost_target target, opencost_config config) {
  auto& state = self->state;
  state.target = std::move(target);
  state.config = std::move(config);
  state.breaker = {state.config.tolerance, state.config.rest};
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.send) state.config.send = blocking_sender(state.target.cancelled);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.fail_waiting("The service is stopping or the cluster has changed");
    self->quit(m.reason);
  });
  return {[self](const query_allocations& q) { return self->state.take(q); },
          [self](caf::tick_atom) { self->state.attempt(); }};
}

} // namespace

caf::timespan longest_query(const opencost_config& config) {
  auto pauses = std::max(0, config.retry.attempts - 1);
  return config.deadline * config.retry.attempts + config.retry.longest * pauses;
}

opencost_config opencost_config_of(const collector_settings& settings) {
  opencost_config out;
  out.deadline = settings.upstream_timeout;
  out.retry.attempts = static_cast<int>(settings.upstream_attempts);
  return out;
}

opencost_actor spawn_opencost(caf::actor_system& system, opencost_target target,
                              opencost_config config) {
  if (config.detached)
    return system.spawn<caf::detached>(opencost, std::move(target), std::move(config));
  return system.spawn(opencost, std::move(target), std::move(config));
}

opencost_actor spawn_opencost(caf::actor_system& system, const services& app,
                              opencost_target target) {
  return spawn_opencost(system, std::move(target), opencost_config_of(app.config.collector));
}

} // namespace binnacle
