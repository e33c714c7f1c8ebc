#include "actors/stripe.hpp"

#include "actors/upstream.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <unordered_map>

namespace binnacle {
namespace {

using integrations::http_answer;
using integrations::http_call;
using integrations::outcome;
using answer = result<http_answer>;
using instant = caf::actor_clock::time_point;

stripe_answer answered(answer a) { return {std::make_shared<const answer>(std::move(a))}; }

// -- callers -------------------------------------------------------------------------------------

struct caller_state {
  explicit caller_state(http_caller_actor::pointer) {}
  integrations::http_client client{};
  static inline constexpr const char* name = "stripe-caller";
};

http_caller_actor::behavior_type http_caller(http_caller_actor::stateful_pointer<caller_state> self,
                                             std::shared_ptr<std::atomic<bool>> cancelled) {
  return {[self, cancelled](const make_http_call& m) {
    return answered(self->state.client.send(*m.what, cancelled.get()));
  }};
}

// -- rate ----------------------------------------------------------------------------------------

/// A token bucket as a point in time: each call moves it on by its share of a second, and it may be
/// ahead of the present by what the bucket holds, an eighth of a second's calls.
class pacer {
public:
  explicit pacer(std::int64_t rate = 1)
      : share_{std::chrono::nanoseconds{std::chrono::seconds{1}} / rate},
        ahead_{share_ * std::max<std::int64_t>(rate / 8 - 1, 0)} {}

