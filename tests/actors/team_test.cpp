#include "actors/team.hpp"

#include "integrations/tokens.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <rapidcheck.h>
#include <thread>

namespace binnacle {
namespace {

using persistence::must;
using persistence::transaction;
using persistence::writing;

const auto now = *parse_iso("2026-03-10T12:00:00Z");

class Teams : public ::testing::Test {
protected:
  void add_user(const std::string& id) {
    persistence::user who;
    who.id = {id};
    who.email = id + "@example.com";
    who.created_at = now;
    must(writing(db, [&](transaction& tx) { return insert_user(tx, who); }));
  }
  /// The token of an invitation of `owner` to the user `whom`.
  std::string invite(const std::string& owner, const std::string& whom) {
    auto token = "token of " + owner + " for " + whom;
    persistence::team_invite i{.id = {},
                               .owner = {owner},
                               .email = whom + "@example.com",
                               .role = "Observer",
                               .auto_assign = true,
                               .expires_at = now + invite_life,
                               .created_at = now};
    must(writing(
        db, [&](transaction& tx) { return insert_invite(tx, i, integrations::sha256(token)); }));
    return token;
  }
  result<joined> join(const std::string& who, const std::string& token, time_point at = now) {
    return join_on(db, who, token, at);
  }
  static result<joined> join_on(persistence::database& by, const std::string& who,
                                const std::string& token, time_point at = now) {
    return writing(by, [&](transaction& tx) { return join_by_invite(tx, {{who}, token, {}}, at); });
  }
  std::string owner_of(const std::string& who) {
    return where.query("SELECT account_owner_id FROM users WHERE id = '" + who + "'");
  }

  persistence::test_database where{};
  persistence::database db = where.connect();
};

TEST_F(Teams, TakeInWhoWasInvited) {
  add_user("ann");
  add_user("bob");
  auto token = invite("ann", "bob");

  auto in = join("bob", token);

  ASSERT_TRUE(in);
  EXPECT_EQ(in->owner.value, "ann");
  EXPECT_EQ(in->role, "Observer");
  EXPECT_FALSE(in->cluster_assigned);
  EXPECT_EQ(owner_of("bob"), "ann");
  EXPECT_EQ(join("bob", token).error().code, errc::not_found);
}

TEST_F(Teams, TellTheMembersCaches) {
  add_user("ann");
  add_user("bob");
  auto token = invite("ann", "bob");
  std::vector<persistence::change> heard;

  must(db.run(
      persistence::access::write,
      [&](transaction& tx) -> result<done> {
        auto in = join_by_invite(tx, {{"bob"}, token, {}}, now);
        if (!in) return in.error();
        return done{};
      },
      &heard));

  for (auto what :
       {persistence::topic::identity, persistence::topic::usage, persistence::topic::billing})
    EXPECT_NE(std::find(heard.begin(), heard.end(), persistence::change{what, {"bob"}}),
              heard.end());
}

TEST_F(Teams, TakeInNobodyTooLate) {
  add_user("ann");
  add_user("bob");
  auto token = invite("ann", "bob");

  EXPECT_EQ(join("bob", token, now + invite_life).error().code, errc::gone);
  EXPECT_TRUE(join("bob", token, now + invite_life - seconds{1}));
}

TEST_F(Teams, DieWithTheirOwnersAccount) {
  add_user("ann");
  add_user("bob");
  auto token = invite("ann", "bob");
  where.query("UPDATE users SET status = 'deleted' WHERE id = 'ann'");

  EXPECT_EQ(join("bob", token).error().code, errc::not_found);
}

TEST_F(Teams, TakeInOneOfManyNodes) {
  add_user("ann");
  add_user("bob");
  add_user("eve");
  // Two owners want the same person, each through several nodes.
  std::vector<std::string> tokens{invite("ann", "bob"), invite("eve", "bob")};
  std::atomic<int> taken_in{0};
  std::vector<std::jthread> nodes;
  for (int i = 0; i < 10; ++i)
    nodes.emplace_back([&, i] {
      auto own = where.connect();
      if (join_on(own, "bob", tokens[static_cast<std::size_t>(i % 2)])) ++taken_in;
    });
  nodes.clear();

  EXPECT_EQ(taken_in, 1);
  EXPECT_EQ(where.query("SELECT count(*) FROM team_invites WHERE accepted_at IS NOT NULL"), "1");
}

TEST_F(Teams, MakeNoRingOfTwoWhoInviteEachOther) {
  for (int round = 0; round < 20; ++round) {
    auto a = "a" + std::to_string(round), b = "b" + std::to_string(round);
    add_user(a);
    add_user(b);
    auto to_b = invite(a, b), to_a = invite(b, a);
    std::atomic<int> taken_in{0};
    {
      std::jthread one{[&] {
        auto own = where.connect();
        if (join_on(own, b, to_b)) ++taken_in;
      }};
      std::jthread other{[&] {
        auto own = where.connect();
        if (join_on(own, a, to_a)) ++taken_in;
      }};
    }
    EXPECT_EQ(taken_in, 1);
    EXPECT_TRUE(owner_of(a).empty() || owner_of(b).empty());
  }
}

/// Whenever somebody tries: no hour has more than five, and after the stated time the next is let
/// in.
TEST_F(Teams, LetFiveInvitationsOutInAnyHour) {
  const rate_limit five{5, seconds{3600}};
  EXPECT_TRUE(rc::check([&] {
    auto who = user_id{"owner" + std::to_string(*rc::gen::inRange(0, 1'000'000'000))};
    auto pauses = *rc::gen::container<std::vector<int>>(12, rc::gen::inRange(0, 1'500));
    std::vector<time_point> admitted;
    auto at = now;
    for (auto pause : pauses) {
      at += seconds{pause};
      auto said =
          must(writing(db, [&](transaction& tx) { return count_invitation(tx, who, five, at); }));
      auto in_the_hour = std::count_if(admitted.begin(), admitted.end(),
                                       [&](time_point t) { return t > at - hours{1}; });
      RC_ASSERT((said.retry_after == 0) == (in_the_hour < 5));
      if (said.retry_after == 0) {
        admitted.push_back(at);
        continue;
      }
      auto later = at + seconds{said.retry_after};
      auto then = must(
          writing(db, [&](transaction& tx) { return count_invitation(tx, who, five, later); }));
      RC_ASSERT(then.retry_after == 0);
      admitted.push_back(later);
      at = later;
    }
  }));
}

} // namespace
} // namespace binnacle
