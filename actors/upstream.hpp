/// What the actors in front of upstreams share.
#pragma once

#include "integrations/http_client.hpp"

#include <atomic>
#include <caf/actor_clock.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace binnacle {

/// Leaves an upstream alone that fails again and again: after `tolerance` failures in a row nothing
/// is asked for `rest`; then single probes decide, each failure of one opening it anew.
class circuit_breaker {
public:
  using instant = caf::actor_clock::time_point;

  circuit_breaker() = default;
  circuit_breaker(int tolerance, std::chrono::milliseconds rest)
      : tolerance_{tolerance}, rest_{rest} {}

  bool is_open(instant now) const { return now < open_until_; }
  /// What is asked now is a probe, unless it is open: one at a time, and not repeated.
  bool is_probing() const { return failures_ >= tolerance_; }
  int failures() const { return failures_; } // in a row

  void succeeded() {
    failures_ = 0;
    open_until_ = {};
  }
  /// True when this failure opens it.
  bool failed(instant now) {
    if (++failures_ < tolerance_) return false;
    open_until_ = now + rest_;
    return true;
  }

private:
  int tolerance_ = 5;
  std::chrono::milliseconds rest_{60'000};
  int failures_ = 0;
  instant open_until_{};
};

std::string_view name_of(integrations::outcome);

/// One call in binnacle_upstream_seconds and binnacle_upstream_calls_total.
void observe_call(const std::string& upstream, std::string_view outcome,
                  std::chrono::steady_clock::duration took);

/// Makes calls with a client of its own, whose connections it keeps; for one thread, which it
/// blocks. A call under way ends soon after `cancelled` is set.
std::function<result<integrations::http_answer>(const integrations::http_call&)>
blocking_sender(std::shared_ptr<const std::atomic<bool>> cancelled);

/// Random numbers in [0, 1), for one thread.
std::function<double()> jitter();

} // namespace binnacle
