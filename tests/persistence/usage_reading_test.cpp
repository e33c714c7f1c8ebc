#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto midnight = *parse_iso("2025-03-02T00:00:00Z");
const auto today = date_of(midnight);
const auto yesterday = date_of(midnight - 24h);

decimal number(const char* text) { return *decimal::parse(text); }

class UsageReading : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();
  cluster_id cls{"cls_1"};

  void SetUp() override {
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(insert_cluster(tx, {.id = cls, .name = "c", .api_url = "https://c"}, midnight));
      must(insert_user(tx, {.id = {"a"}, .created_at = midnight}));
      must(assign_project(tx, {{"a"}, cls, "Zulu", "ns-1", {}}, midnight));
      return assign_project(tx, {{"a"}, cls, "Alpha", "ns-2", {}}, midnight);
    }));
  }
  void book(const std::vector<hour_of_usage>& hours, time_point now = midnight) {
    must(writing(db, [&](transaction& tx) { return book_usage(tx, cls, hours, now); }));
  }
  month_summary summary() { return must(db.ask(month_summary_of({"a"}, today))); }
};

TEST_F(UsageReading, OfNothingIsZero) {
  auto s = summary();

  EXPECT_EQ(s.totals.used, quantities{});
  EXPECT_FALSE(s.totals.last_update);
  EXPECT_TRUE(s.today.empty());
}

TEST_F(UsageReading, OfAMonthHasTotalsSnapshotsAndTodaysProjects) {
  book({{.hour = midnight - 24h,
         .rows = {{.name_space = "ns-1",
                   .cpu_hours = decimal{1},
                   .online_gb_hours = decimal{50},
                   .offline_gb_hours = decimal{5}}}},
        {.hour = midnight - 48h, // last month
         .rows = {{.name_space = "ns-1", .cpu_hours = decimal{100}}}},
        {.hour = midnight,
         .rows = {{.name_space = "ns-1",
                   .cpu_hours = decimal{2},
                   .online_gb_hours = decimal{20},
                   .cpu_efficiency = number("0.25")},
                  {.name_space = "ns-2",
                   .cpu_hours = decimal{4},
                   .online_gb_hours = decimal{10},
                   .offline_gb_hours = decimal{8}}}},
        {.hour = midnight + 1h,
         .rows = {{.name_space = "ns-1",
                   .online_gb_hours = decimal{20},
                   .cpu_efficiency = number("0.75")},
                  {.name_space = "ns-2", .online_gb_hours = decimal{10}}}}},
       midnight + 2h);

  auto s = summary();

  EXPECT_EQ(s.totals.used.cpu_hours, decimal{7});
  EXPECT_EQ(s.totals.online_gb, decimal{50});
  EXPECT_EQ(s.totals.offline_gb, decimal{8});
  EXPECT_EQ(s.totals.latest_online_gb, decimal{30});
  EXPECT_EQ(s.totals.latest_offline_gb, decimal{8});
  EXPECT_EQ(s.totals.max_storage_gb, decimal{55});
  EXPECT_EQ(s.totals.last_update, midnight + 2h);
  ASSERT_EQ(s.today.size(), 2u);
  EXPECT_EQ(s.today[0].name, "Alpha");
  EXPECT_EQ(s.today[0].name_space, "ns-2");
  EXPECT_EQ(s.today[0].used.cpu_hours, decimal{4});
  EXPECT_FALSE(s.today[0].cpu_efficiency);
  EXPECT_EQ(s.today[1].name, "Zulu");
  EXPECT_EQ(s.today[1].online_gb, decimal{20});
  EXPECT_EQ(s.today[1].cpu_efficiency, number("0.5"));
  EXPECT_EQ(s.today[1].cost.compute_cost, number("0.35"));
}

TEST_F(UsageReading, OfADayWithoutBookingsShowsTheMonthButNoProjects) {
  book({{.hour = midnight, .rows = {{.name_space = "ns-1", .cpu_hours = decimal{2}}}}});
  auto on = [&](date day) { return must(db.ask(month_summary_of({"a"}, day))); };

  auto tomorrow = on(date_of(midnight + 24h));
  EXPECT_EQ(tomorrow.totals.used.cpu_hours, decimal{2});
  EXPECT_TRUE(tomorrow.today.empty());

  EXPECT_EQ(on(today).today.size(), 1u);
  // A clock that is behind: the newest day is shown.
  EXPECT_EQ(on(yesterday).today.size(), 1u);
  EXPECT_EQ(on(date_of(midnight + 24h * 31)).totals, usage_totals{});
}

TEST_F(UsageReading, AgreesWhicheverWayItIsAsked) {
  book({{.hour = midnight - 24h, .rows = {{.name_space = "ns-1", .cpu_hours = number("0.1")}}},
        {.hour = midnight, .rows = {{.name_space = "ns-2", .ram_gb_hours = number("0.2")}}}});

  auto totals =
      must(reading(db, [](transaction& tx) { return usage_between(tx, {"a"}, yesterday, today); }));
  auto days =
      must(reading(db, [](transaction& tx) { return days_between(tx, {"a"}, yesterday, today); }));
  auto projects = must(reading(db, [](transaction& tx) { return projects_on(tx, {"a"}, today); }));

  ASSERT_EQ(days.size(), 2u);
  EXPECT_EQ(days[0].day, yesterday);
  EXPECT_EQ(days[0].used.cpu_hours, number("0.1"));
  EXPECT_EQ(totals.cost.compute_cost, days[0].cost.compute_cost + days[1].cost.compute_cost);
  ASSERT_EQ(projects.size(), 1u);
  EXPECT_EQ(projects[0].used, days[1].used);
  EXPECT_EQ(summary().totals.used, totals.used);
}

TEST_F(UsageReading, ShowsAdminsUsersNamespacesAndStrays) {
  book({{.hour = midnight + 3h,
         .rows = {{.name_space = "ns-1", .cpu_hours = decimal{1}},
                  {.name_space = "ns-2", .cpu_hours = decimal{2}},
                  {.name_space = "stray", .cpu_hours = decimal{3}}}},
        {.hour = midnight - 24h * 31, .rows = {{.name_space = "old-stray"}}}},
       midnight + 4h);

  auto health = must(reading(db, [](transaction& tx) { return usage_health_on(tx, today); }));

  EXPECT_EQ(health.last_collection, midnight + 4h);
  ASSERT_EQ(health.users.size(), 1u);
  EXPECT_EQ(health.users[0].who, user_id{"a"});
  EXPECT_EQ(health.users[0].used.cpu_hours, decimal{3});
  EXPECT_EQ(health.users[0].projects, 2);
  ASSERT_EQ(health.namespaces.size(), 3u);
  EXPECT_EQ(health.namespaces[0].name_space, "ns-1");
  EXPECT_EQ(health.namespaces[0].users, (std::vector<std::string>{"a"}));
  EXPECT_EQ(health.namespaces[2].name_space, "stray");
  EXPECT_TRUE(health.namespaces[2].users.empty());
  EXPECT_EQ(health.unresolved, (std::vector<std::string>{"stray"}));
}

} // namespace
} // namespace binnacle::persistence
