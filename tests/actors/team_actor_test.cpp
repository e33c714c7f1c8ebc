#include "actors/team.hpp"

#include "actors/hopsworks_messages.hpp"
#include "deterministic_system.hpp"

#include <algorithm>
#include <map>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using persistence::found_invite;
using persistence::promised_roles;
using testing::fake_database;

/// Teams in memory: who is whose member. A token is "<owner>/<anything>".
class team_actor_test : public testing::deterministic_system {
protected:
  using tx = persistence::transaction;
  struct fake_state {
    template <class Pointer>
    explicit fake_state(Pointer) {}
  };

  static front_end_actor::behavior_type front_end(front_end_actor::stateful_pointer<fake_state>,
                                                  team_actor_test* test) {
    return {[](incoming&) {},
            [](authenticated&) {},
            [test](const changed& c) { test->heard += c.what.size(); },
            [](const session_ended&) {},
            [](const sweep&) {},
            [](const drain&) { return drained{}; },
            [test](const catch_up&) {
              test->heard_before_reply = test->heard;
              return caught_up{};
            }};
  }

  static hopsworks_accounts_actor::behavior_type
  hopsworks(hopsworks_accounts_actor::stateful_pointer<fake_state>, team_actor_test* test) {
    return {[](const ensure_hopsworks_account&) {
              return hopsworks_identity{7, "bob7"};
            },
            [test](const grant_project_role& g) -> caf::result<granted_roles> {
              test->granted.push_back(g.member.value + " as " + g.role + " of " + g.owner.value);
              if (test->hopsworks_down) return errc::unavailable;
              return granted_roles{{"churn"}, test->refused_projects};
            },
            [](const hopsworks_accounts_changed&) {}, [](caf::tick_atom) {}};
  }

  void SetUp() override {
    app.time = &time;
    app.front_end = owned(system.spawn(front_end, this));
    app.hopsworks_accounts = owned(system.spawn(hopsworks, this));
    app.storage = owned(testing::spawn_fake_storage<std::optional<found_invite>, joined, done,
                                                    std::optional<promised_roles>>(system, db));
    team_config config;
    config.books.find_invite = [this](tx&,
                                      const std::string&) -> result<std::optional<found_invite>> {
      found_invite out;
      out.what.owner = {invited_by};
      return std::optional{std::move(out)};
    };
    config.books.join = [this](tx& t, const joining_request& r, time_point) -> result<joined> {
      log.push_back(r.who.value + " joins");
      if (members.contains(r.who.value)) return fault{errc::bad_request, "in a team"};
      members[r.who.value] = r.token.substr(0, r.token.find('/'));
      t.touch({persistence::topic::identity, r.who});
      return joined{.owner = {members[r.who.value]},
                    .cluster_assigned = has_cluster,
                    .role = "Observer",
                    .auto_assign = true};
    };
    config.books.remove = [this](tx&, const remove_member& r, time_point) -> result<done> {
      log.push_back(r.member.value + " leaves");
      return members.erase(r.member.value) ? result<done>{done{}} : fault{errc::not_found};
    };
    config.books.find_promised_roles =
        [this](tx&, const user_id&) -> result<std::optional<promised_roles>> {
      if (!promise) return std::optional<promised_roles>{};
      return std::optional{promised_roles{{"ann"}, "Observer"}};
    };
    config.books.settle_promised_roles = [this](tx&, const user_id&, const std::string& failure,
                                                time_point) -> result<done> {
      promise = !failure.empty();
      last_failure = failure;
      return done{};
    };
    actor = owned(spawn_team(system, app, std::move(config)));
  }
  void TearDown() override {
    app.front_end = nullptr;
    app.hopsworks_accounts = nullptr;
    deterministic_system::TearDown();
  }

  auto join(const std::string& who, const std::string& owner) {
    invited_by = owner;
    return start(actor, join_team{std::make_shared<const joining_request>(
                            joining_request{{who}, owner + "/token", {}})});
  }
  template <class Asked>
  result<joining> outcome_of(Asked& asked) {
    auto said = reply_of<joined_team>(asked);
    if (!said) return to_fault(said.error());
    return said->what->made;
  }
  std::int64_t joinings() const { return std::ranges::count_if(log, is_joining); }
  static bool is_joining(const std::string& line) { return line.ends_with("joins"); }

