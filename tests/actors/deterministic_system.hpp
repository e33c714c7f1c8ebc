/// A GoogleTest fixture for actors without threads and without sleeping: CAF's test scheduler runs
/// them in the test's own thread, and time passes only when the test says so.
///
///   class limiter_test : public deterministic_system {};
///   TEST_F(limiter_test, RecoversAfterAMinute) {
///     auto limiter = owned(spawn_limiter(system, {}));
///     EXPECT_FALSE(ask<verdict>(limiter, acquire{"key"})->admitted);
///     advance(60s);
///     EXPECT_TRUE(ask<verdict>(limiter, acquire{"key"})->admitted);
///   }
#pragma once

#include "actors/async.hpp"
#include "actors/interfaces.hpp"
#include "config/base/time.hpp"
#include "persistence/database.hpp"

#include <atomic>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <gtest/gtest.h>
#include <optional>
#include <vector>

namespace binnacle::testing {

/// The injected clock; `deterministic_system` moves it together with CAF's.
class fake_clock : public clock {
public:
  explicit fake_clock(time_point start) : now_{start} {}
  time_point now() const override { return now_; }
  void set(time_point t) { now_ = t; }
  void advance(caf::timespan d) {
    now_ += std::chrono::duration_cast<std::chrono::system_clock::duration>(d);
  }

private:
  time_point now_;
};

class deterministic_system : public ::testing::Test {
protected:
  using timespan = caf::timespan;

  deterministic_system()
      : system{prepare(config_)}, self{system, true},
        scheduler_{dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())} {
    scheduler_.clock().current_time += std::chrono::hours{1}; // not the epoch, which means "never"
  }
  /// Here and not in the destructor: actors may refer to members of the test's own class.
  void TearDown() override {
    for (auto& a : owned_) caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    owned_.clear();
    run();
  }

  /// Ends the actor at the end of the test.
  template <class Handle>
  Handle owned(Handle h) {
    owned_.push_back(caf::actor_cast<caf::actor>(h));
    return h;
  }

  /// Runs actors until none has anything to do at the present time.
  void run() {
    while (scheduler_.try_run_once()) {}
  }
  /// Jumps: what became due meanwhile happens at the end, once.
  void advance(timespan d) {
    time.advance(d);
    scheduler_.advance_time(d);
    run();
  }
  /// Lets time pass in steps, for actors that tick.
  void pass(timespan d, timespan step = std::chrono::seconds{1}) {
    for (timespan passed{0}; passed < d; passed += step) advance(step);
  }

  /// A request whose reply is fetched later, with `reply_of`.
  template <class Handle, class Message>
  auto start(const Handle& to, Message message) {
    auto out = self->request(to, caf::infinite, std::move(message));
    run();
    return out;
  }
  template <class T, class Handle>
  caf::expected<T> reply_of(Handle& asked) {
    run();
    caf::expected<T> out{caf::sec::runtime_error};
    asked.receive([&](T& x) { out = std::move(x); }, [&](caf::error& e) { out = std::move(e); });
    return out;
  }
  /// Only for requests that are answered without time passing; others would wait for ever.
  template <class T, class Handle, class Message>
  caf::expected<T> ask(const Handle& to, Message message) {
    auto asked = start(to, std::move(message));
    return reply_of<T>(asked);
  }
  template <class Handle, class Message>
  void tell(const Handle& to, Message message) {
    self->send(to, std::move(message));
    run();
  }
  template <class Handle>
  void stop(const Handle& h) {
    caf::anon_send_exit(h, caf::exit_reason::user_shutdown);
    run();
  }

private:
  static caf::actor_system_config& prepare(caf::actor_system_config& config) {
    config.set("scheduler.policy", caf::atom("testing"));
    config.set("logger.inline-output", true);
    return config;
  }
  caf::actor_system_config config_{};

protected:
  fake_clock time{*parse_iso("2026-03-10T12:20:30Z")};
  caf::actor_system system;
  caf::scoped_actor self;

private:
  caf::scheduler::test_coordinator& scheduler_;
  std::vector<caf::actor> owned_{};
};

/// What stands behind a fake storage pool. Functions bound to jobs get a transaction that records
/// what was touched and is good for nothing else.
struct fake_database {
  bool up = true;
  bool holding = false; // jobs are kept unanswered
  std::function<bool(const job&)> holds = [](const job&) { return false; }; // only such jobs
  std::int64_t jobs = 0;
};

/// A transaction for functions that do not need a database.
class fake_transaction final : public persistence::transaction {};

/// Runs a job if it is one of storage_job<T>.
template <class T>
bool run_as(job& what, const fake_database& db) {
  auto* mine = dynamic_cast<storage_job<T>*>(&what);
  if (!mine) return false;
  if (!db.up) {
    mine->outcome = fault{errc::unavailable};
    return true;
  }
  fake_transaction tx;
  mine->outcome = mine->body(tx);
  if (mine->outcome) mine->changes = tx.changes();
  return true;
}

struct fake_storage_state {
  explicit fake_storage_state(pool_actor::pointer) {}
};

/// A storage pool for jobs with results of these types, over a `fake_database`.
template <class... Ts>
pool_actor spawn_fake_storage(caf::actor_system& system, fake_database& db) {
  auto behaviour = [](pool_actor::stateful_pointer<fake_storage_state> self,
                      fake_database* database) -> pool_actor::behavior_type {
    return {[self, database](perform& p) -> caf::result<performed> {
              ++database->jobs;
              if (database->holding || database->holds(*p.what))
                return self->template make_response_promise<performed>();
              if (!(run_as<Ts>(*p.what, *database) || ...))
                ADD_FAILURE() << "a job of a type that the fake storage does not know";
              return performed{};
            },
            [](const worker_idled&) {}};
  };
  return system.spawn(behaviour, &db);
}

} // namespace binnacle::testing
