/// Waiting inside an actor: `co_await scope.read(…)`, `.write(…)`, `.compute(…)`, `ask<T>(…)`.
///
/// An `async_scope` belongs to one actor and owns the coroutine frames that run in it. Frames are
/// resumed only by that actor, so they never race with its message handlers. When the actor ends,
/// frames that still wait are destroyed, once, by their scope.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/task.hpp"
#include "actors/worker_pool.hpp"
#include "config/base/errors.hpp"
#include "persistence/query.hpp"
#include "persistence/transaction.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>

namespace binnacle {

namespace persistence {
enum class access;
}

/// The fault that a CAF error stands for: overloaded, timed_out, unavailable; or the one that
/// to_error made it of.
fault to_fault(const caf::error& e);
/// A fault as an actor's reply, with its texts but without its field.
caf::error to_error(const fault& f);

/// A job that runs `body` in a transaction of its worker's database.
class storage_job_base : public job {
public:
  persistence::access how{};
  std::chrono::steady_clock::time_point deadline{};
  std::vector<persistence::change> changes{};
  std::chrono::microseconds took{0};

protected:
  /// Runs unless the deadline has passed: nobody waits for the outcome then.
  result<done>
  run_in_transaction(worker_tools& tools,
                     const std::function<result<done>(persistence::transaction&)>& body);
};

template <class T>
class storage_job final : public storage_job_base {
public:
  std::function<result<T>(persistence::transaction&)> body{};
  result<T> outcome{fault{errc::unavailable, {}, {}, "storage job did not run"}};

  void run(worker_tools& tools) override {
    auto ran = run_in_transaction(tools, [this](persistence::transaction& tx) -> result<done> {
      outcome = body(tx);
      if (!outcome) return outcome.error();
      return done{};
    });
    // A commit that failed overrides what the body returned.
    if (!ran) outcome = ran.error();
  }
};

/// A query. A worker asks those that wait one behind the other together.
class query_job_base : public storage_job_base {
public:
  void run(worker_tools& tools) override;
  query_job_base* as_query() override { return this; }
  virtual persistence::question& question() = 0;

  /// Leaves out those whose deadline has passed.
  static void run_together(std::span<query_job_base* const> queries, worker_tools& tools);
};

template <class T>
class query_job final : public query_job_base {
public:
  explicit query_job(persistence::query<T> what) : query{std::move(what)} {}
  persistence::question& question() override { return query; }

  persistence::query<T> query;
};

template <class T>
class compute_job final : public job {
public:
  std::function<T()> body{};
  std::optional<T> outcome{};
  void run(worker_tools&) override { outcome.emplace(body()); }
};

class async_scope {
public:
  async_scope(const async_scope&) = delete;
  async_scope& operator=(const async_scope&) = delete;

  /// Takes over a coroutine that has started.
  void adopt(detached_frame frame);
  std::size_t in_flight() const { return frames_.size(); }
  /// Destroys what is left, unfinished or not.
  void clear() { frames_.clear(); }

