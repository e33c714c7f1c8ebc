#include "actors/http_upstream.hpp"

#include "actors/upstream.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"

#include <algorithm>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <map>

namespace binnacle {
namespace {

using integrations::http_answer;
using integrations::http_call;
using answer = result<http_answer>;
using instant = caf::actor_clock::time_point;

upstream_answer answered(answer a) { return {std::make_shared<const answer>(std::move(a))}; }

struct caller_state {
  explicit caller_state(blocking_caller_actor::pointer) {}
  integrations::http_client client{};
  static inline constexpr const char* name = "upstream-caller";
};

blocking_caller_actor::behavior_type
blocking_caller(blocking_caller_actor::stateful_pointer<caller_state> self,
                std::shared_ptr<std::atomic<bool>> cancelled) {
  return {[self, cancelled](const make_http_call& m) {
    return answered(self->state.client.send(*m.what, cancelled.get()));
  }};
}

struct upstream_state {
  explicit upstream_state(upstream_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "http-upstream";

  using id = std::uint64_t;

  struct job {
    std::shared_ptr<const http_call> what{};
    caf::typed_response_promise<upstream_answer> reply{};
    instant deadline{};
    bool repeatable = true;
    bool sent = false; // and not answered yet
    int attempts = 0;
    answer last{fault{errc::timed_out, {}, {}, "waited too long for its turn"}};
  };

  caf::result<upstream_answer> take(const call_upstream& asked) {
    if (breaker.is_open(now())) return answered(resting());
    if (ready.size() >= config.queue) return errc::overloaded;
    auto number = ++last_id;
    auto& j = jobs[number];
    j.what = asked.what;
    j.reply = self->make_response_promise<upstream_answer>();
    j.deadline = now() + asked.patience;
    j.repeatable = asked.repeatable;
    auto reply = j.reply; // the job may be gone when dispatch returns
    ready.push_back(number);
    dispatch();
    if (auto at = jobs.find(number); at != jobs.end() && !at->second.sent)
      self->delayed_send(upstream_actor{self}, asked.patience, upstream_call_due{number, 0});
    return reply;
  }

  void dispatch() {
    while (!ready.empty() && !breaker.is_open(now()) &&
           in_flight < (breaker.is_probing() ? 1 : config.parallel)) {
      auto number = ready.front();
      ready.pop_front();
      send(number, jobs.at(number));
    }
    queued->Set(static_cast<double>(ready.size()));
  }

  void send(id number, job& j) {
    auto left = std::chrono::duration_cast<milliseconds>(j.deadline - now());
    if (left.count() <= 0) return finish(number);
    ++in_flight;
    ++j.attempts;
    j.sent = true;
    auto call = *j.what;
    call.deadline = std::min(call.deadline, left);
    auto patience = call.deadline + seconds{5}; // the caller ends by itself, unless it is stuck
    auto caller = idle_caller();
    auto began = std::chrono::steady_clock::now();
    make_http_call message{std::make_shared<const http_call>(std::move(call))};
    self->request(caller, patience, std::move(message))
        .then(
            [this, number, caller, began](const upstream_answer& a) {
              idle.push_back(caller);
              on_answer(number, *a.what, began);
            },
            [this, number, began](const caf::error& e) {
              auto why = "the caller failed: " + caf::to_string(e);
              on_answer(number, fault{errc::upstream_failed, {}, {}, std::move(why)}, began);
            });
  }

  blocking_caller_actor idle_caller() {
    if (idle.empty()) return config.spawn_caller(self);
    auto out = std::move(idle.back());
    idle.pop_back();
    return out;
  }

  void on_answer(id number, const answer& got, std::chrono::steady_clock::time_point began) {
    --in_flight;
    auto how = integrations::classify(got);
    observe_call(config.name, name_of(how), std::chrono::steady_clock::now() - began);
    auto was_probing = breaker.is_probing();
    learn(got);
    auto& j = jobs.at(number);
    j.sent = false;
    j.last = got;
    auto delay = j.repeatable && !was_probing
                     ? config.retry.delay_before(j.attempts + 1, got, config.random())
                     : std::nullopt;
    // A pause that outlasts the asker's patience would only keep him from hearing what we know.
    if (delay && now() + *delay < j.deadline && !breaker.is_open(now()))
      self->delayed_send(upstream_actor{self}, *delay, upstream_call_due{number, j.attempts});
    else
      finish(number);
    if (breaker.is_open(now())) fail_waiting();
    dispatch();
  }

  /// Refusals and throttling are answers of an upstream that works.
  void learn(const answer& got) {
    if (got && got->status < 500) return breaker.succeeded();
    if (breaker.failed(now()))
      log::warn("upstream circuit opens",
                {{"upstream", config.name},
                 {"why", got ? "status " + std::to_string(got->status) : got.error().detail}});
  }

  void on_due(const upstream_call_due& due) {
    auto at = jobs.find(due.id);
    if (at == jobs.end() || at->second.sent) return;
    if (due.attempt == 0) {
      if (std::erase(ready, due.id) > 0) finish(due.id);
    } else if (breaker.is_open(now())) {
      finish(due.id);
    } else {
      ready.push_front(due.id);
    }
    dispatch();
  }

  void finish(id number) {
    auto node = jobs.extract(number);
    node.mapped().reply.deliver(answered(std::move(node.mapped().last)));
  }

  /// The circuit has opened: who has not been sent hears it now.
  void fail_waiting() {
    for (auto number : std::exchange(ready, {})) {
      if (auto& j = jobs.at(number); j.attempts == 0) j.last = resting();
      finish(number);
    }
  }

  void stop() {
    *cancelled = true;
    for (auto& [number, j] : jobs) {
      if (j.sent)
        j.last = fault{errc::upstream_failed, {}, {}, "the service stops; the outcome is unknown"};
      else if (j.attempts == 0)
        j.last = fault{errc::unavailable, {}, {}, "the service stops"};
      j.reply.deliver(answered(std::move(j.last)));
    }
    jobs.clear();
    ready.clear();
    queued->Set(0);
  }

  instant now() const { return self->clock().now(); }
  fault resting() const {
    return {errc::unavailable,
            {},
            {},
            config.name + " failed " + std::to_string(breaker.failures()) +
                " times in a row; it is asked again after a pause"};
  }

  upstream_actor::pointer self;
  upstream_config config{};
  circuit_breaker breaker{};
  std::map<id, job> jobs{};
  std::deque<id> ready{}; // may be sent
  std::vector<blocking_caller_actor> idle{};
  std::size_t in_flight = 0;
  id last_id = 0;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  prometheus::Gauge* queued = nullptr;
};

upstream_actor::behavior_type upstream(upstream_actor::stateful_pointer<upstream_state> self,
                                       upstream_config config) {
  auto& state = self->state;
  state.config = std::move(config);
  state.breaker = {state.config.tolerance, state.config.rest};
  state.queued = &metrics::gauge("binnacle_upstream_queue", "Calls that have not been sent yet",
                                 {{"upstream", state.config.name}});
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.spawn_caller)
    // Linked: a caller lost to a bug takes the queue down, and the supervisor makes both anew.
    state.config.spawn_caller = [cancelled = state.cancelled](upstream_actor::pointer parent) {
      return parent->spawn<caf::detached + caf::linked>(blocking_caller, cancelled);
    };
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.stop();
    self->quit(m.reason);
  });
  return {[self](const call_upstream& c) { return self->state.take(c); },
          [self](const upstream_call_due& d) { self->state.on_due(d); }};
}

/// The actor ends a call this much before its asker gives up, or a tenth before if that is less.
constexpr caf::timespan margin = milliseconds{500};

} // namespace

upstream_actor spawn_upstream(caf::actor_system& system, upstream_config config) {
  return system.spawn(upstream, std::move(config));
}

call_upstream request_for(http_call what, caf::timespan patience, bool repeatable) {
  return {std::make_shared<const http_call>(std::move(what)),
          patience - std::min<caf::timespan>(patience / 10, margin), repeatable};
}

result<http_answer> answer_of(const result<upstream_answer>& reply) {
  if (reply) return *reply->what;
  if (reply.error().code == errc::overloaded) return reply.error();
  return fault{errc::upstream_failed, {}, {}, "no answer: " + to_string(reply.error())};
}

} // namespace binnacle
