#include "persistence/health_checks.hpp"
#include "persistence/hopsworks_accounts.hpp"
#include "persistence/project_sync.hpp"
#include "persistence/suspensions.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-10T12:00:00Z");

class Hopsworks : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void SetUp() override {
    for (const auto* id : {"a", "b"})
      must(writing(db, [&](transaction& tx) {
        return insert_user(tx, {.id = {id},
                                .username = id,
                                .email = std::string{id} + "@example.com",
                                .created_at = now});
      }));
    must(writing(db, [](transaction& tx) {
      return insert_cluster(
          tx, {.id = {"c"}, .name = "c", .api_url = "https://c", .api_key_sealed = "k"}, now);
    }));
  }
  void place(const char* who) {
    must(writing(db, [&](transaction& tx) { return assign_cluster(tx, {who}, {"c"}, {}, now); }));
  }
  std::vector<held_account> hold(time_point when = now, const char* node = "node") {
    return must(run_in(db, access::append, [&](transaction& tx) {
      return hold_accounts(tx, node, minutes{5}, 10, when);
    }));
  }
  void finish(const held_account& a) {
    must(writing(db, [&](transaction& tx) { return finish_account(tx, a, now); }));
  }
  std::optional<hopsworks_holder> holder(const char* who) {
    return must(reading(db, [&](transaction& tx) { return find_hopsworks_holder(tx, {who}); }));
  }
  std::string open() { return where.query("SELECT count(*) FROM hopsworks_outbox"); }
  /// Known at Hopsworks by these.
  void know(const char* who, std::int64_t id, const char* username) {
    must(writing(db, [&](transaction& tx) {
      return store_hopsworks_account(tx, {who}, {"c"}, {id, username, 0});
    }));
  }
  project_changes sync(const std::vector<seen_project>& seen, std::size_t listed = 1) {
    return must(
        writing(db, [&](transaction& tx) { return sync_projects(tx, {"c"}, seen, listed, now); }));
  }
  std::string projects() {
    return where.query(
        "SELECT coalesce(string_agg(concat_ws(':', user_id, namespace, name, "
        "upstream_id, status), ' ' ORDER BY user_id, namespace), '') FROM user_projects");
  }
};

TEST_F(Hopsworks, IsToldOfWhoIsPutOnAClusterSuspendedOrPays) {
  EXPECT_EQ(open(), "0");
  place("a");
  EXPECT_EQ(open(), "1");
  for (const auto* change :
       {"UPDATE users SET status = 'suspended' WHERE id = 'a'",
        "UPDATE users SET billing_mode = 'prepaid' WHERE id = 'a'",
        "UPDATE users SET account_owner_id = 'b' WHERE id = 'a'",
        "INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, "
        "updated_at) VALUES ('s', 'a', 'cus', 'usage', 'active', now(), now(), now())",
        "UPDATE subscriptions SET status = 'canceled'"}) {
    for (const auto& a : hold()) finish(a);
    ASSERT_EQ(open(), "0");
    where.query(change);
    EXPECT_EQ(open(), "1") << change;
  }
}

TEST_F(Hopsworks, IsNotToldOfWhatChangesNothingForIt) {
  place("a");
  for (const auto& a : hold()) finish(a);

  where.query("UPDATE users SET name = 'Ana', status = status WHERE id = 'a'");
  where.query("UPDATE users SET status = 'suspended' WHERE id = 'b'"); // on no cluster

  EXPECT_EQ(open(), "0");
}

TEST_F(Hopsworks, IsNotToldOfWhatWasRolledBack) {
  place("a");
  for (const auto& a : hold()) finish(a);
  where.query("INSERT INTO stripe_customers (user_id, customer_id, created_at) "
              "VALUES ('a', 'cus', now())");

  auto failed = writing(db, [](transaction& tx) -> result<done> {
    if (auto s = suspend_for_billing(tx, {"a"}, now); !s) return s;
    return fault{errc::internal, {}, {}, "no"};
  });
  EXPECT_FALSE(failed);
  EXPECT_EQ(open(), "0");

  must(writing(db, [](transaction& tx) { return suspend_for_billing(tx, {"a"}, now); }));
  EXPECT_EQ(open(), "1");
}

