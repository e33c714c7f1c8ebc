/// Coroutines that run inside an actor: `task<T>` is lazy, is awaited once, and resumes its awaiter
/// in the same thread. Never write a capturing lambda inside a co_await expression: g++ 12 destroys
/// its captures twice (github.com/chriskohlhoff/asio/issues/1007).
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace binnacle {

template <class T>
class [[nodiscard]] task {
public:
  struct promise_type {
    std::optional<T> value{};
    std::exception_ptr failure{};
    std::coroutine_handle<> continuation = std::noop_coroutine();

    task get_return_object() {
      return task{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct resume_awaiter {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept {
        return h.promise().continuation;
      }
      void await_resume() noexcept {}
    };
    resume_awaiter final_suspend() noexcept { return {}; }
    template <class U>
    void return_value(U&& u) {
      value.emplace(std::forward<U>(u));
    }
    void unhandled_exception() { failure = std::current_exception(); }
  };

  task(task&& other) noexcept : frame_{std::exchange(other.frame_, {})} {}
  task& operator=(task&&) = delete;
  ~task() {
    if (frame_) frame_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    frame_.promise().continuation = awaiter;
    return frame_;
  }
  T await_resume() {
    auto& promise = frame_.promise();
    if (promise.failure) std::rethrow_exception(promise.failure);
    return std::move(*promise.value);
  }

private:
  explicit task(std::coroutine_handle<promise_type> frame) : frame_{frame} {}
  std::coroutine_handle<promise_type> frame_;
};

/// The outermost coroutine of a piece of work: starts at once, and its owner destroys it, whether
/// it has finished or not.
class detached_frame {
public:
  struct promise_type {
    detached_frame get_return_object() {
      return detached_frame{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); } // the body catches everything
  };

  detached_frame(detached_frame&& other) noexcept : frame_{std::exchange(other.frame_, {})} {}
  detached_frame& operator=(detached_frame&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~detached_frame() {
    if (frame_) frame_.destroy();
  }
  bool finished() const { return frame_.done(); }

private:
  explicit detached_frame(std::coroutine_handle<promise_type> frame) : frame_{frame} {}
  std::coroutine_handle<promise_type> frame_;
};

} // namespace binnacle
