/// An actor_scope for work in the background, which nobody waits for impatiently: storage that is
/// gone for some seconds is tried again, and long steps take turns.
#pragma once

#include "actors/async.hpp"

#include <caf/actor_clock.hpp>
#include <deque>
#include <vector>

namespace binnacle {

/// The actor calls `wake_sleepers` about once a second.
template <class Self>
class patient_scope : public actor_scope<Self> {
public:
  using instant = caf::actor_clock::time_point;
  template <class T>
  using sql = std::function<result<T>(persistence::transaction&)>;

  using actor_scope<Self>::actor_scope;

  /// For work that may be repeated as a whole: `attempts` times, with pauses, while the database
  /// is unavailable, overloaded or too slow.
  template <class T>
  task<result<T>> stored(pool_actor storage, persistence::access how, sql<T> body) {
    for (int attempt = 1;; ++attempt) {
      auto out = co_await storage_call<T>{*this, storage, patience, how, body};
      if (out || attempt == attempts || !is_passing(out.error().code)) co_return std::move(out);
      co_await sleep{*this, pause};
    }
  }

  /// co_await: goes on after `length`, at a call of wake_sleepers.
  struct sleep {
    patient_scope& scope;
    caf::timespan length;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      scope.sleepers_.push_back({scope.self()->clock().now() + length, waiter});
    }
    void await_resume() const noexcept {}
  };

  /// co_await: goes on when nobody else has the turn. It must be given up by `end_turn`.
  struct turn {
    patient_scope& scope;
    bool await_ready() const noexcept { return !std::exchange(scope.taken_, true); }
    void await_suspend(std::coroutine_handle<> waiter) { scope.queue_.push_back(waiter); }
    void await_resume() const noexcept {}
  };
  /// The next one goes on inside this call, until it waits for something else.
  void end_turn() {
    taken_ = !queue_.empty();
    if (!taken_) return;
    auto next = queue_.front();
    queue_.pop_front();
    this->resume(next);
  }

  void wake_sleepers() {
    auto now = this->self()->clock().now();
    std::vector<sleeper> still, awake;
    for (auto& s : sleepers_) (s.until > now ? still : awake).push_back(s);
    sleepers_ = std::move(still);
    for (auto& s : awake) this->resume(s.waiter);
  }

private:
  static constexpr int attempts = 15;
  static constexpr std::chrono::seconds pause{2};
  static constexpr std::chrono::seconds patience{60}; // of one attempt

  static bool is_passing(errc code) {
    return code == errc::unavailable || code == errc::overloaded || code == errc::timed_out;
  }

  struct sleeper {
    instant until{};
    std::coroutine_handle<> waiter{};
  };
  std::vector<sleeper> sleepers_{};
  std::deque<std::coroutine_handle<>> queue_{};
  bool taken_ = false;
};

} // namespace binnacle
