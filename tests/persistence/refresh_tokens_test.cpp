#include "persistence/refresh_tokens.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <set>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;
using enum refreshing;

const auto noon = *parse_iso("2026-03-10T12:00:00Z");
const user_id ada{"usr_ada"}, bob{"usr_bob"};
constexpr seconds interval{10};
constexpr hours week{7 * 24};

/// A token is one character here, its digest 32 of them, and sealed it is "sealed " and that.
class RefreshTokens : public testing::Test {
protected:
  template <class F>
  auto write(F f) {
    return must(writing(db, f));
  }
  RefreshTokens() {
    write([](transaction& tx) {
      must(insert_user(tx, {.id = ada, .created_at = noon}));
      return insert_user(tx, {.id = bob, .created_at = noon});
    });
    begin('A');
  }
  static std::string digest(char token) { return std::string(32, token); }
  void begin(char token, const user_id& who = ada) {
    write([&](transaction& tx) {
      return insert_refresh_token(tx, who, 0, {digest(token), noon + week}, noon);
    });
  }
  static refreshed use_in(database& with, char token, char successor, time_point at,
                          const user_id& who = ada) {
    return must(writing(with, [&](transaction& tx) {
      return use_refresh_token(tx, who, digest(token), {digest(successor), at + week},
                               std::string{"sealed "} + successor, interval, at);
    }));
  }
  refreshed use(char token, char successor, time_point at, const user_id& who = ada) {
    return use_in(db, token, successor, at, who);
  }

  test_database where{};
  database db = where.connect();
};

TEST_F(RefreshTokens, AreUsedOnceEach) {
  auto first = use('A', 'B', noon);
  auto second = use('B', 'C', noon + 1h);

  EXPECT_EQ(first.what, rotated);
  ASSERT_TRUE(first.who);
  EXPECT_EQ(first.who->id, ada);
  EXPECT_EQ(second.what, rotated);
}

TEST_F(RefreshTokens, GiveTheSameSuccessorWithinTheInterval) {
  use('A', 'B', noon);

  auto again = use('A', 'X', noon + 10s - 1us);

  EXPECT_EQ(again.what, repeated);
  EXPECT_EQ(again.newest, "sealed B");
  EXPECT_EQ(use('X', 'Y', noon + 1s).what, refused); // was never issued
}

TEST_F(RefreshTokens, GiveTheNewestWhenTheSuccessorHasBeenUsedToo) {
  use('A', 'B', noon);
  use('B', 'C', noon + 1s);

  EXPECT_EQ(use('A', 'X', noon + 2s).newest, "sealed C");
  EXPECT_EQ(use('B', 'X', noon + 2s).newest, "sealed C");
  EXPECT_EQ(use('C', 'D', noon + 1h).what, rotated);
}

TEST_F(RefreshTokens, EndTheirFamilyWhenOneIsUsedAgainLater) {
  begin('M'); // another login of the same user
  use('A', 'B', noon);

  EXPECT_EQ(use('A', 'X', noon + 10s).what, reused);

  EXPECT_EQ(use('B', 'C', noon + 11s).what, refused);
  EXPECT_EQ(use('A', 'C', noon + 11s).what, refused);
  EXPECT_EQ(use('M', 'N', noon + 11s).what, rotated);
}

TEST_F(RefreshTokens, AreGoodForAWeekAfterTheLastUse) {
  EXPECT_EQ(use('A', 'B', noon + week - 1s).what, rotated);
  EXPECT_EQ(use('B', 'C', noon + 2 * week - 2s).what, rotated);
  EXPECT_EQ(use('C', 'D', noon + 3 * week).what, refused);
}

TEST_F(RefreshTokens, AreTheirUsersAlone) {
  EXPECT_EQ(use('A', 'B', noon, bob).what, refused);
  EXPECT_EQ(use('A', 'B', noon, user_id{"usr_nobody"}).what, refused);
  EXPECT_EQ(use('A', 'B', noon).what, rotated);
}

TEST_F(RefreshTokens, EndWithANewPassword) {
  write([](transaction& tx) { return change_password(tx, ada, "hash", noon); });

  EXPECT_EQ(use('A', 'B', noon).what, refused);
}

TEST_F(RefreshTokens, GiveNothingToWhoIsSuspendedOrDeleted) {
  for (const auto* status : {"suspended", "deleted"}) {
    where.query(std::string{"UPDATE users SET status = '"} + status + "' WHERE id = 'usr_ada'");
    EXPECT_EQ(use('A', 'B', noon).what, refused) << status;
  }
  where.query("UPDATE users SET status = 'active'");
  EXPECT_EQ(use('A', 'B', noon).what, rotated);
}

TEST_F(RefreshTokens, EndWithTheLogout) {
  use('A', 'B', noon);
  write([](transaction& tx) { return revoke_refresh_family(tx, bob, digest('B'), noon); });
  EXPECT_EQ(use('B', 'C', noon + 1h).what, rotated); // whose it is not, does not end it

  write([](transaction& tx) { return revoke_refresh_family(tx, ada, digest('A'), noon); });
  EXPECT_EQ(use('C', 'D', noon + 1h).what, refused);
}

TEST_F(RefreshTokens, GiveOneSuccessorToTabsThatComeAtOnce) {
  std::vector<refreshed> seen(20);
  {
    std::vector<std::jthread> tabs;
    for (std::size_t i = 0; i < seen.size(); ++i)
      tabs.emplace_back([this, &mine = seen[i], successor = static_cast<char>('a' + i)] {
        auto own = where.connect();
        mine = use_in(own, 'A', successor, noon);
      });
  }
  std::set<std::string> given;
  int first = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    first += seen[i].what == rotated;
    given.insert(seen[i].what == rotated ? std::string{"sealed "} + static_cast<char>('a' + i)
                                         : seen[i].newest);
  }
  EXPECT_EQ(first, 1);
  EXPECT_EQ(given.size(), 1U);
}

TEST_F(RefreshTokens, AreForgottenWhenTheyAreOver) {
  use('A', 'B', noon + 1min);
  use('B', 'C', noon + 1h);

  auto swept = write(
      [](transaction& tx) { return delete_expired_refresh_tokens(tx, noon + 2min, noon + week); });

  EXPECT_EQ(swept, 1); // A, whose week has passed
  EXPECT_EQ(where.query("SELECT string_agg(coalesce(successor, '-'), ',' ORDER BY issued_at) "
                        "FROM refresh_tokens"),
            "sealed C,-");
  write([](transaction& tx) { return delete_expired_refresh_tokens(tx, noon + 2h, noon + week); });
  EXPECT_EQ(where.query("SELECT count(successor) FROM refresh_tokens"), "0");
}

} // namespace
} // namespace binnacle::persistence
