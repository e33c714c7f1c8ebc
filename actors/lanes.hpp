/// Waiting for several coroutines of one actor that share a piece of work.
#pragma once

#include "actors/async.hpp"

#include <coroutine>
#include <utility>

namespace binnacle {

/// Opened together; each closes itself as its last act.
class lanes {
public:
  void opened(std::size_t count) { open_ += count; }
  /// The last one to close resumes whoever waits.
  void closed(async_scope& scope) {
    if (--open_ == 0 && waiter_) scope.resume(std::exchange(waiter_, {}));
  }
  /// co_await: until all are closed.
  auto all_closed() {
    struct awaiter {
      lanes& of;
      bool await_ready() const noexcept { return of.open_ == 0; }
      void await_suspend(std::coroutine_handle<> waiter) noexcept { of.waiter_ = waiter; }
      void await_resume() const noexcept {}
    };
    return awaiter{*this};
  }

private:
  std::size_t open_ = 0;
  std::coroutine_handle<> waiter_{};
};

} // namespace binnacle
