#include "actors/window_keeper.hpp"

#include "actors/services.hpp"
#include "deterministic_system.hpp"

namespace binnacle {
namespace {

using namespace std::chrono_literals;

/// A pool that takes jobs and never touches a database: saving succeeds, fails, or takes its time.
class window_keeper_test : public testing::deterministic_system {
protected:
  struct pool_state {
    explicit pool_state(pool_actor::pointer) {}
  };
  struct saving {
    bool works = true;
    bool holding = false;
    int jobs = 0;
    std::vector<perform> held{};
    std::vector<caf::typed_response_promise<performed>> replies{};
  };

  static void settle(const perform& p, const saving& how) {
    auto& job = dynamic_cast<storage_job<done>&>(*p.what);
    job.outcome = how.works ? result<done>{done{}} : result<done>{fault{errc::unavailable}};
  }
  static pool_actor::behavior_type pool(pool_actor::stateful_pointer<pool_state> self,
                                        saving* how) {
    return {[self, how](perform& p) -> caf::result<performed> {
              ++how->jobs;
              if (how->holding) {
                how->held.push_back(p);
                how->replies.push_back(self->make_response_promise<performed>());
                return how->replies.back();
              }
              settle(p, *how);
              return performed{};
            },
            // A promise must be kept by the actor that made it, while that runs.
            [how](const worker_idled&) {
              for (std::size_t i = 0; i < how->held.size(); ++i) {
                settle(how->held[i], *how);
                how->replies[i].deliver(performed{});
              }
              how->held.clear();
              how->replies.clear();
            }};
  }
  void let_go() {
    save.holding = false;
    tell(app.storage, worker_idled{});
  }

  kept_windows recall(const std::string& key) {
    return *ask<kept_windows>(keeper, recall_windows{key});
  }
  keep_windows windows(const std::string& key, const std::string& state) {
    return {key, state, 4'000'000'000'000};
  }

  saving save{};
  services app{};
  window_keeper_actor keeper = [this] {
    app.time = &time;
    app.storage = owned(system.spawn(pool, &save));
    return owned(spawn_window_keeper(system, app));
  }();
};

TEST_F(window_keeper_test, RemembersTheNewestStateUntilItIsWritten) {
  tell(keeper, windows("user:1", "old"));
  tell(keeper, windows("user:1", "new"));
  EXPECT_EQ(recall("user:1").state, "new");
  EXPECT_FALSE(recall("user:2").found);

  advance(5s);

  EXPECT_EQ(save.jobs, 1);
  EXPECT_FALSE(recall("user:1").found); // from now on, the database knows it
}

TEST_F(window_keeper_test, WritesNothingWhenThereIsNothingNew) {
  pass(60s);
  EXPECT_EQ(save.jobs, 0);
}

TEST_F(window_keeper_test, KeepsWhatCannotBeWrittenAndTriesAgain) {
  save.works = false;
  tell(keeper, windows("user:1", "a"));
  advance(5s);
  EXPECT_EQ(save.jobs, 1);
  EXPECT_EQ(recall("user:1").state, "a");

  save.works = true;
  advance(5s);
  EXPECT_FALSE(recall("user:1").found);
}

TEST_F(window_keeper_test, ANewerStateSurvivesAWriteThatFails) {
  save.holding = true;
  tell(keeper, windows("user:1", "old"));
  tell(keeper, windows("user:2", "other"));
  advance(5s);
  EXPECT_EQ(recall("user:1").state, "old"); // being written: still found
  tell(keeper, windows("user:1", "new"));
  EXPECT_EQ(recall("user:1").state, "new");

  save.works = false;
  let_go();

  EXPECT_EQ(recall("user:1").state, "new");
  EXPECT_EQ(recall("user:2").state, "other");
}

TEST_F(window_keeper_test, AFlushAnswersWhenEverythingIsWritten) {
  for (int i = 0; i < 2'500; ++i) tell(keeper, windows("addr:" + std::to_string(i), "x"));

  auto out = ask<flushed>(keeper, flush_windows{});

  ASSERT_TRUE(out);
  EXPECT_TRUE(out->saved);
  EXPECT_EQ(out->windows, 2'500u);
  EXPECT_EQ(save.jobs, 3);
}

TEST_F(window_keeper_test, AFlushSaysThatItFailed) {
  save.works = false;
  tell(keeper, windows("user:1", "a"));

  auto out = ask<flushed>(keeper, flush_windows{});

  ASSERT_TRUE(out);
  EXPECT_FALSE(out->saved);
  EXPECT_EQ(out->windows, 0u);
}

TEST_F(window_keeper_test, AFlushDuringAWriteWaitsForItAndWritesTheRest) {
  save.holding = true;
  tell(keeper, windows("user:1", "a"));
  advance(5s);
  tell(keeper, windows("user:2", "b"));
  auto flush = start(keeper, flush_windows{});

  let_go();

  auto out = reply_of<flushed>(flush);
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->saved);
  EXPECT_FALSE(recall("user:2").found);
}

} // namespace
} // namespace binnacle