TEST_F(Hopsworks, AnAccountIsWorkedOnByOneAtATime) {
  place("a");

  auto first = hold();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].attempt, 1);
  EXPECT_TRUE(hold(now, "other").empty());
  auto after_its_death = hold(now + minutes{6}, "other");
  ASSERT_EQ(after_its_death.size(), 1u);
  finish(first[0]); // the dead one comes back: no longer its business
  EXPECT_EQ(open(), "1");
  finish(after_its_death[0]);
  EXPECT_EQ(open(), "0");
}

TEST_F(Hopsworks, AChangeWhileItIsToldMakesItDueAgain) {
  place("a");
  auto held = hold();
  where.query("UPDATE users SET status = 'suspended' WHERE id = 'a'");
  EXPECT_TRUE(hold().empty()) << "two at once could overtake each other";

  finish(held.at(0));

  auto again = hold();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 1) << "of the new change";
  finish(again[0]);
  EXPECT_EQ(open(), "0");
}

TEST_F(Hopsworks, AFailureIsTriedAgainLaterAndHealed) {
  place("a");
  auto held = hold();
  must(writing(db, [&](transaction& tx) -> result<done> {
    if (auto n = note_health_failure(tx, {"a"}, "hopsworks_user", "why", now); !n) return n;
    if (auto n = note_health_failure(tx, {"a"}, "hopsworks_user", "why else", now); !n) return n;
    return fail_account(tx, held.at(0), "why", now + seconds{2});
  }));
  const auto* failures = "SELECT concat_ws(':', count(*), min(error_message), min(email), "
                         "count(resolved_at)) FROM health_check_failures";
  EXPECT_EQ(where.query(failures), "1:why else:a@example.com:0");
  EXPECT_TRUE(hold(now + seconds{1}).empty());

  auto again = hold(now + seconds{2});
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 2);
  finish(again[0]);

  EXPECT_EQ(where.query(failures), "1:why else:a@example.com:1");
}

TEST_F(Hopsworks, AClusterWithoutAKeyIsToldWhenItGetsOne) {
  where.query("UPDATE clusters SET api_key_sealed = ''");
  place("a");
  EXPECT_TRUE(hold().empty());
  where.query("UPDATE clusters SET api_key_sealed = 'k'");
  EXPECT_EQ(hold().size(), 1u);
}

TEST_F(Hopsworks, ProjectsAreForOwnersWhoPay) {
  EXPECT_FALSE(holder("a"));
  place("a");
  EXPECT_FALSE(holder("a")->entitled);
  where.query("UPDATE users SET billing_mode = 'prepaid' WHERE id = 'a'");
  EXPECT_TRUE(holder("a")->entitled);
  where.query("UPDATE users SET account_owner_id = 'b' WHERE id = 'a'");
  EXPECT_FALSE(holder("a")->entitled);
  where.query("UPDATE users SET account_owner_id = NULL, billing_mode = 'postpaid' WHERE id = 'a'");
  where.query(
      "INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, "
      "updated_at) VALUES ('s', 'a', 'cus', 'usage', 'active', now(), now(), now())");
  EXPECT_TRUE(holder("a")->entitled);
  where.query("UPDATE subscriptions SET status = 'canceled'");
  EXPECT_FALSE(holder("a")->entitled);
  where.query("UPDATE users SET status = 'suspended' WHERE id = 'a'");
  EXPECT_FALSE(holder("a")->active);
}

