#include "actors/one_at_a_time.hpp"

#include "deterministic_system.hpp"

#include <stdexcept>

namespace binnacle {
namespace {

/// A run lasts until the test ends it; its number is what `sync_meters` would be asked to plan.
struct runner_state : actor_scope<meter_sync_actor::base> {
  explicit runner_state(meter_sync_actor::pointer s) : actor_scope{s} {}
  ~runner_state() { clear(); }

  struct end_of_run {
    runner_state& of;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { of.running = waiter; }
    void await_resume() const noexcept {}
  };
  task<result<meter_sync>> run(sync_meters what) {
    ++began;
    co_await end_of_run{*this};
    if (what.dry_run) throw std::runtime_error{"a bug"};
    if (!what.plan) co_return fault{errc::unprocessable};
    co_return meter_sync{.successful = began};
  }

  std::coroutine_handle<> running{};
  std::int64_t began = 0;
  one_at_a_time<sync_meters, meter_sync> runs{*this,
                                              [this](sync_meters what) { return run(what); }};
};

meter_sync_actor::behavior_type runner(meter_sync_actor::stateful_pointer<runner_state> self) {
  return {[self](const sync_meters& what) { return self->state.runs.take(self, what, 2); },
          [self](caf::tick_atom) {
            auto& s = self->state;
            s.resume(std::exchange(s.running, {}));
          }};
}

class one_at_a_time_test : public testing::deterministic_system {
protected:
  void SetUp() override { actor = owned(system.spawn(runner)); }
  auto bring(sync_meters what = {.plan = true}) { return start(actor, what); }
  void end_run() { tell(actor, caf::tick_atom_v); }
  /// Of how many that had begun it was the last; -1 for a fault.
  template <class Asked>
  std::int64_t place_of(Asked& asked) {
    auto got = reply_of<meter_sync>(asked);
    return got ? got->successful : -1;
  }
  template <class Asked>
  errc fault_of(Asked& asked) {
    auto got = reply_of<meter_sync>(asked);
    return got ? errc::none : to_fault(got.error()).code;
  }

  meter_sync_actor actor{};
};

TEST_F(one_at_a_time_test, ServesInTheOrderTheyCame) {
  auto first = bring(), second = bring(), third = bring();

  end_run();
  EXPECT_EQ(place_of(first), 1);
  end_run();
  EXPECT_EQ(place_of(second), 2);
  end_run();
  EXPECT_EQ(place_of(third), 3);
}

TEST_F(one_at_a_time_test, RefusesWhenTooManyWaitAndTakesAgainWhenThereIsRoom) {
  auto first = bring(), second = bring(), third = bring();
  auto refused = bring();
  EXPECT_EQ(fault_of(refused), errc::overloaded);

  end_run();
  auto later = bring();
  end_run();
  end_run();
  end_run();

  EXPECT_EQ(place_of(first), 1);
  EXPECT_EQ(place_of(second), 2);
  EXPECT_EQ(place_of(third), 3);
  EXPECT_EQ(place_of(later), 4);
}

TEST_F(one_at_a_time_test, GoesOnAfterARunThatFailsOrThrows) {
  auto failing = bring({.plan = false});
  auto throwing = bring({.plan = true, .dry_run = true});
  auto good = bring();

  end_run();
  EXPECT_EQ(fault_of(failing), errc::unprocessable);
  end_run();
  EXPECT_EQ(fault_of(throwing), errc::internal);
  end_run();
  EXPECT_EQ(place_of(good), 3);
}

TEST_F(one_at_a_time_test, StartsAtOnceWhenNothingRuns) {
  auto first = bring();
  end_run();
  EXPECT_EQ(place_of(first), 1);

  auto second = bring();
  end_run();
  EXPECT_EQ(place_of(second), 2);
}

} // namespace
} // namespace binnacle
