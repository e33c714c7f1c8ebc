#include "actors/hopsworks_accounts.hpp"

#include "config/base/json.hpp"
#include "deterministic_system.hpp"

#include <algorithm>
#include <deque>
#include <map>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using persistence::held_account;
using persistence::hopsworks_holder;
using testing::fake_database;

struct fake_hopsworks_state {
  explicit fake_hopsworks_state(hopsworks_actor::pointer) {}
};

/// An outbox with one user in it, and a Hopsworks.
class hopsworks_accounts_test : public testing::deterministic_system {
protected:
  using tx = persistence::transaction;

  static hopsworks_actor::behavior_type
  fake(hopsworks_actor::stateful_pointer<fake_hopsworks_state>, hopsworks_accounts_test* test) {
    return {[test](const call_hopsworks& c) -> hopsworks_answer {
      return {std::make_shared<const result<http_answer>>(test->answer(*c.what))};
    }};
  }
  result<http_answer> answer(const hopsworks::call& c) {
    asked.push_back(c.method + " " + c.path.substr(0, c.path.find('?')) + c.body);
    if (broken) return fault{errc::upstream_failed, {}, {}, "reset"};
    if (c.method == "POST") {
      there = true;
      if (silent) return fault{errc::upstream_failed, {}, {}, "reset"};
      return http_answer{.status = 201, .body = "{}"};
    }
    if (c.method == "PUT") {
      if (c.body.find("\"status\":3") != c.body.npos) status = 3;
      if (c.body.find("\"status\":2") != c.body.npos) status = 2;
      if (c.body.find("\"maxNumProjects\":5") != c.body.npos) most = 5;
      return http_answer{.status = 200, .body = "{}"};
    }
    auto user = R"({"id":7,"username":"ana7","email":"Ana@example.com","accountType":"OAUTH2",)"
                R"("status":)" +
                std::to_string(status) + R"(,"maxNumProjects":)" + std::to_string(most) +
                R"(,"numActiveProjects":1})";
    if (c.path == "/admin/users/7" && there) return http_answer{.status = 200, .body = user};
    if (c.path == "/admin/users")
      return http_answer{.status = 200,
                         .body = R"({"count":1,"items":[)" + (there ? user : "") + "]}"};
    return http_answer{.status = 404, .body = "{}"};
  }

  void SetUp() override {
    holder.who = user_id{"usr_1"};
    holder.email = "ana@example.com";
    holder.name = "Ana Maria Alves";
    holder.subject = "auth0|1";
    holder.entitled = true;
    holder.where.id = cluster_id{"clu_1"};
    app.time = &time;
    app.node = "node";
    app.hopsworks = owned(system.spawn(&fake, this));
    app.storage =
        owned(testing::spawn_fake_storage<done, std::int64_t, std::vector<held_account>,
                                          std::optional<hopsworks_holder>>(system, database));
  }

  hopsworks_accounts_actor spawn() {
    hopsworks_accounts_config config;
    config.books.find = [this](tx&, const user_id&) -> result<std::optional<hopsworks_holder>> {
      return std::optional{holder};
    };
    config.books.store = [this](tx&, const user_id&, const cluster_id&,
                                const persistence::hopsworks_account& a) -> result<done> {
      holder.known = a;
      return done{};
    };
    config.books.hold = [this](tx&, const std::string& node, milliseconds, std::int64_t,
                               time_point now) -> result<std::vector<held_account>> {
      std::vector<held_account> out;
      if (!waiting || now < due) return out;
      out.push_back({holder.who, 1, ++attempts, node});
      due = now + 1h;
      return out;
    };
    config.books.finish = [this](tx&, const held_account&, time_point) -> result<done> {
      waiting = false;
      return done{};
    };
    config.books.fail = [this](tx&, const held_account&, const std::string&, time_point again,
                               bool is_final, time_point) -> result<done> {
      due = again;
      noted = noted || is_final;
      return done{};
    };
    config.books.count = [](tx&) -> result<std::int64_t> { return 0; };
    return owned(spawn_hopsworks_accounts(system, app, std::move(config)));
  }
  std::ptrdiff_t count(const std::string& what) {
    return std::ranges::count_if(asked, [&](const auto& a) { return a.starts_with(what); });
  }

