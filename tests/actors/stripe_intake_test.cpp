#include "actors/stripe_intake.hpp"

#include "deterministic_system.hpp"

#include <deque>

namespace binnacle {
namespace {

using ids = std::vector<std::string>;
using persistence::stripe_event;

struct database_state {
  explicit database_state(pool_actor::pointer) {}
};

struct inbox_state {
  explicit inbox_state(stripe_inbox_actor::pointer) {}
};

class stripe_intake_test : public testing::deterministic_system {
protected:
  /// Keeps each commit until the test says how it ended.
  static pool_actor::behavior_type storage(pool_actor::stateful_pointer<database_state> self,
                                           stripe_intake_test* test) {
    return {[self, test](perform& p) -> caf::result<performed> {
              test->commits.push_back({std::dynamic_pointer_cast<storage_job<ids>>(p.what),
                                       self->make_response_promise<performed>()});
              return test->commits.back().reply;
            },
            // A promise must be kept by the actor that made it, while that runs.
            [test](const worker_idled&) {
              auto commit = std::move(test->commits.front());
              test->commits.pop_front();
              commit.what->outcome = test->outcome;
              commit.reply.deliver(performed{});
            }};
  }
  static stripe_inbox_actor::behavior_type inbox(stripe_inbox_actor::stateful_pointer<inbox_state>,
                                                 stripe_intake_test* test) {
    return {[test](const stripe_event_stored&) { ++test->told; },
            [](const heal_stripe_events&) { return healed_events{}; }, [](caf::tick_atom) {}};
  }

  void SetUp() override {
    app.time = &time;
    app.storage = owned(system.spawn(storage, this));
    app.stripe_inbox = owned(system.spawn(inbox, this));
    intake = owned(spawn_stripe_intake(system, app));
  }
  void TearDown() override {
    commits.clear();
    deterministic_system::TearDown();
  }

  static stripe_event event(const std::string& id, bool inert = false) {
    return {.id = id, .type = "invoice.payment_failed", .object_key = "cus_1", .inert = inert};
  }
  auto bring(stripe_event e) { return start(intake, keep_stripe_event{std::move(e)}); }
  auto bring(const std::string& id) { return bring(event(id)); }
  template <class Asked>
  std::string answer_to(Asked& asked) {
    auto got = reply_of<stripe_event_kept>(asked);
    return !got            ? std::string{describe(to_fault(got.error()).code).name}
           : got->repeated ? "repeated"
                           : "kept";
  }
  /// The oldest commit under way ends.
  void end_commit(result<ids> with) {
    outcome = std::move(with);
    tell(app.storage, worker_idled{});
  }

  struct commit {
    std::shared_ptr<storage_job<ids>> what{};
    caf::typed_response_promise<performed> reply{};
  };
  services app{};
  stripe_intake_actor intake{};
  std::deque<commit> commits{};
  result<ids> outcome{ids{}};
  int told = 0;
};

TEST_F(stripe_intake_test, AnswersAfterTheCommit) {
  auto asked = bring("evt_1");
  ASSERT_EQ(commits.size(), 1);
  EXPECT_EQ(told, 0);

  end_commit(ids{"evt_1"});

  EXPECT_EQ(answer_to(asked), "kept");
  EXPECT_EQ(told, 1);
}

TEST_F(stripe_intake_test, GathersWhileACommitIsUnderWay) {
  auto first = bring("evt_1");
  auto second = bring("evt_2"), third = bring("evt_3"), again = bring("evt_2");
  EXPECT_EQ(commits.size(), 1);

  end_commit(ids{"evt_1"});
  ASSERT_EQ(commits.size(), 1);
  end_commit(ids{"evt_2", "evt_3"});

  EXPECT_EQ(answer_to(first), "kept");
  EXPECT_EQ(answer_to(second), "kept");
  EXPECT_EQ(answer_to(third), "kept");
  EXPECT_EQ(answer_to(again), "repeated");
  EXPECT_TRUE(commits.empty());
}

TEST_F(stripe_intake_test, SaysOfWhatWasThereThatItIsRepeatedAndTellsNobody) {
  auto asked = bring("evt_1");

  end_commit(ids{});

  EXPECT_EQ(answer_to(asked), "repeated");
  EXPECT_EQ(told, 0);
}

TEST_F(stripe_intake_test, TellsNobodyOfWhatNothingFollowsFrom) {
  auto asked = bring(event("evt_1", true));

  end_commit(ids{"evt_1"});

  EXPECT_EQ(answer_to(asked), "kept");
  EXPECT_EQ(told, 0);
}

TEST_F(stripe_intake_test, RefusesAllThatWaitWhenTheDatabaseIsAwayAndGoesOnWhenItIsBack) {
  auto first = bring("evt_1");
  auto second = bring("evt_2"), third = bring("evt_3");

  end_commit(fault{errc::unavailable});
  EXPECT_EQ(answer_to(first), "unavailable");
  end_commit(fault{errc::unavailable});
  EXPECT_EQ(answer_to(second), "unavailable");
  EXPECT_EQ(answer_to(third), "unavailable");

  auto later = bring("evt_4");
  end_commit(ids{"evt_4"});
  EXPECT_EQ(answer_to(later), "kept");
}

TEST_F(stripe_intake_test, StoresOneByOneWhatIsRefusedTogether) {
  auto first = bring("evt_1");
  auto second = bring("evt_2"), third = bring("evt_3");
  end_commit(ids{"evt_1"});

  end_commit(fault{errc::internal});
  end_commit(fault{errc::internal}); // evt_2 by itself
  ASSERT_EQ(commits.size(), 1);
  end_commit(ids{"evt_3"});

  EXPECT_EQ(answer_to(first), "kept");
  EXPECT_EQ(answer_to(second), "internal_error");
  EXPECT_EQ(answer_to(third), "kept");
  EXPECT_TRUE(commits.empty());
}

} // namespace
} // namespace binnacle