  /// Runs a job on a pool and then resumes `waiter`; `failure` is set when it did not run.
  virtual void await_job(const pool_actor& pool, std::shared_ptr<job> what, caf::timespan patience,
                         std::coroutine_handle<> waiter, std::optional<fault>& failure) = 0;
  /// Resumes a coroutine of this scope, then removes the frames that have finished.
  void resume(std::coroutine_handle<> waiter);
  /// What a transaction of this scope has just committed.
  virtual void on_committed(const std::vector<persistence::change>&) {}
  /// The last frame has finished.
  virtual void on_idle() {}

protected:
  async_scope() = default;
  ~async_scope() = default;

private:
  void reap();
  std::list<detached_frame> frames_{};
};

/// An async_scope over the actor `Self`.
template <class Self>
class actor_scope : public async_scope {
public:
  explicit actor_scope(Self* self) : self_{self} {}
  void await_job(const pool_actor& pool, std::shared_ptr<job> what, caf::timespan patience,
                 std::coroutine_handle<> waiter, std::optional<fault>& failure) override {
    self_->request(pool, patience, perform{std::move(what)})
        .then([this, waiter](const performed&) { resume(waiter); },
              [this, waiter, &failure](const caf::error& e) {
                failure = to_fault(e);
                resume(waiter);
              });
  }

protected:
  Self* self() const { return self_; }

private:
  Self* self_;
};

/// co_await gives result<T>.
template <class T>
class storage_call {
public:
  storage_call(async_scope& scope, pool_actor pool, caf::timespan patience, persistence::access how,
               std::function<result<T>(persistence::transaction&)> body,
               std::chrono::microseconds* spent = nullptr)
      : scope_{scope}, pool_{std::move(pool)}, patience_{patience}, spent_{spent} {
    auto mine = std::make_shared<storage_job<T>>();
    mine->how = how;
    mine->body = std::move(body);
    take(
        std::move(mine), [](auto& j) -> auto& { return j.outcome; });
  }
  storage_call(async_scope& scope, pool_actor pool, caf::timespan patience,
               persistence::query<T> what, std::chrono::microseconds* spent = nullptr)
      : scope_{scope}, pool_{std::move(pool)}, patience_{patience}, spent_{spent} {
    take(
        std::make_shared<query_job<T>>(std::move(what)),
        [](auto& j) -> auto& { return j.query.outcome; });
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    scope_.await_job(pool_, job_, patience_, waiter, failure_);
  }
  result<T> await_resume() {
    if (failure_) return std::move(*failure_);
    if (spent_) *spent_ += job_->took;
    if (!job_->changes.empty()) scope_.on_committed(job_->changes);
    return std::move(*outcome_);
  }

private:
  template <class Job, class OutcomeOf>
  void take(std::shared_ptr<Job> mine, OutcomeOf outcome_of) {
    outcome_ = &outcome_of(*mine);
    job_ = std::move(mine);
    job_->deadline = std::chrono::steady_clock::now() + patience_;
  }

  async_scope& scope_;
  pool_actor pool_;
  caf::timespan patience_;
  std::chrono::microseconds* spent_;
  std::shared_ptr<storage_job_base> job_{};
  result<T>* outcome_ = nullptr; // in the job
  std::optional<fault> failure_{};
};

/// What a computation gives that may fail anyway is not wrapped once more.
template <class T>
struct computed {
  using type = result<T>;
};
template <class T>
struct computed<result<T>> {
  using type = result<T>;
};

/// co_await gives result<T>.
template <class T>
class compute_call {
public:
  compute_call(async_scope& scope, pool_actor pool, caf::timespan patience, std::function<T()> body)
      : scope_{scope}, pool_{std::move(pool)}, patience_{patience},
        job_{std::make_shared<compute_job<T>>()} {
    job_->body = std::move(body);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    scope_.await_job(pool_, job_, patience_, waiter, failure_);
  }
  typename computed<T>::type await_resume() {
    if (failure_) return std::move(*failure_);
    if (!job_->outcome) return internal_fault("compute job failed");
    return std::move(*job_->outcome);
  }

private:
  async_scope& scope_;
  pool_actor pool_;
  caf::timespan patience_;
  std::shared_ptr<compute_job<T>> job_;
  std::optional<fault> failure_{};
};

/// Asks an actor: co_await gives result<T>. `message` must be one of its message structs.
template <class T, class Self, class Handle, class Message>
class asking {
public:
  asking(async_scope& scope, Self* self, Handle to, caf::timespan patience, Message message)
      : scope_{scope}, self_{self}, to_{std::move(to)}, patience_{patience}, message_{std::move(
                                                                                 message)} {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    self_->request(to_, patience_, std::move(message_))
        .then(
            [this, waiter](T& reply) {
              reply_ = std::move(reply);
              scope_.resume(waiter);
            },
            [this, waiter](const caf::error& e) {
              reply_ = to_fault(e);
              scope_.resume(waiter);
            });
  }
  result<T> await_resume() { return std::move(reply_); }

private:
  async_scope& scope_;
  Self* self_;
  Handle to_;
  caf::timespan patience_;
  Message message_;
  result<T> reply_{fault{errc::unavailable}};
};

/// The value type of a function that returns result<T>.
template <class F, class... Args>
using value_of = typename std::invoke_result_t<F, persistence::transaction&, Args&...>::value_type;

/// Binds an SQL function to its arguments, which are kept by value so that a retry sees them again.
template <class F, class... Args>
std::function<result<value_of<F, Args...>>(persistence::transaction&)> bind_sql(F f, Args... args) {
  return [f, kept = std::tuple{std::move(args)...}](persistence::transaction& tx) mutable {
    return std::apply([&](auto&... xs) { return f(tx, xs...); }, kept);
  };
}

} // namespace binnacle
