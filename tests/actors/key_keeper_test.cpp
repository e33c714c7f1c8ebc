#include "actors/key_keeper.hpp"

#include "actors/known_keys.hpp"
#include "deterministic_system.hpp"

#include <deque>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using persistence::verifiable_key;
using read_job = storage_job<std::vector<verifiable_key>>;

/// A pool whose reads and writes wait until the test answers them.
class key_keeper_test : public testing::deterministic_system {
protected:
  struct pool_state {
    explicit pool_state(pool_actor::pointer) {}
  };
  struct waiting {
    std::deque<std::shared_ptr<job>> jobs{};
    std::deque<caf::typed_response_promise<performed>> replies{};
  };
  static pool_actor::behavior_type pool(pool_actor::stateful_pointer<pool_state> self,
                                        waiting* at) {
    return {[self, at](perform& p) -> caf::result<performed> {
              at->jobs.push_back(p.what);
              at->replies.push_back(self->make_response_promise<performed>());
              return at->replies.back();
            },
            // A promise must be kept by the actor that made it.
            [at](const worker_idled&) {
              at->replies.front().deliver(performed{});
              at->replies.pop_front();
            }};
  }

  void settle_read(result<std::vector<verifiable_key>> with) {
    dynamic_cast<read_job&>(*at.jobs.front()).outcome = std::move(with);
    at.jobs.pop_front();
    tell(app.storage, worker_idled{});
  }
  void settle_write(result<done> with = done{}) {
    dynamic_cast<storage_job<done>&>(*at.jobs.front()).outcome = std::move(with);
    at.jobs.pop_front();
    tell(app.storage, worker_idled{});
  }
  static verifiable_key key(std::string client_id, std::string owner = "usr_1") {
    verifiable_key out;
    out.id = "id of " + client_id;
    out.client_id = std::move(client_id);
    out.owner = {std::move(owner)};
    return out;
  }
  auto ask_for(const std::string& client_id) { return start(keeper, find_key{client_id}); }

  waiting at{};
  services app{};
  key_keeper_actor keeper = [this] {
    app.time = &time;
    app.api_keys = std::make_shared<known_keys>();
    app.storage = owned(system.spawn(pool, &at));
    return owned(spawn_key_keeper(system, app));
  }();
};

TEST_F(key_keeper_test, RemembersAKeyItHasRead) {
  auto asked = ask_for("pk_1");
  settle_read({{key("pk_1")}});

  auto found = reply_of<found_key>(asked);
  ASSERT_TRUE(found && found->what);
  EXPECT_EQ(found->what->is.id, "id of pk_1");
  EXPECT_EQ(app.api_keys->find("pk_1"), found->what);
}

TEST_F(key_keeper_test, RemembersThatNobodyHasAKeyOfThatName) {
  auto asked = ask_for("pk_1");
  settle_read(std::vector<verifiable_key>{});

  EXPECT_EQ(reply_of<found_key>(asked)->what, nullptr);
  ASSERT_TRUE(app.api_keys->find("pk_1"));
  EXPECT_EQ(*app.api_keys->find("pk_1"), nullptr);
}

TEST_F(key_keeper_test, ReadsTogetherWhatIsAskedForMeanwhile) {
  auto first = ask_for("pk_1");
  auto second = ask_for("pk_2");
  auto third = ask_for("pk_3");
  EXPECT_EQ(at.jobs.size(), 1U); // however many ask, one statement at a time

  settle_read({{key("pk_1")}});
  EXPECT_EQ(at.jobs.size(), 1U);
  settle_read({{key("pk_3"), key("pk_2")}});

  EXPECT_TRUE(reply_of<found_key>(first)->what);
  EXPECT_EQ(reply_of<found_key>(second)->what->is.client_id, "pk_2");
  EXPECT_EQ(reply_of<found_key>(third)->what->is.client_id, "pk_3");
  EXPECT_TRUE(at.jobs.empty());
}

TEST_F(key_keeper_test, AnswersWithWhatWasReadAfterTheQuestion) {
  auto before = ask_for("pk_1");
  auto after = ask_for("pk_1"); // meanwhile it may have been revoked

  settle_read({{key("pk_1")}});
  settle_read(std::vector<verifiable_key>{});

  EXPECT_TRUE(reply_of<found_key>(before)->what);
  EXPECT_EQ(reply_of<found_key>(after)->what, nullptr);
}

TEST_F(key_keeper_test, DoesNotKeepWhatHasChangedWhileItWasRead) {
  auto asked = ask_for("pk_1");
  app.api_keys->forget(user_id{"usr_1"});
  settle_read({{key("pk_1")}});

  EXPECT_TRUE(reply_of<found_key>(asked)->what);
  EXPECT_FALSE(app.api_keys->find("pk_1"));
}

TEST_F(key_keeper_test, SaysThatItCannotTellAndKeepsNothing) {
  auto asked = ask_for("pk_1");
  settle_read(fault{errc::unavailable});

  auto found = reply_of<found_key>(asked);
  ASSERT_FALSE(found);
  EXPECT_EQ(to_fault(found.error()).code, errc::unavailable);
  EXPECT_FALSE(app.api_keys->find("pk_1"));
}

TEST_F(key_keeper_test, WritesDownUsesTogetherAndOnce) {
  tell(keeper, key_used{"a", 100});
  tell(keeper, key_used{"b", 200});
  tell(keeper, key_used{"a", 50});
  EXPECT_TRUE(at.jobs.empty());

  advance(5s);
  ASSERT_EQ(at.jobs.size(), 1U);
  settle_write();
  pass(60s);
  EXPECT_TRUE(at.jobs.empty());
}

TEST_F(key_keeper_test, KeepsUsesThatCannotBeWritten) {
  tell(keeper, key_used{"a", 100});
  advance(5s);
  settle_write(fault{errc::unavailable});
  EXPECT_TRUE(at.jobs.empty());

  advance(5s);
  EXPECT_EQ(at.jobs.size(), 1U);
  settle_write();
}

TEST_F(key_keeper_test, AFlushWritesEverythingAndSaysWhetherItCould) {
  tell(keeper, key_used{"a", 100});
  advance(5s); // being written
  tell(keeper, key_used{"b", 100});
  auto flush = start(keeper, flush_key_uses{});
  settle_write();
  settle_write();
  EXPECT_TRUE(reply_of<key_uses_flushed>(flush)->saved);

  tell(keeper, key_used{"c", 100});
  auto failing = start(keeper, flush_key_uses{});
  settle_write(fault{errc::unavailable});
  EXPECT_FALSE(reply_of<key_uses_flushed>(failing)->saved);
}

TEST_F(key_keeper_test, AFlushOfNothingAnswersAtOnce) {
  EXPECT_TRUE(ask<key_uses_flushed>(keeper, flush_key_uses{})->saved);
}

} // namespace
} // namespace binnacle