  services app{};
  fake_database database{};
  hopsworks_holder holder{};
  bool waiting = true, noted = false;
  std::int64_t attempts = 0;
  time_point due{};
  // At Hopsworks:
  bool there = false, broken = false, silent = false;
  int status = 2, most = 5;
  std::vector<std::string> asked{};
};

TEST_F(hopsworks_accounts_test, MakesAnAccountOnce) {
  spawn();
  run();

  EXPECT_FALSE(waiting);
  EXPECT_EQ(count("POST /admin/users"), 1);
  EXPECT_EQ(holder.known.id, 7);
  EXPECT_EQ(holder.known.username, "ana7");
}

TEST_F(hopsworks_accounts_test, AMakingThatWasNotAnsweredIsLookedForAndNotRepeated) {
  silent = true;
  spawn();
  pass(30s);

  EXPECT_FALSE(waiting);
  EXPECT_EQ(count("POST"), 1);
}

TEST_F(hopsworks_accounts_test, TakesWhoIsThere) {
  there = true;
  most = 0;
  spawn();
  run();

  EXPECT_FALSE(waiting);
  EXPECT_EQ(count("POST"), 0);
  EXPECT_EQ(most, 5);
}

TEST_F(hopsworks_accounts_test, DeactivatesActivatesAndLeavesTheBlockedAlone) {
  there = true;
  holder.active = false;
  auto actor = spawn();
  run();
  EXPECT_EQ(status, 3);

  holder.active = waiting = true;
  due = {};
  pass(2s);
  EXPECT_EQ(status, 2);

  status = 4;
  for (bool active : {false, true}) {
    holder.active = active;
    waiting = true;
    due = {};
    pass(2s);
    EXPECT_FALSE(waiting);
    EXPECT_EQ(status, 4);
  }
}

TEST_F(hopsworks_accounts_test, ASuspendedUserWithoutAccountGetsNone) {
  holder.active = false;
  spawn();
  run();

  EXPECT_FALSE(waiting);
  EXPECT_EQ(count("POST"), 0);
}

TEST_F(hopsworks_accounts_test, TriesThreeTimesThenTellsSomebodyAndGoesOn) {
  broken = true;
  spawn();
  run();
  EXPECT_EQ(attempts, 1);
  pass(2s);
  EXPECT_EQ(attempts, 2);
  EXPECT_FALSE(noted);
  pass(5s);
  EXPECT_EQ(attempts, 3);
  EXPECT_TRUE(noted);

  broken = false;
  pass(10s);
  EXPECT_FALSE(waiting);
}

TEST_F(hopsworks_accounts_test, ADatabaseThatIsAwayLosesNothing) {
  database.up = false;
  spawn();
  pass(5s);
  EXPECT_TRUE(waiting);

  database.up = true;
  pass(5s);
  EXPECT_FALSE(waiting);
}

TEST_F(hopsworks_accounts_test, AnswersWhoAsksForAnAccount) {
  waiting = false;
  auto actor = spawn();

  auto got = ask<hopsworks_identity>(actor, ensure_hopsworks_account{holder.who});

  ASSERT_TRUE(got) << caf::to_string(got.error());
  EXPECT_EQ(got->id, 7);
  EXPECT_EQ(got->username, "ana7");
}

TEST(pause_of_account, DoublesThenLastsAtMostAnHour) {
  std::vector<std::int64_t> pauses;
  for (std::int64_t n : {1, 2, 3, 4, 5, 9, 10, 11, 100})
    pauses.push_back(pause_of_account(n).count());
  EXPECT_EQ(pauses, (std::vector<std::int64_t>{2, 4, 8, 60, 120, 1'920, 3'600, 3'600, 3'600}));
}

} // namespace
} // namespace binnacle
