/// One upstream with a plain HTTP API, for everybody who needs it: at most `parallel` calls at
/// once, a bounded queue, a deadline, the one retry rule and a circuit breaker (upstream.hpp).
///
/// Every call is answered. With the upstream's answer, whatever its status, or with a fault:
///   timed_out        its patience ended before it was sent
///   unavailable      not sent: the circuit is open, or the service stops
///   upstream_failed  it was sent and nothing came back: it may have happened or not
/// and as a CAF error overloaded, when too many wait.
#pragma once

#include "actors/interfaces.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "integrations/http_client.hpp"

#include <caf/fwd.hpp>
#include <functional>
#include <string>

namespace binnacle {

/// Makes one HTTP call and blocks until it is over.
using blocking_caller_actor =
    caf::typed_actor<caf::replies_to<make_http_call>::with<upstream_answer>>;

struct upstream_config {
  std::string name{}; // in metrics and logs
  std::size_t parallel = 4;
  std::size_t queue = 256; // calls that may wait
  integrations::retry_policy retry{.attempts = 2, .first = milliseconds{200}};
  int tolerance = 5; // failures in a row until the circuit opens
  seconds rest{30};

  // For deterministic tests.
  std::function<blocking_caller_actor(upstream_actor::pointer)> spawn_caller{};
  std::function<double()> random{}; // in [0, 1)
};

upstream_actor spawn_upstream(caf::actor_system&, upstream_config);

/// The request for a call that somebody waits `patience` for: the actor's patience is a little
/// shorter, so that it, not the asker's own timeout, tells how the call ended.
call_upstream request_for(integrations::http_call what, caf::timespan patience,
                          bool repeatable = true);

/// The answer, or what went wrong; what fails without a word from the actor may have happened.
result<integrations::http_answer> answer_of(const result<upstream_answer>&);

} // namespace binnacle
