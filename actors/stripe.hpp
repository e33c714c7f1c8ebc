/// Stripe: the one way to its API.
///
/// Calls of one customer are made one after another, in the order they came; those of different
/// customers in parallel, at most `parallel` at once and `rate` in a second. A call is repeated,
/// under the same Idempotency-Key, after network faults, 409, 429 and 5xx (Retry-After and
/// Stripe-Should-Retry respected), while its customer's other calls wait and everybody else's go
/// on. After `tolerance` failures of Stripe in a row the circuit is open: calls fail at once for
/// `rest`, then single ones decide.
///
/// Every call is answered. With the answer of Stripe, whatever its status, or with a fault:
///   internal         "stripe_not_configured": there is no key
///   timed_out        its patience ended before it was sent
///   unavailable      not sent: the circuit is open, or the service stops
///   upstream_failed  it was sent and nothing came back: it may have happened or not
/// and as a CAF error overloaded, when too many wait. What fails after having been sent never reads
/// as one of the others. Nothing here is lost or done twice by a restart because of what stands in
/// the outbox of the caller; the calls themselves are only in memory.
#pragma once

#include "actors/async.hpp"
#include "actors/interfaces.hpp"
#include "config/settings.hpp"
#include "integrations/stripe/calls.hpp"
#include "integrations/stripe/errors.hpp"
#include "integrations/stripe/objects.hpp"

#include <caf/fwd.hpp>
#include <functional>
#include <memory>

namespace binnacle {

/// Makes one HTTP call and blocks until it is over.
using http_caller_actor = caf::typed_actor<caf::replies_to<make_http_call>::with<stripe_answer>>;

struct stripe_config {
  stripe::account account{};
  std::int64_t rate = 80;       // calls a second
  std::size_t parallel = 16;    // at once
  std::size_t queue = 10'000;   // calls that may wait
  milliseconds timeout{30'000}; // of one HTTP call
  integrations::retry_policy retry{};
  int tolerance = 10;
  seconds rest{30};

  // For deterministic tests.
  std::function<http_caller_actor(stripe_actor::pointer)> spawn_caller{};
  std::function<double()> random{}; // in [0, 1)
};

stripe_config stripe_config_of(const stripe_settings&);

stripe_actor spawn_stripe(caf::actor_system&, stripe_config);

// -- asking it -----------------------------------------------------------------------------------

/// The body of Stripe's answer, or what went wrong (stripe::to_fault for a refusal).
result<std::string> body_of(const result<stripe_answer>&);

/// The request for a call that somebody waits `patience` for: the actor's patience is a little
/// shorter, so that it, not the asker's own timeout, tells how the call ended.
call_stripe request_for(stripe::call, caf::timespan patience);

/// co_await gives result<T>: the object that `read` finds in the answer.
template <class T, class Self>
class stripe_asking {
public:
  using reader = result<T> (*)(std::string_view);

  stripe_asking(async_scope& scope, Self* self, stripe_actor to, caf::timespan patience,
                stripe::call what, reader read)
      : inside_{scope, self, std::move(to), patience, request_for(std::move(what), patience)},
        read_{read} {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { inside_.await_suspend(waiter); }
  result<T> await_resume() {
    auto body = body_of(inside_.await_resume());
    if (!body) return body.error();
    return read_(*body);
  }

private:
  asking<stripe_answer, Self, stripe_actor, call_stripe> inside_;
  reader read_;
};

/// In a coroutine of an actor: co_await ask_stripe(scope, self, app.stripe, 30s,
/// stripe::get_customer(id), stripe::read_customer).
template <class Self, class T>
auto ask_stripe(async_scope& scope, Self* self, stripe_actor to, caf::timespan patience,
                stripe::call what, result<T> (*read)(std::string_view)) {
  return stripe_asking<T, Self>{scope, self, std::move(to), patience, std::move(what), read};
}

/// A call that is made at once; co_await, at most once, gives its outcome when it has come.
template <class T>
class under_way {
public:
  template <class Self>
  under_way(async_scope& scope, Self* self, const stripe_actor& to, caf::timespan patience,
            stripe::call what, result<T> (*read)(std::string_view)) {
    auto take = [inside = inside_, &scope, read](const result<stripe_answer>& answer) {
      auto body = body_of(answer);
      inside->outcome = body ? read(*body) : result<T>{body.error()};
      if (inside->waiter) scope.resume(inside->waiter);
    };
    self->request(to, patience, request_for(std::move(what), patience))
        .then([take](const stripe_answer& a) { take(a); },
              [take](const caf::error& e) { take(to_fault(e)); });
  }
  bool await_ready() const noexcept { return inside_->outcome.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) { inside_->waiter = waiter; }
  result<T> await_resume() { return std::move(*inside_->outcome); }

private:
  // Shared with the request, which may be answered when nobody waits any more.
  struct state {
    std::optional<result<T>> outcome{};
    std::coroutine_handle<> waiter{};
  };
  std::shared_ptr<state> inside_ = std::make_shared<state>();
};

/// From a thread that may block, such as a command's.
result<stripe_answer> ask_stripe(caf::scoped_actor& self, const stripe_actor& to,
                                 caf::timespan patience, stripe::call what);
template <class T>
result<T> ask_stripe(caf::scoped_actor& self, const stripe_actor& to, caf::timespan patience,
                     stripe::call what, result<T> (*read)(std::string_view)) {
  auto body = body_of(ask_stripe(self, to, patience, std::move(what)));
  if (!body) return body.error();
  return read(*body);
}

} // namespace binnacle