  bool admits(instant now) const { return full_at_ <= now + ahead_; }
  void take(instant now) { full_at_ = std::max(full_at_, now) + share_; }
  caf::timespan wait(instant now) const { return full_at_ - ahead_ - now; }

private:
  std::chrono::nanoseconds share_;
  std::chrono::nanoseconds ahead_;
  instant full_at_{};
};

// -- the actor -----------------------------------------------------------------------------------

struct stripe_state {
  explicit stripe_state(stripe_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "stripe";

  using id = std::uint64_t;

  enum class phase : std::uint8_t {
    queued,  // behind another call of its customer
    ready,   // in `ready`
    sent,    // with a caller
    pausing, // until its next attempt
  };

  struct job {
    std::shared_ptr<const stripe::call> what{};
    caf::typed_response_promise<stripe_answer> reply{};
    instant deadline{};
    phase now = phase::ready;
    int attempts = 0;
    bool open = false; // an attempt may have happened; no answer to a later one takes that back
    answer last{fault{errc::timed_out, {}, {}, "waited too long for its turn"}};
  };

  // -- in ---------------------------------------------------------------------------------------

  caf::result<stripe_answer> take(const call_stripe& asked) {
    if (config.account.key.empty())
      return answered(fault{errc::internal, "stripe_not_configured", {}, {}});
    if (breaker.is_open(now())) return answered(resting());
    if (waiting >= config.queue) return errc::overloaded;
    auto number = ++last_id;
    auto& j = jobs[number];
    j.what = asked.what;
    j.reply = self->make_response_promise<stripe_answer>();
    j.deadline = now() + asked.patience;
    ++waiting;
    auto reply = j.reply; // the job may be gone when dispatch returns
    enter_lane(number, j);
    dispatch();
    if (auto at = jobs.find(number); at != jobs.end() && at->second.now != phase::sent)
      self->delayed_send(stripe_actor{self}, asked.patience, stripe_call_due{number, 0});
    return reply;
  }

  void enter_lane(id number, job& j) {
    if (!j.what->customer.empty()) {
      auto& lane = lanes[j.what->customer];
      lane.push_back(number);
      if (lane.size() > 1) {
        j.now = phase::queued;
        return;
      }
    }
    ready.push_back(number);
  }

  // -- out --------------------------------------------------------------------------------------

  void dispatch() {
    send_ready();
    queued->Set(static_cast<double>(waiting));
  }

  void send_ready() {
    while (!ready.empty() && !breaker.is_open(now())) {
      auto at = jobs.find(ready.front());
      if (at == jobs.end()) { // its patience has ended
        ready.pop_front();
        continue;
      }
      if (in_flight >= (breaker.is_probing() ? 1 : config.parallel)) return;
      if (!pace.admits(now())) return wake_later();
      ready.pop_front();
      send(at->first, at->second);
    }
  }

  void wake_later() {
    if (std::exchange(will_wake, true)) return;
    self->delayed_send(stripe_actor{self}, pace.wait(now()), caf::tick_atom_v);
  }

  void send(id number, job& j) {
    auto left = std::chrono::duration_cast<milliseconds>(j.deadline - now());
    if (left.count() <= 0) return finish(number);
    pace.take(now());
    ++in_flight;
    if (j.attempts++ == 0) --waiting;
    j.now = phase::sent;
    auto caller = idle_caller();
    auto deadline = std::min(config.timeout, left);
    auto call =
        std::make_shared<const http_call>(stripe::to_http(*j.what, config.account, deadline));
    auto began = std::chrono::steady_clock::now();
    // The caller answers by itself at its deadline; the request's own is for one that is stuck.
    self->request(caller, deadline + seconds{5}, make_http_call{std::move(call)})
        .then(
            [this, number, caller, began](const stripe_answer& a) {
              idle.push_back(caller);
              on_answer(number, *a.what, began);
            },
            [this, number, began](const caf::error& e) {
              --callers; // not used again
              auto why = "the caller failed: " + caf::to_string(e);
              on_answer(number, fault{errc::upstream_failed, {}, {}, std::move(why)}, began);
            });
  }

  http_caller_actor idle_caller() {
    if (idle.empty()) {
      ++callers;
      return config.spawn_caller(self);
    }
    auto out = std::move(idle.back());
    idle.pop_back();
    return out;
  }

  void on_answer(id number, const answer& got, std::chrono::steady_clock::time_point began) {
    --in_flight;
    auto how = integrations::classify(got);
    observe_call("stripe", name_of(how), std::chrono::steady_clock::now() - began);
    auto& j = jobs.at(number);
    j.last = got;
    j.open = j.open || how == outcome::unreachable || how == outcome::faulty;
    auto was_probing = breaker.is_probing();
    learn(how, got);
    auto delay = was_probing ? std::nullopt : pause_after(j);
    // A pause that outlasts the caller's patience would only keep him from hearing what we know.
    if (delay && now() + *delay < j.deadline && !breaker.is_open(now())) {
      j.now = phase::pausing;
      self->delayed_send(stripe_actor{self}, *delay, stripe_call_due{number, j.attempts});
    } else {
      finish(number);
    }
    if (breaker.is_open(now())) fail_waiting();
    dispatch();
  }

  /// Refusals and throttling are answers of a Stripe that works.
  void learn(outcome how, const answer& got) {
    auto failed = how == outcome::unreachable || (got && got->status >= 500);
    if (!failed) return breaker.succeeded();
    if (breaker.failed(now()))
      log::warn("stripe circuit opens",
                {{"why", got ? "status " + std::to_string(got->status) : got.error().detail}});
  }

  std::optional<milliseconds> pause_after(const job& j) const {
    auto asked = j.last ? j.last->header("stripe-should-retry") : std::string{};
    if (asked == "false") return {};
    // Stripe knows better than the status when to repeat.
    auto refused = integrations::classify(j.last) == outcome::refused;
    auto judged = asked == "true" && refused ? answer{fault{errc::upstream_failed}} : j.last;
    return config.retry.delay_before(j.attempts + 1, judged, config.random());
  }

  void on_due(const stripe_call_due& due) {
    auto at = jobs.find(due.id);
    if (at == jobs.end()) return;
    auto& j = at->second;
    if (due.attempt == 0) {
      if (j.now == phase::queued || j.now == phase::ready) finish(due.id);
    } else if (breaker.is_open(now())) {
      finish(due.id);
    } else {
      j.now = phase::ready;
      ready.push_front(due.id); // what was begun goes before what was not
    }
    dispatch();
  }

  // -- ends -------------------------------------------------------------------------------------

  /// A repetition that is refused says of itself that it has not happened, and nothing of an
  /// attempt before it whose answer was lost.
  static answer known_of(job& j) {
    auto refused = integrations::classify(j.last) == outcome::refused;
    if (!refused || !j.open || j.what->method == "GET") return std::move(j.last);
    auto why = stripe::read_refusal(*j.last);
    if (stripe::already_exists(why)) return std::move(j.last);
    return fault{errc::upstream_failed,
                 {},
                 {},
                 "no answer to an earlier attempt, then: " + stripe::to_fault(why).detail};
  }

  /// Answers with the last thing known and lets the customer's next call go.
  void finish(id number) {
    auto node = jobs.extract(number);
    auto& j = node.mapped();
    if (j.attempts == 0) --waiting;
    auto front = j.now != phase::queued;
    j.reply.deliver(answered(known_of(j)));
    if (front && !j.what->customer.empty()) leave_lane(j.what->customer);
  }

  void leave_lane(const std::string& customer) {
    auto at = lanes.find(customer);
    auto& lane = at->second;
    lane.pop_front();
    while (!lane.empty() && !jobs.contains(lane.front())) lane.pop_front();
    if (lane.empty()) {
      lanes.erase(at);
      return;
    }
    jobs.at(lane.front()).now = phase::ready;
    ready.push_back(lane.front());
  }

  /// The circuit has opened: who has not been sent hears it now.
  void fail_waiting() {
    std::vector<id> unsent;
    for (const auto& [number, j] : jobs)
      if (j.now == phase::queued || j.now == phase::ready) unsent.push_back(number);
    for (auto number : unsent) {
      auto& j = jobs.at(number);
      if (j.attempts == 0) j.last = resting();
      finish(number);
    }
    ready.clear();
  }

  void stop() {
    *cancelled = true;
    for (auto& [number, j] : jobs) {
      if (j.now == phase::sent)
        j.last = fault{errc::upstream_failed, {}, {}, "the service stops; the outcome is unknown"};
      else if (j.attempts == 0)
        j.last = fault{errc::unavailable, {}, {}, "the service stops"};
      j.reply.deliver(answered(std::move(j.last)));
    }
    jobs.clear();
    queued->Set(0);
  }

  // -- what is known ----------------------------------------------------------------------------

  instant now() const { return self->clock().now(); }
  fault resting() const {
    return {errc::unavailable,
            {},
            {},
            "Stripe failed " + std::to_string(breaker.failures()) +
                " times in a row; it is asked again after a pause"};
  }

  stripe_actor::pointer self;
  stripe_config config{};
  circuit_breaker breaker{};
  pacer pace{};
  std::unordered_map<id, job> jobs{};
  std::unordered_map<std::string, std::deque<id>> lanes{}; // by customer; the first is at work
  std::deque<id> ready{}; // may be sent; ids of ended jobs are passed over, in lanes too
  std::vector<http_caller_actor> idle{};
  std::size_t callers = 0;
  std::size_t in_flight = 0;
  std::size_t waiting = 0; // not sent yet
  id last_id = 0;
  bool will_wake = false;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  prometheus::Gauge* queued = nullptr;
};

stripe_actor::behavior_type stripe_router(stripe_actor::stateful_pointer<stripe_state> self,
                                          stripe_config config) {
  auto& state = self->state;
  state.config = std::move(config);
  state.breaker = {state.config.tolerance, state.config.rest};
  state.pace = pacer{state.config.rate};
  state.queued =
      &metrics::gauge("binnacle_stripe_queue", "Calls to Stripe that have not been sent yet");
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.spawn_caller)
    // Linked: a caller lost to a bug takes the router down, and the supervisor makes both anew.
    state.config.spawn_caller = [cancelled = state.cancelled](stripe_actor::pointer parent) {
      return parent->spawn<caf::detached + caf::linked>(http_caller, cancelled);
    };
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.stop();
    self->quit(m.reason);
  });
  return {[self](const call_stripe& c) { return self->state.take(c); },
          [self](const stripe_call_due& d) { self->state.on_due(d); },
          [self](caf::tick_atom) {
            self->state.will_wake = false;
            self->state.dispatch();
          }};
}

