#include "persistence/rate_windows.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2025-03-01T12:00:00Z");

class RateWindows : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void save(const std::vector<rate_window>& windows) {
    must(writing(db, [&](transaction& tx) { return save_rate_windows(tx, windows); }));
  }
  std::string load(const std::string& key) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return load_rate_window(tx, key, now); }));
  }
};

TEST_F(RateWindows, AreReadAsTheyWereSaved) {
  save({{"user:usr_1", R"(a "b" \ {c},d NULL)", now + minutes{1}},
        {"addr:2001:db8::/64", "x", now + minutes{1}}});

  EXPECT_EQ(load("user:usr_1"), R"(a "b" \ {c},d NULL)");
  EXPECT_EQ(load("addr:2001:db8::/64"), "x");
  EXPECT_EQ(load("user:usr_2"), "");
}

TEST_F(RateWindows, AreReplacedTheLastOneCounting) {
  save({{"k", "old", now + minutes{1}}});

  save({{"k", "new", now + minutes{1}}, {"k", "newest", now + minutes{1}}});

  EXPECT_EQ(load("k"), "newest");
}

TEST_F(RateWindows, AreGoneWhenExpired) {
  save({{"k", "x", now}, {"l", "y", now + seconds{1}}});
  EXPECT_EQ(load("k"), "");

  EXPECT_EQ(must(writing(db, [](transaction& tx) { return delete_expired_rate_windows(tx, now); })),
            1);
  EXPECT_EQ(load("l"), "y");
}

TEST_F(RateWindows, AreLockedByWhoIsGoingToSaveThem) {
  database other = where.connect();
  auto add = [](database& to, const std::string& what) {
    must(writing(to, [&](transaction& tx) -> result<done> {
      auto state = lock_rate_window(tx, "login:x", now);
      if (!state) return state.error();
      return save_rate_windows(tx, {{"login:x", *state + what, now + minutes{1}}});
    }));
  };

  std::thread beside{[&] {
    for (int i = 0; i < 20; ++i) add(other, "b");
  }};
  for (int i = 0; i < 20; ++i) add(db, "a");
  beside.join();

  EXPECT_EQ(load("login:x").size(), 40U);
}

TEST_F(RateWindows, AreEmptyForWhoLocksThemAfterTheirEnd) {
  save({{"login:x", "old", now}});
  EXPECT_EQ(must(writing(db, [](transaction& tx) { return lock_rate_window(tx, "login:x", now); })),
            "");
}

TEST_F(RateWindows, MayBeNone) { save({}); }

} // namespace
} // namespace binnacle::persistence
