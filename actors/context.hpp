/// What a handler sees: the request, who sends it, and the ways to wait for something.
#pragma once

#include "actors/async.hpp"
#include "actors/exchange.hpp"
#include "actors/services.hpp"
#include "actors/stripe.hpp"
#include "persistence/database.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <memory>
#include <string_view>

namespace binnacle {

/// Lives as long as its handler's coroutine. Everything here is used inside the session actor.
class context {
public:
  context(services& app_, async_scope& scope, session_actor::pointer self, ticket t,
          std::shared_ptr<const persistence::user> caller);

  services& app;
  const request& req;

  /// The authenticated user; only on routes whose access demands one.
  const persistence::user& who() const { return *caller_; }
  /// The authenticated user, or null.
  const persistence::user* caller() const { return caller_.get(); }
  /// The credential the request came with, or null.
  const credential* presented() const { return ticket_->presented.get(); }
  /// The same, for who needs it longer than this request.
  std::shared_ptr<const credential> credential_held() const { return ticket_->presented; }
  time_point now() const { return app.time->now(); }
  /// Refuses the request for a limit that is not its route's.
  fault refuse(const limit_report& over);
  /// Shows a limit that is not its route's in the answer's headers.
  void show(const limit_report& limit) { ticket_->limit = limit; }
  /// Time spent in the database so far.
  std::chrono::microseconds database_time() const { return database_time_; }
  /// Time left until the request's deadline.
  caf::timespan patience() const;

  /// One statement, one round trip: co_await ctx.read(persistence::find_user, id).
  template <class F, class... Args>
  auto read(F f, Args... args) {
    if constexpr (std::is_invocable_v<F, Args...>)
      return ask_database(f(args...));
    else
      return storage(persistence::access::read, f, std::move(args)...);
  }
  /// Several reads that agree with one another.
  template <class F, class... Args>
  auto snapshot(F f, Args... args) {
    return storage(persistence::access::snapshot, f, std::move(args)...);
  }
  /// A transaction; committed when the co_await returns a value.
  template <class F, class... Args>
  auto write(F f, Args... args) {
    return storage(persistence::access::write, f, std::move(args)...);
  }
  /// One statement that writes and may be repeated, one round trip; nothing is touched.
  template <class F, class... Args>
  auto append(F f, Args... args) {
    return storage(persistence::access::append, f, std::move(args)...);
  }
  /// A transaction that is worth it even when the request's time is over: it settles something
  /// that outlives the request.
  template <class F, class... Args>
  auto settle(F f, Args... args) {
    auto patience_of_its_own = std::max<caf::timespan>(patience(), app.config.http.request_timeout);
    return storage_call<value_of<F, Args...>>{scope_,
                                              app.storage,
                                              patience_of_its_own,
                                              persistence::access::write,
                                              bind_sql(f, std::move(args)...),
                                              &database_time_};
  }
  /// Blocking computation on a compute worker. `f` must not touch this context.
  template <class F>
  auto compute(F f) {
    using value = std::invoke_result_t<F>;
    return compute_call<value>{scope_, app.compute, patience(),
                               std::function<value()>{std::move(f)}};
  }
  /// The same on the worker for pictures: they take long, and passwords must not wait for them.
  template <class F>
  auto draw(F f) {
    using value = std::invoke_result_t<F>;
    return compute_call<value>{scope_, app.pictures, patience(),
                               std::function<value()>{std::move(f)}};
  }
  /// Calls of the object store, on one of its workers: f(store, deadline) -> result<T>. `f` must
  /// not touch this context.
  template <class F>
  auto with_objects(F f) {
    using value =
        std::invoke_result_t<F, integrations::object_store&, std::chrono::steady_clock::time_point>;
    auto call = [f, store = app.object_store,
                 deadline = std::chrono::steady_clock::now() + patience()] {
      return f(*store, deadline);
    };
    return compute_call<value>{scope_, app.objects, patience(),
                               std::function<value()>{std::move(call)}};
  }
  /// co_await ctx.ask<collection>(ctx.app.usage_collector, collect_usage{}). With `spare`, that
  /// much of the request's time is left for an answer when there is no reply.
  template <class T, class Handle, class Message>
  auto ask(Handle to, Message message, caf::timespan spare = {}) {
    return asking<T, std::remove_pointer_t<session_actor::pointer>, Handle, Message>{
        scope_, self_, std::move(to), patience() - spare, std::move(message)};
  }
  /// Such a call under way, to be waited for later, so that several are made at once. It waits for
  /// no other call of its customer.
  template <class T>
  under_way<T> start_stripe(caf::timespan longest, stripe::call what,
                            result<T> (*reader)(std::string_view)) {
    what.customer.clear();
    return {scope_, self_, app.stripe, std::min(longest, patience()), std::move(what), reader};
  }
  /// co_await ctx.stripe(stripe::get_customer(id), stripe::read_customer): an object, or why not
  /// (actors/stripe.hpp says what each fault means).
  template <class T>
  auto stripe(stripe::call what, result<T> (*reader)(std::string_view)) {
    return ask_stripe(scope_, self_, app.stripe, patience(), std::move(what), reader);
  }

private:
  template <class T>
  auto ask_database(persistence::query<T> what) {
    return storage_call<T>{scope_, app.storage, patience(), std::move(what), &database_time_};
  }
  template <class F, class... Args>
  auto storage(persistence::access how, F f, Args... args) {
    using value = value_of<F, Args...>;
    return storage_call<value>{
        scope_, app.storage, patience(), how, bind_sql(f, std::move(args)...), &database_time_};
  }

  async_scope& scope_;
  session_actor::pointer self_;
  ticket ticket_;
  std::shared_ptr<const persistence::user> caller_;
  std::chrono::microseconds database_time_{0};
};

} // namespace binnacle
