#include "persistence/hub_news.hpp"
#include "persistence/hub_projects.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-01T12:00:00Z");

class HubDashboard : public testing::Test {
protected:
  void SetUp() override {
    for (const auto& who : {ann, bob})
      must(writing(
          db, [&](transaction& tx) { return insert_user(tx, {.id = who, .created_at = now}); }));
  }
  result<done> try_project(const std::string& id, time_point at = now) {
    return writing(db, [&](transaction& tx) { return add_hub_project(tx, ann, id, "Title", at); });
  }
  void task(const std::string& id, time_point at = now) {
    must(writing(db, [&](transaction& tx) { return add_hub_task(tx, ann, id, "Title", at); }));
  }
  std::vector<hub_project> projects(const user_id& who) {
    return must(reading(db, [&](transaction& tx) { return hub_projects_of(tx, who); }));
  }
  hub_counts counts(const user_id& who) {
    return must(reading(db, [&](transaction& tx) { return count_for_hub(tx, who); }));
  }

  const user_id ann{"ann"}, bob{"bob"};
  test_database where{};
  database db = where.connect();
};

TEST_F(HubDashboard, PutsATaskIntoTheProjectChangedLast) {
  must(try_project("one"));
  must(try_project("two", now + seconds{1}));
  must(try_project("archived", now + seconds{2}));
  where.query("UPDATE hub_projects SET status = 'archived' WHERE id = 'archived'");

  task("first", now + seconds{3});

  EXPECT_EQ(where.query("SELECT project_id FROM hub_tasks"), "two");
  EXPECT_EQ(projects(ann).front().id, "two");
  EXPECT_EQ(projects(ann).front().updated_at, now + seconds{3});
  EXPECT_TRUE(projects(bob).empty());
}

TEST_F(HubDashboard, CountsEachForTheirOwner) {
  task("of no project");
  must(try_project("one"));

  EXPECT_EQ(counts(ann).projects, 1);
  EXPECT_EQ(counts(ann).tasks, 1);
  EXPECT_EQ(counts(bob).projects, 0);
  EXPECT_EQ(counts(bob).tasks, 0);
  EXPECT_EQ(counts(bob).team, 1);
}

TEST_F(HubDashboard, LetsNobodyExceedTheMostProjectsEvenAtOnce) {
  where.query("INSERT INTO hub_projects (id, user_id, title, created_at, updated_at) SELECT 'p' || "
              "n, 'ann', 'x', now(), now() FROM generate_series(1, " +
              std::to_string(most_hub_projects - 3) + ") n");

  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      auto own = where.connect();
      auto added = writing(own, [&](transaction& tx) {
        return add_hub_project(tx, ann, "new" + std::to_string(i), "Title", now);
      });
      if (!added) {
        EXPECT_EQ(added.error().code, errc::unprocessable);
      }
    });
  for (auto& t : threads) t.join();

  EXPECT_EQ(counts(ann).projects, most_hub_projects);
}

TEST_F(HubDashboard, TellsAUserOnceOfEachSource) {
  auto tell = [&](const user_id& who, const std::string& source, const std::string& title) {
    must(writing(db, [&](transaction& tx) {
      return notify_user(tx, who, {.source = source, .type = "billing", .title = title}, now);
    }));
  };
  tell(ann, "one", "first");
  tell(ann, "one", "again");
  tell(ann, "two", "second");
  tell(bob, "one", "first");

  auto told = must(reading(db, [&](transaction& tx) { return notifications_of(tx, ann); }));

  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].title, "second");
  EXPECT_EQ(told[1].title, "first");
  EXPECT_FALSE(told[0].read);
}

TEST_F(HubDashboard, ShowsTheLastTenThingsOneDid) {
  for (int i = 0; i < 12; ++i)
    must(writing(db, [&](transaction& tx) {
      return write_audit(tx, {.actor = i == 11 ? bob : ann, .action = "ACT_" + std::to_string(i)},
                         now);
    }));

  auto done_by_ann = must(reading(db, [&](transaction& tx) { return activity_of(tx, ann); }));

  ASSERT_EQ(done_by_ann.size(), 10u);
  EXPECT_EQ(done_by_ann.front().action, "ACT_10");
  EXPECT_EQ(done_by_ann.back().action, "ACT_1");
}

} // namespace
} // namespace binnacle::persistence
