#include "actors/supervisor.hpp"

#include "actors/interfaces.hpp"
#include "deterministic_system.hpp"

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using testing::deterministic_system;

/// Any interface will do; this one is small. Reply: the number of the child that answers.
using numbered_actor = window_keeper_actor;

struct numbered_state {
  explicit numbered_state(numbered_actor::pointer) {}
};

numbered_actor::behavior_type numbered(numbered_actor::stateful_pointer<numbered_state> self,
                                       std::uint64_t number) {
  return {[](const keep_windows&) {},
          [self](const recall_windows&) {
            self->quit(caf::exit_reason::unhandled_exception);
            return kept_windows{};
          },
          [number](const flush_windows&) {
            return flushed{number, true};
          },
          [](caf::tick_atom) {}};
}

class supervisor_test : public deterministic_system {
protected:
  numbered_actor spawn(restart_policy policy = {}) {
    return owned(supervise<numbered_actor>(
        system, "numbered", [this] { return system.spawn(numbered, ++spawned); },
        [this](const std::string& who) { given_up.push_back(who); }, policy));
  }
  /// The number of the child that answers; 0 when none does.
  std::uint64_t who(const numbered_actor& h) {
    auto got = ask<flushed>(h, flush_windows{});
    if (!got) error = got.error();
    return got ? got->windows : 0;
  }
  void crash(const numbered_actor& h) { tell(h, recall_windows{}); }

  std::uint64_t spawned = 0;
  std::vector<std::string> given_up{};
  caf::error error{};
};

TEST_F(supervisor_test, PassesMessagesOnToItsChild) {
  auto h = spawn();

  EXPECT_EQ(who(h), 1u);
  EXPECT_EQ(spawned, 1u);
}

TEST_F(supervisor_test, AnswersUnavailableWhileThereIsNoChild) {
  auto h = spawn();
  crash(h);

  EXPECT_EQ(who(h), 0u);
  EXPECT_EQ(error, errc::unavailable);

  advance(100ms);
  EXPECT_EQ(who(h), 2u);
}

TEST_F(supervisor_test, WaitsTwiceAsLongAfterEachEnd) {
  auto h = spawn();
  auto delay = 100ms;
  for (std::uint64_t n = 1; n <= 6; ++n, delay *= 2) {
    EXPECT_EQ(who(h), n);
    crash(h);
    advance(delay - 1ms);
    EXPECT_EQ(who(h), 0u) << "before " << delay.count() << " ms";
    advance(1ms);
  }
  EXPECT_EQ(who(h), 7u);
}

TEST_F(supervisor_test, ForgetsOldEnds) {
  auto h = spawn();
  for (int i = 0; i < 3; ++i) {
    crash(h);
    advance(10s);
  }
  advance(61s);

  crash(h);
  advance(100ms);

  EXPECT_EQ(who(h), 5u);
}

TEST_F(supervisor_test, GivesUpOnAnActorThatEndsAgainAndAgain) {
  auto h = spawn({.first = 1ms, .longest = 1ms, .most = 3, .within = 60s});
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(given_up.empty());
    crash(h);
    advance(1ms);
  }

  EXPECT_EQ(given_up, std::vector<std::string>{"numbered"});
  EXPECT_EQ(spawned, 4u);
  EXPECT_EQ(who(h), 0u);
  EXPECT_EQ(error, errc::unavailable);
}

TEST_F(supervisor_test, StopsItsChildWithItself) {
  auto h = spawn();

  stop(h);

  EXPECT_EQ(who(h), 0u);
  EXPECT_EQ(error, caf::sec::request_receiver_down);
  advance(60s);
  EXPECT_EQ(spawned, 1u);
}

} // namespace
} // namespace binnacle
