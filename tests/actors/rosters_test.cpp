#include "actors/rosters.hpp"

#include "actors/services.hpp"
#include "deterministic_system.hpp"

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using shared_roster = std::shared_ptr<roster>;
using persistence::access;

/// A pool without a database: its jobs give what the test says, when the test says it.
class rosters_test : public testing::deterministic_system {
protected:
  struct pool_state {
    explicit pool_state(pool_actor::pointer) {}
  };
  struct answering {
    bool holding = false;
    std::vector<access> asked{};
    std::vector<result<shared_roster>> answers{}; // the first first; then an empty roster each
    std::vector<perform> held{};
    std::vector<caf::typed_response_promise<performed>> replies{};
  };

  static void settle(const perform& p, answering& how) {
    auto& job = dynamic_cast<storage_job<shared_roster>&>(*p.what);
    if (how.answers.empty()) {
      job.outcome = std::make_shared<roster>();
      return;
    }
    job.outcome = how.answers.front();
    how.answers.erase(how.answers.begin());
  }
  static pool_actor::behavior_type pool(pool_actor::stateful_pointer<pool_state> self,
                                        answering* how) {
    return {[self, how](perform& p) -> caf::result<performed> {
              how->asked.push_back(dynamic_cast<storage_job_base&>(*p.what).how);
              if (how->holding) {
                how->held.push_back(p);
                how->replies.push_back(self->make_response_promise<performed>());
                return how->replies.back();
              }
              settle(p, *how);
              return performed{};
            },
            [how](const worker_idled&) {
              for (std::size_t i = 0; i < how->held.size(); ++i) {
                settle(how->held[i], *how);
                how->replies[i].deliver(performed{});
              }
              how->held.clear();
              how->replies.clear();
            }};
  }

  caf::expected<found_roster> find(const std::string& project) {
    return ask<found_roster>(actor, find_roster{{project}});
  }

  answering storage{};
  services app{};
  rosters_actor actor = [this] {
    app.time = &time;
    app.storage = owned(system.spawn(pool, &storage));
    return owned(spawn_rosters(system, app));
  }();
};

TEST_F(rosters_test, ReadsAllOfAProjectOnceAndWhatChangedFromThenOn) {
  ASSERT_TRUE(find("a"));
  ASSERT_TRUE(find("a"));
  ASSERT_TRUE(find("b"));

  EXPECT_EQ(storage.asked, (std::vector{access::snapshot, access::read, access::snapshot}));
}

TEST_F(rosters_test, ReadsAllAnewWhenTooMuchHasChanged) {
  ASSERT_TRUE(find("a"));
  storage.answers = {shared_roster{}};

  ASSERT_TRUE(find("a"));

  EXPECT_EQ(storage.asked, (std::vector{access::snapshot, access::read, access::snapshot}));
}

TEST_F(rosters_test, SaysWhyThereIsNoneAndReadsAllAnewAfterwards) {
  ASSERT_TRUE(find("a"));
  storage.answers = {fault{errc::unavailable}};

  auto failed = find("a");

  ASSERT_FALSE(failed);
  EXPECT_EQ(to_fault(failed.error()).code, errc::unavailable);
  ASSERT_TRUE(find("a"));
  EXPECT_EQ(storage.asked.back(), access::snapshot);
}

TEST_F(rosters_test, AsksOnceForAllWhoCameBeforeItAsks) {
  storage.holding = true;
  self->send(actor, find_roster{{"a"}}); // begins
  run();
  for (int i = 0; i < 10; ++i) self->send(actor, find_roster{{"a"}});
  run();
  EXPECT_EQ(storage.asked.size(), 1U);

  tell(app.storage, worker_idled{});
  storage.holding = false;
  tell(app.storage, worker_idled{});

  EXPECT_EQ(storage.asked, (std::vector{access::snapshot, access::read}));
}

TEST_F(rosters_test, ForgetsWhatNobodyAsksFor) {
  ASSERT_TRUE(find("a"));
  advance(10min);
  ASSERT_TRUE(find("a"));
  EXPECT_EQ(storage.asked.back(), access::read);

  advance(20min);

  ASSERT_TRUE(find("a"));
  EXPECT_EQ(storage.asked.back(), access::snapshot);
}

} // namespace
} // namespace binnacle
