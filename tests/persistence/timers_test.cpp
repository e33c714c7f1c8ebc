#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2025-03-01T12:00:00Z");

class Timers : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  bool claim(const char* holder, time_point now) {
    return must(writing(
        db, [&](transaction& tx) { return claim_timer(tx, "collect", holder, {1h}, 10min, now); }));
  }
  result<done> finish(const char* holder, time_point now) {
    return writing(db, [&](transaction& tx) {
      return finish_timer(tx, "collect", holder, R"({"rows":3})", now);
    });
  }
};

TEST_F(Timers, AreDueAtFirstAndThenAtTheNextMultipleOfTheirInterval) {
  EXPECT_TRUE(claim("one", noon + 7min));
  must(finish("one", noon + 8min));

  EXPECT_FALSE(claim("one", noon + 59min));
  EXPECT_TRUE(claim("one", noon + 60min));
}

TEST_F(Timers, RunOnOneNodeAtATime) {
  EXPECT_TRUE(claim("one", noon));

  EXPECT_FALSE(claim("two", noon + 5min));
}

TEST_F(Timers, OfADeadNodeAreTakenOverWhenTheLeaseEnds) {
  EXPECT_TRUE(claim("one", noon));

  EXPECT_TRUE(claim("two", noon + 10min));
  EXPECT_EQ(finish("one", noon + 11min).error().code, errc::conflict);
  EXPECT_TRUE(finish("two", noon + 12min));
}

TEST_F(Timers, AreClaimedByOneOfManyRacingNodes) {
  std::atomic<int> winners{0};

  std::vector<std::thread> nodes;
  for (int i = 0; i < 6; ++i)
    nodes.emplace_back([&, i] {
      auto own = where.connect();
      auto name = std::to_string(i);
      if (must(writing(own, [&](transaction& tx) {
            return claim_timer(tx, "collect", name, {1h}, 10min, noon);
          })))
        ++winners;
    });
  for (auto& n : nodes) n.join();

  EXPECT_EQ(winners, 1);
}

TEST_F(Timers, RememberTheirLastRun) {
  EXPECT_TRUE(claim("one", noon + 1min));
  must(finish("one", noon + 2min));

  auto list = must(reading(db, list_timers));

  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].name, "collect");
  EXPECT_EQ(list[0].last_started, noon + 1min);
  EXPECT_EQ(list[0].last_finished, noon + 2min);
  EXPECT_EQ(list[0].next_due, noon + 1h);
  EXPECT_EQ(list[0].last_outcome, R"({"rows": 3})");
}

class Hours : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();
  cluster_id cls{"cls_1"};

  void SetUp() override {
    must(writing(db, [&](transaction& tx) {
      return insert_cluster(tx, {.id = cls, .name = "c", .api_url = "https://c"}, noon);
    }));
  }
  std::vector<time_point> claim(const char* holder, const std::vector<time_point>& which,
                                bool again = false, time_point now = noon) {
    return must(writing(db, [&](transaction& tx) {
      return claim_hours(tx, cls, which, holder, 5min, again, now);
    }));
  }
  std::vector<time_point> missing(time_point from, time_point to, std::int64_t most = 100) {
    return must(
        reading(db, [&](transaction& tx) { return missing_hours(tx, cls, from, to, most); }));
  }
  void book(time_point hour, bool complete) {
    must(writing(db, [&](transaction& tx) {
      return book_usage(tx, cls, {{.hour = hour, .complete = complete}}, noon);
    }));
  }
};

TEST_F(Hours, AreMissingUntilCollectedCompletely) {
  book(noon - 2h, true);
  book(noon - 1h, false);

  EXPECT_EQ(missing(noon - 4h, noon), (std::vector<time_point>{noon - 4h, noon - 3h, noon - 1h}));
  EXPECT_EQ(missing(noon - 4h + 1min, noon + 1min, 2),
            (std::vector<time_point>{noon - 3h, noon - 1h}));
  EXPECT_TRUE(missing(noon, noon).empty());
}

TEST_F(Hours, AreClaimedByOneHolderUntilTheLeaseEnds) {
  EXPECT_EQ(claim("one", {noon - 1h, noon - 2h, noon - 1h}),
            (std::vector<time_point>{noon - 2h, noon - 1h}));

  EXPECT_EQ(claim("two", {noon - 3h, noon - 2h}), (std::vector<time_point>{noon - 3h}));
  EXPECT_EQ(claim("one", {noon - 2h}), (std::vector<time_point>{noon - 2h}));
  EXPECT_EQ(claim("two", {noon - 1h}, false, noon + 5min), (std::vector<time_point>{noon - 1h}));
}

TEST_F(Hours, AreSharedOutBetweenRacingHolders) {
  std::vector<time_point> all;
  for (int i = 1; i <= 50; ++i) all.push_back(noon - hours{i});
  std::vector<std::vector<time_point>> got(4);

  std::vector<std::thread> holders;
  for (std::size_t i = 0; i < got.size(); ++i)
    holders.emplace_back([&, i] {
      auto own = where.connect();
      auto wanted = all;
      if (i % 2) std::reverse(wanted.begin(), wanted.end());
      got[i] = must(writing(own, [&](transaction& tx) {
        return claim_hours(tx, cls, wanted, "holder " + std::to_string(i), 5min, false, noon);
      }));
    });
  for (auto& h : holders) h.join();

  std::size_t total = 0;
  for (const auto& g : got) total += g.size();
  EXPECT_EQ(total, all.size());
}

TEST_F(Hours, ThatAreCompleteAreClaimedOnlyAgain) {
  book(noon - 1h, true);

  EXPECT_TRUE(claim("one", {noon - 1h}).empty());
  EXPECT_EQ(claim("one", {noon - 1h}, true).size(), 1u);
}

TEST_F(Hours, GivenBackAreFreeAndKeepTheReason) {
  claim("one", {noon - 1h});
  auto release = [&](const char* holder) {
    must(writing(db, [&](transaction& tx) {
      return release_hours(tx, cls, {noon - 1h}, holder, "HTTP 500", noon);
    }));
  };

  release("two");
  EXPECT_TRUE(claim("three", {noon - 1h}).empty());
  release("one");
  EXPECT_EQ(where.query("SELECT failure FROM collected_hours"), "HTTP 500");
  EXPECT_EQ(claim("three", {noon - 1h}).size(), 1u);
}

TEST_F(Hours, AreFreeAfterBookingAndStayCompleteForGood) {
  claim("one", {noon - 1h});
  book(noon - 1h, true);
  book(noon - 1h, false);

  EXPECT_EQ(where.query("SELECT concat_ws('|', complete, holder, failure) FROM collected_hours"),
            "t");
}

} // namespace
} // namespace binnacle::persistence