  fake_database db{};
  services app{};
  std::map<std::string, std::string> members{};
  std::vector<std::string> log{};
  std::vector<std::string> granted{};
  std::vector<std::string> refused_projects{};
  std::string invited_by{};
  std::string last_failure{};
  std::size_t heard = 0;
  std::size_t heard_before_reply = 0;
  bool has_cluster = true;
  bool hopsworks_down = false;
  bool promise = false;
  team_actor actor{};
};

TEST_F(team_actor_test, RepliesWhenEverybodyHasHeard) {
  auto asked = join("bob", "ann");

  auto made = outcome_of(asked);

  ASSERT_TRUE(made);
  EXPECT_EQ(made->owner.value, "ann");
  EXPECT_EQ(made->projects, std::vector<std::string>{"churn"});
  EXPECT_EQ(heard_before_reply, 1U);
}

TEST_F(team_actor_test, MakesTheChangesOfATeamOneAfterAnother) {
  db.holds = [](const job& j) { return dynamic_cast<const storage_job<joined>*>(&j) != nullptr; };
  auto held = join("bob", "ann"); // a transaction that hangs
  db.holds = [](const job&) { return false; };
  auto same_team = join("eve", "ann");
  auto other_team = join("tom", "lea");

  EXPECT_TRUE(outcome_of(other_team)) << "another team does not wait";
  EXPECT_EQ(joinings(), 1);

  advance(11s); // the transaction's patience
  EXPECT_FALSE(outcome_of(held));
  EXPECT_TRUE(outcome_of(same_team));
  EXPECT_EQ(joinings(), 2);
}

TEST_F(team_actor_test, GoesOnWithTheNextAfterAFault) {
  members["bob"] = "lea";
  auto first = join("bob", "ann");
  EXPECT_EQ(outcome_of(first).error().code, errc::bad_request);

  auto second = join("eve", "ann");

  EXPECT_TRUE(outcome_of(second));
}

TEST_F(team_actor_test, KeepsAMemberWhoseRolesCouldNotBeGiven) {
  hopsworks_down = true;
  auto asked = join("bob", "ann");

  auto made = outcome_of(asked);

  ASSERT_TRUE(made);
  EXPECT_TRUE(members.contains("bob"));
  EXPECT_NE(made->warning, "");
}

TEST_F(team_actor_test, GivesNoRolesWithoutACluster) {
  has_cluster = false;
  auto asked = join("bob", "ann");

  auto made = outcome_of(asked);

  ASSERT_TRUE(made);
  EXPECT_FALSE(made->cluster_assigned);
  EXPECT_NE(made->warning, "");
  EXPECT_TRUE(granted.empty());
}

TEST_F(team_actor_test, RemovesAMember) {
  auto in = join("bob", "ann");
  ASSERT_TRUE(outcome_of(in));

  EXPECT_TRUE(ask<removed_member>(actor, remove_member{{"ann"}, {"bob"}, {}}));

  EXPECT_FALSE(members.contains("bob"));
  auto again = ask<removed_member>(actor, remove_member{{"ann"}, {"bob"}, {}});
  EXPECT_EQ(to_fault(again.error()).code, errc::not_found);
}

TEST_F(team_actor_test, KeepsAPromiseOnceHoweverOftenItIsAsked) {
  promise = true;
  auto first = start(actor, give_promised_roles{{"bob"}});
  auto second = start(actor, give_promised_roles{{"bob"}});

  EXPECT_TRUE(reply_of<promised_roles_given>(first));
  EXPECT_TRUE(reply_of<promised_roles_given>(second));

  EXPECT_EQ(granted, std::vector<std::string>{"bob as Observer of ann"});
  EXPECT_FALSE(promise);
}

TEST_F(team_actor_test, StillOwesWhatCouldNotBeGiven) {
  promise = true;
  hopsworks_down = true;
  EXPECT_TRUE(ask<promised_roles_given>(actor, give_promised_roles{{"bob"}}));
  EXPECT_TRUE(promise);

  hopsworks_down = false;
  refused_projects = {"fraud: no such project"};
  EXPECT_TRUE(ask<promised_roles_given>(actor, give_promised_roles{{"bob"}}));
  EXPECT_TRUE(promise);
  EXPECT_EQ(last_failure, "fraud: no such project");

  refused_projects.clear();
  EXPECT_TRUE(ask<promised_roles_given>(actor, give_promised_roles{{"bob"}}));
  EXPECT_FALSE(promise);
}

TEST_F(team_actor_test, SaysSoWhenTheDatabaseIsAway) {
  db.up = false;
  auto asked = join("bob", "ann");

  EXPECT_EQ(outcome_of(asked).error().code, errc::unavailable);
}

} // namespace
} // namespace binnacle
