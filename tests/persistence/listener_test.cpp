#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

void touch(database& db, const std::vector<change>& changes) {
  must(writing(db, [&](transaction& tx) -> result<done> {
    for (const auto& c : changes) tx.touch(c);
    return done{};
  }));
}

/// Waits until something is heard, at most `patience` long.
std::vector<change> hear(change_listener& ears, std::chrono::milliseconds patience = 60s) {
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline)
    if (auto heard = ears.wait(50ms, [] {}); heard && !heard->empty()) return *heard;
  return {};
}

TEST(Listener, HearsWhatAnotherConnectionCommits) {
  test_database where;
  auto db = where.connect();
  change_listener ears{where.config()};
  int connected = 0;
  must(ears.wait(1ms, [&] { ++connected; }));

  touch(db, {{topic::usage, {"usr_1"}}, {topic::usage, {"usr_2"}}, {topic::prices, {}}});
  auto heard = hear(ears);

  EXPECT_EQ(connected, 1);
  EXPECT_EQ(heard, (std::vector<change>{
                       {topic::usage, {"usr_1"}}, {topic::usage, {"usr_2"}}, {topic::prices, {}}}));
}

TEST(Listener, HearsNothingOfARollback) {
  test_database where;
  auto db = where.connect();
  change_listener ears{where.config()};
  must(ears.wait(1ms, [] {}));

  (void)writing(db, [&](transaction& tx) -> result<done> {
    tx.touch({topic::usage, {"usr_1"}});
    return fault{errc::conflict, {}, {}, {}};
  });

  EXPECT_TRUE(hear(ears, 200ms).empty());
}

TEST(Listener, HearsThousandsOfChangesOfOneCommit) {
  test_database where;
  auto db = where.connect();
  change_listener ears{where.config()};
  must(ears.wait(1ms, [] {}));
  std::vector<change> changes;
  for (int i = 0; i < 5'000; ++i)
    changes.push_back({topic::usage, {"usr_01JH00000000000000000" + std::to_string(10'000 + i)}});

  touch(db, changes);
  std::vector<change> heard;
  while (heard.size() < changes.size()) {
    auto more = hear(ears);
    if (more.empty()) break;
    heard.insert(heard.end(), more.begin(), more.end());
  }

  EXPECT_EQ(heard, changes);
}

TEST(Listener, ReturnsAfterItsPatience) {
  test_database where;
  change_listener ears{where.config()};
  must(ears.wait(1ms, [] {}));

  auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(must(ears.wait(120ms, [] {})).empty());

  EXPECT_GE(std::chrono::steady_clock::now() - began, 110ms);
}

TEST(Listener, SaysWhenItListensAgainAfterALoss) {
  test_database where;
  auto db = where.connect();
  change_listener ears{where.config()};
  int connected = 0;
  auto count = [&] { ++connected; };
  must(ears.wait(1ms, count));

  where.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
              "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  EXPECT_EQ(ears.wait(60s, count).error().code, errc::unavailable);
  auto deadline = std::chrono::steady_clock::now() + 60s;
  while (connected < 2 && std::chrono::steady_clock::now() < deadline)
    (void)ears.wait(10ms, count); // it pauses between attempts
  EXPECT_EQ(connected, 2);

  touch(db, {{topic::clusters, {}}});
  EXPECT_EQ(hear(ears), (std::vector<change>{{topic::clusters, {}}}));
}

TEST(Listener, DoesNotSpinWhileTheServerIsAway) {
  change_listener ears{{.url = secret{"host=/nonexistent user=x dbname=x"}}};

  auto began = std::chrono::steady_clock::now();
  int calls = 0;
  while (std::chrono::steady_clock::now() - began < 300ms) {
    EXPECT_FALSE(ears.wait(1s, [] {}));
    ++calls;
  }

  EXPECT_LT(calls, 6);
}

} // namespace
} // namespace binnacle::persistence
