#include "persistence/avatars.hpp"

#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-01T12:00:00Z");
constexpr minutes upload_time{15};
constexpr minutes lease{5};

class Avatars : public testing::Test {
protected:
  void SetUp() override {
    for (const auto* name : {"ann", "bob"})
      must(writing(
          db, [&](transaction& tx) { return insert_user(tx, {.id = {name}, .created_at = now}); }));
  }
  static stored_object named(const std::string& key) { return {"avatars", key}; }

  bool plan(const std::string& who, const std::string& key, time_point at = now) {
    return must(writing(db, [&](transaction& tx) {
      return plan_avatar(tx, {who}, named(key), "/r2/" + key, at + upload_time);
    }));
  }
  result<done> adopt(database& as, const std::string& who, const std::string& key,
                     time_point at = now) {
    return writing(
        as, [&](transaction& tx) { return adopt_avatar(tx, {who}, named(key), "/r2/" + key, at); });
  }
  void replace(const std::string& who, const std::string& key) {
    ASSERT_TRUE(plan(who, key));
    must(adopt(db, who, key));
  }
  std::string image(const std::string& who) const {
    return where.query("SELECT image FROM users WHERE id = '" + who + "'");
  }
  /// "key attempt", sorted, of those that may be removed at that time.
  std::vector<std::string> hold(database& as, time_point at, std::int64_t most = 100) {
    std::vector<std::string> out;
    for (const auto& u : must(writing(as, [&](transaction& tx) {
           return hold_unwanted_objects(tx, milliseconds{lease}, most, at);
         })))
      out.push_back(u.what.key + " " + std::to_string(u.attempt));
    std::ranges::sort(out);
    return out;
  }
  std::vector<std::string> hold(time_point at) { return hold(db, at); }
  void forget(const std::string& key) {
    must(writing(db, [&](transaction& tx) { return forget_unwanted_object(tx, named(key)); }));
  }
  using keys = std::vector<std::string>;

  test_database where{};
  database db = where.connect();
};

TEST_F(Avatars, ArePlannedThenAdoptedAndNothingIsLeftToRemove) {
  replace("ann", "one");
  EXPECT_EQ(image("ann"), "/r2/one");
  EXPECT_EQ(image("bob"), "");
  EXPECT_EQ(hold(now + hours{24}), keys{});
}

TEST_F(Avatars, ThatAreReplacedAreDueAtOnce) {
  replace("ann", "one");
  replace("ann", "two");
  EXPECT_EQ(image("ann"), "/r2/two");
  EXPECT_EQ(hold(now), keys{"one 1"});
}

TEST_F(Avatars, ThatNobodyAdoptedAreDueWhenTheUploadCanNoLongerEnd) {
  EXPECT_TRUE(plan("ann", "lost"));
  EXPECT_EQ(hold(now + upload_time - seconds{1}), keys{});
  EXPECT_EQ(hold(now + upload_time), keys{"lost 1"});
  EXPECT_EQ(image("ann"), "");
}

TEST_F(Avatars, AreRefusedOnceTheirRemovalHasBegun) {
  EXPECT_TRUE(plan("ann", "late"));
  hold(now + upload_time);
  EXPECT_EQ(adopt(db, "ann", "late").error().code, errc::conflict);
  forget("late");
  EXPECT_EQ(adopt(db, "ann", "late").error().code, errc::conflict);
  EXPECT_EQ(image("ann"), "");
}

TEST_F(Avatars, TakeNoNameThatIsTaken) {
  EXPECT_TRUE(plan("ann", "one"));
  EXPECT_FALSE(plan("ann", "one"));
  must(adopt(db, "ann", "one"));
  EXPECT_FALSE(plan("ann", "one")); // it is shown
  replace("ann", "two");
  EXPECT_FALSE(plan("ann", "one")); // it is not removed yet
}

TEST_F(Avatars, OfAnIssuerAreNotOursToRemove) {
  where.query("UPDATE users SET image = 'https://pictures.example/ann.png' WHERE id = 'ann'");
  replace("ann", "one");
  EXPECT_EQ(hold(now + hours{24}), keys{});
}

TEST_F(Avatars, NeedAUser) {
  EXPECT_TRUE(plan("nobody", "one"));
  EXPECT_EQ(adopt(db, "nobody", "one").error().code, errc::not_found);
  EXPECT_EQ(hold(now + upload_time), keys{"one 1"});
}

TEST_F(Avatars, AreHeldByOneAndDueAgainWhenTheirRemovalFailed) {
  for (const auto* key : {"one", "two"}) replace("ann", key);
  EXPECT_EQ(hold(now), keys{"one 1"});
  EXPECT_EQ(hold(now + lease - seconds{1}), keys{});
  EXPECT_EQ(hold(now + lease), keys{"one 2"});
  forget("one");
  EXPECT_EQ(hold(now + hours{24}), keys{});
}

TEST_F(Avatars, AreNotForgottenBeforeTheirRemovalHasBegun) {
  for (const auto* key : {"one", "two"}) replace("ann", key);
  forget("one");
  EXPECT_EQ(hold(now), keys{"one 1"});
}

TEST_F(Avatars, AreHeldInTheOrderInWhichTheyAreDue) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(plan("ann", std::to_string(i), now - minutes{i}));
  EXPECT_EQ(hold(db, now + upload_time, 2), (keys{"1 1", "2 1"}));
  EXPECT_EQ(hold(db, now + upload_time, 2), keys{"0 1"});
}

TEST_F(Avatars, UploadedAtOnceLeaveOneAndAllOthersAreDue) {
  constexpr int many = 6;
  for (int i = 0; i < many; ++i) EXPECT_TRUE(plan("ann", std::to_string(i)));
  std::vector<std::thread> threads;
  for (int i = 0; i < many; ++i)
    threads.emplace_back([&, i] {
      auto own = where.connect();
      must(adopt(own, "ann", std::to_string(i)));
    });
  for (auto& t : threads) t.join();

  auto due = hold(now);
  EXPECT_EQ(due.size(), many - 1U);
  EXPECT_EQ(std::ranges::count(due, image("ann").substr(4) + " 1"), 0);
}

TEST_F(Avatars, HeldByManyAtOnceAreHeldOnce) {
  constexpr int many = 20;
  for (int i = 0; i < many; ++i) EXPECT_TRUE(plan("ann", std::to_string(i)));
  std::vector<std::vector<std::string>> held(4);
  std::vector<std::thread> threads;
  for (auto& mine : held)
    threads.emplace_back([&] {
      auto own = where.connect();
      for (auto some = hold(own, now + upload_time, 3); !some.empty();
           some = hold(own, now + upload_time, 3))
        mine.insert(mine.end(), some.begin(), some.end());
    });
  for (auto& t : threads) t.join();

  keys all;
  for (const auto& mine : held) all.insert(all.end(), mine.begin(), mine.end());
  std::ranges::sort(all);
  EXPECT_EQ(all.size(), static_cast<std::size_t>(many));
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
}

} // namespace
} // namespace binnacle::persistence
