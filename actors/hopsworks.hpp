/// Hopsworks: the one way to the admin APIs of all clusters.
///
/// Each cluster has an actor of its own with a thread, spawned when it is first called and replaced
/// when the cluster's address or key has changed. It makes one call at a time, repeats after
/// network faults, 429 and 5xx (Retry-After respected), and leaves a Hopsworks alone that fails
/// again and again: after `tolerance` failed calls in a row the circuit is open, calls fail at once
/// for `rest`, then one of them, tried once, decides. Calls may be repeated after an answer was
/// lost, so callers take "exists already" for success.
///
/// Every call is answered. With the answer of Hopsworks, whatever its status, or with a fault:
///   unprocessable    the cluster has no API key
///   timed_out        its patience ended before it was sent
///   unavailable      not sent: the circuit is open, or the service stops
///   upstream_failed  it was sent and nothing came back: it may have happened or not
/// and as a CAF error overloaded, when too many wait.
#pragma once

#include "actors/async.hpp"
#include "actors/hopsworks_messages.hpp"
#include "actors/services.hpp"
#include "integrations/hopsworks.hpp"

#include <atomic>
#include <caf/fwd.hpp>
#include <functional>
#include <memory>

namespace binnacle {

struct hopsworks_config {
  milliseconds deadline{10'000}; // of one HTTP call
  integrations::retry_policy retry{.attempts = 3, .longest = milliseconds{10'000}};
  std::size_t queue = 64; // calls that may wait, per cluster
  int tolerance = 5;
  seconds rest{30};

  // For deterministic tests.
  bool detached = true;
  std::function<result<integrations::http_answer>(const integrations::http_call&)> send{};
  std::function<double()> random{}; // in [0, 1)
};

hopsworks_actor spawn_hopsworks(caf::actor_system&, const services&, hopsworks_config = {});

// -- asking it -----------------------------------------------------------------------------------

/// The answer, or why there is none.
result<integrations::http_answer> answer_of(const result<hopsworks_answer>&);

/// The request for a call that somebody waits `patience` for: the actor's patience is a little
/// shorter, so that it, not the asker's own timeout, tells how the call ended.
call_hopsworks request_for(const persistence::cluster& where, hopsworks::call,
                           caf::timespan patience);

/// co_await gives result<T>: what `read` finds in the answer.
template <class T, class Self>
class hopsworks_asking {
public:
  using reader = result<T> (*)(const integrations::http_answer&);

  hopsworks_asking(async_scope& scope, Self* self, hopsworks_actor to, caf::timespan patience,
                   const persistence::cluster& where, hopsworks::call what, reader read)
      : inside_{scope, self, std::move(to), patience,
                request_for(where, std::move(what), patience)},
        read_{read} {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { inside_.await_suspend(waiter); }
  result<T> await_resume() {
    auto answer = answer_of(inside_.await_resume());
    if (!answer) return answer.error();
    return read_(*answer);
  }

private:
  asking<hopsworks_answer, Self, hopsworks_actor, call_hopsworks> inside_;
  reader read_;
};

/// In a coroutine of an actor: co_await ask_hopsworks(scope, self, app.hopsworks, 30s, cluster,
/// hopsworks::list_users(), hopsworks::read_users). Name the call first where it is built of texts.
template <class Self, class T>
auto ask_hopsworks(async_scope& scope, Self* self, hopsworks_actor to, caf::timespan patience,
                   const persistence::cluster& where, hopsworks::call what,
                   result<T> (*read)(const integrations::http_answer&)) {
  return hopsworks_asking<T, Self>{scope,           self, std::move(to), patience, where,
                                   std::move(what), read};
}

} // namespace binnacle
