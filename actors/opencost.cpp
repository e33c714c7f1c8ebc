#include "actors/opencost.hpp"

#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "integrations/opencost.hpp"

#include <algorithm>
#include <array>
#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <random>

namespace binnacle {
namespace {

using answer = result<integrations::http_answer>;

std::string_view name_of(integrations::outcome o) {
  static constexpr std::array names{"success", "refused", "throttled", "faulty", "unreachable"};
  return names[static_cast<std::size_t>(o)];
}

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
    auto got = call(waiting.front().what);
    auto read = got ? integrations::read_allocations(*got)
                    : result<integrations::allocation_set>{got.error()};
    count(got, read.has_value());
    if (read) {
      failures = 0;
      finish({std::make_shared<const integrations::allocation_set>(std::move(*read)), {}});
    } else if (auto delay = delay_after(got); delay) {
      self->delayed_send(opencost_actor{self}, *delay, caf::tick_atom_v);
    } else {
      fail(in_words(read.error()));
    }
  }

  answer call(const query_allocations& what) {
    auto request = integrations::allocation_call(target.access, from_unix(what.from),
                                                 from_unix(what.to), config.deadline);
    auto start = std::chrono::steady_clock::now();
    auto out = config.send(request);
    metrics::latency("binnacle_upstream_seconds", "Duration of calls to upstreams",
                     {{"upstream", "opencost"}})
        .Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return out;
  }

  void count(const answer& got, bool readable) const {
    auto how = integrations::classify(got);
    auto label = how == integrations::outcome::success && !readable ? "unreadable" : name_of(how);
    metrics::counter("binnacle_upstream_calls_total", "Calls to upstreams",
                     {{"upstream", "opencost"}, {"outcome", std::string{label}}})
        .Increment();
  }

  /// Nothing when the query has failed for good.
  std::optional<milliseconds> delay_after(const answer& got) const {
    if (failures >= config.tolerance || *target.cancelled) return {}; // a probe is not repeated
    // OpenCost reports its own faults inside a 200, and those are worth repeating like a 500.
    auto unreadable = integrations::classify(got) == integrations::outcome::success;
    auto judged = unreadable ? answer{fault{errc::upstream_failed}} : got;
    return config.retry.delay_before(attempts + 1, judged, config.random());
  }

  void fail(std::string why) {
    log::warn("opencost failed", {{"cluster", target.id.value}, {"why", why}});
    if (++failures >= config.tolerance) {
      open_until = self->clock().now() + config.rest;
      log::warn("opencost circuit opens", {{"cluster", target.id.value}});
    }
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

  bool is_open() const { return self->clock().now() < open_until; }
  std::string pause_text() const {
    return "OpenCost failed " + std::to_string(failures) +
           " times in a row; it is asked again after a pause";
  }

  opencost_actor::pointer self;
  opencost_target target{};
  opencost_config config{};
  std::deque<query> waiting{}; // the first is being worked on
  int attempts = 0;            // for the first
  int failures = 0;            // queries in a row
  caf::actor_clock::time_point open_until{};
};

std::function<double()> jitter() {
  auto engine = std::make_shared<std::minstd_rand>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<>{0, 1}(*engine); };
}

opencost_actor::behavior_type opencost(opencost_actor::stateful_pointer<opencost_state> self,
                                       opencost_target target, opencost_config config) {
  auto& state = self->state;
  state.target = std::move(target);
  state.config = std::move(config);
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.send) {
    auto client = std::make_shared<integrations::http_client>();
    auto cancelled = state.target.cancelled;
    state.config.send = [client, cancelled](const integrations::http_call& call) {
      return client->send(call, cancelled.get());
    };
  }
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