TEST_F(Hopsworks, ANewClusterHasANewAccount) {
  place("a");
  know("a", 7, "ana7");
  EXPECT_EQ(holder("a")->known, (hopsworks_account{7, "ana7", 0}));
  must(writing(db, [](transaction& tx) {
    return insert_cluster(tx, {.id = {"d"}, .name = "d", .api_url = "https://d"}, now);
  }));
  must(writing(db, [](transaction& tx) { return assign_cluster(tx, {"a"}, {"d"}, {}, now); }));
  EXPECT_EQ(holder("a")->known, hopsworks_account{});
  know("a", 7, "ana7"); // seen on the old one
  EXPECT_EQ(holder("a")->known, hopsworks_account{});
}

TEST_F(Hopsworks, ActiveProjectsShowInTheSummary) {
  auto shown = [&] { return must(db.ask(month_summary_of({"a"}, date_of(now)))).active_projects; };
  EXPECT_EQ(shown(), 0);
  place("a");
  must(writing(db, [](transaction& tx) {
    return store_hopsworks_account(tx, {"a"}, {"c"}, {7, "ana7", 3});
  }));
  EXPECT_EQ(shown(), 3);
}

TEST_F(Hopsworks, ProjectsAppearChangeAndVanish) {
  auto out = sync({{{"a"}, 1, "One"}, {{"b"}, 2, "Two_B"}});
  EXPECT_EQ(out.synced, 2);
  EXPECT_EQ(projects(), "a:one:One:1:active b:two-b:Two_B:2:active");

  out = sync({{{"a"}, 1, "Renamed"}});
  EXPECT_EQ(out.deactivated, 1);
  EXPECT_EQ(projects(), "a:one:Renamed:1:active b:two-b:Two_B:2:inactive");

  out = sync({{{"a"}, 1, "Renamed"}, {{"b"}, 2, "Two_B"}});
  EXPECT_EQ(out.synced, 2);
  EXPECT_EQ(projects(), "a:one:Renamed:1:active b:two-b:Two_B:2:active");
}

TEST_F(Hopsworks, NothingListedTakesNothingAway) {
  sync({{{"a"}, 1, "one"}});

  auto out = sync({}, 0);

  EXPECT_EQ(out.kept, 1);
  EXPECT_EQ(out.deactivated, 0);
  EXPECT_EQ(projects(), "a:one:one:1:active");
  EXPECT_EQ(sync({}, 5).deactivated, 1) << "others have projects, we have none";
}

TEST_F(Hopsworks, AProjectMayPassToAnotherUser) {
  sync({{{"a"}, 1, "one"}});
  auto out = sync({{{"b"}, 1, "one"}});
  EXPECT_TRUE(out.refused.empty());
  EXPECT_EQ(projects(), "a:one:one:1:inactive b:one:one:1:active");
}

TEST_F(Hopsworks, ProjectsAssignedByHandStay) {
  must(writing(db, [](transaction& tx) {
    return assign_project(tx, {{"a"}, {"c"}, "Mine", "mine", {}}, now);
  }));

  auto out = sync({{{"b"}, 3, "mine"}});

  EXPECT_EQ(out.refused, std::vector<std::string>{"mine"});
  EXPECT_EQ(projects(), "a:mine:Mine:active");
  sync({{{"a"}, 3, "mine"}}); // now Hopsworks says so, too
  EXPECT_EQ(projects(), "a:mine:mine:3:active");
}

TEST_F(Hopsworks, RolesAreKeptWithWhatBecameOfThem) {
  project_role role{.member = {"a"},
                    .account_owner = {"b"},
                    .cluster = {"c"},
                    .project_id = 3,
                    .project_name = "one",
                    .role = "Observer",
                    .failure = "no"};
  auto store = [&] {
    must(writing(db, [&](transaction& tx) { return store_project_role(tx, role, now); }));
    return must(reading(db, [](transaction& tx) { return project_roles_of(tx, {"a"}); }));
  };
  EXPECT_EQ(store().at(0).failure, "no");
  role.failure.clear();
  role.role = "Data owner";
  auto kept = store();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].role, "Data owner");
  EXPECT_EQ(kept[0].failure, "");
  EXPECT_EQ(kept[0].account_owner, user_id{"b"});
}

} // namespace
} // namespace binnacle::persistence