/// The actor ends a call this much before its asker gives up, or a tenth before if that is less.
constexpr caf::timespan margin = milliseconds{500};

/// What the asker hears from CAF instead of an answer. Only a full queue is known to be harmless.
fault unanswered(const fault& f) {
  if (f.code == errc::overloaded) return f;
  return {errc::upstream_failed, {}, {}, "no answer from the Stripe actor: " + to_string(f)};
}

} // namespace

stripe_config stripe_config_of(const stripe_settings& s) {
  stripe_config out;
  out.account = {.api_url = s.api_url, .key = s.secret_key};
  out.rate = s.rate;
  out.parallel = static_cast<std::size_t>(s.parallel);
  out.queue = static_cast<std::size_t>(s.queue);
  out.timeout = s.timeout;
  out.retry.attempts = static_cast<int>(s.attempts);
  return out;
}

stripe_actor spawn_stripe(caf::actor_system& system, stripe_config config) {
  return system.spawn(stripe_router, std::move(config));
}

call_stripe request_for(stripe::call what, caf::timespan patience) {
  return {std::make_shared<const stripe::call>(std::move(what)),
          patience - std::min<caf::timespan>(patience / 10, margin)};
}

result<std::string> body_of(const result<stripe_answer>& reply) {
  if (!reply) return unanswered(reply.error());
  const auto& got = *reply->what;
  if (!got) return got.error();
  if (got->status >= 200 && got->status < 300) return got->body;
  return stripe::to_fault(stripe::read_refusal(*got));
}

result<stripe_answer> ask_stripe(caf::scoped_actor& self, const stripe_actor& to,
                                 caf::timespan patience, stripe::call what) {
  result<stripe_answer> out{fault{}};
  self->request(to, patience, request_for(std::move(what), patience))
      .receive([&](const stripe_answer& a) { out = a; },
               [&](const caf::error& e) { out = to_fault(e); });
  return out;
}

} // namespace binnacle
