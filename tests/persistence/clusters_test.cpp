#include "persistence/clusters.hpp"

#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2025-03-01T12:00:00Z");

class Clusters : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void SetUp() override {
    for (const auto* id : {"a", "b"})
      must(writing(db, [&](transaction& tx) {
        return insert_user(tx, {.id = {id}, .username = id, .created_at = now});
      }));
    must(insert("cls_1", "first"));
  }
  result<done> insert(const char* id, const char* name) {
    return writing(db, [&](transaction& tx) {
      return insert_cluster(
          tx, {.id = {id}, .name = name, .api_url = "https://" + std::string{name}}, now);
    });
  }
  std::optional<cluster> find(const char* id) {
    return must(run_in(db, access::read, [&](transaction& tx) { return find_cluster(tx, {id}); }));
  }
  result<done> assign(const char* who, const char* ns, const char* name = "Project") {
    return writing(db, [&](transaction& tx) {
      return assign_project(tx, {{who}, {"cls_1"}, name, ns, 7}, now);
    });
  }
};

TEST_F(Clusters, AreReadAsTheyWereWritten) {
  cluster c{.id = {"cls_2"},
            .name = "second",
            .api_url = "https://two/hopsworks-api/api",
            .api_key_sealed = "sealed",
            .kubeconfig_sealed = "sealed too",
            .max_users = 5,
            .status = "maintenance",
            .region = "eu"};
  must(writing(db, [&](transaction& tx) { return insert_cluster(tx, c, now); }));

  auto found =
      must(reading(db, [](transaction& tx) { return find_cluster_by_name(tx, "second"); }));

  ASSERT_TRUE(found);
  EXPECT_EQ(found->api_url, c.api_url);
  EXPECT_EQ(found->api_key_sealed, c.api_key_sealed);
  EXPECT_EQ(found->kubeconfig_sealed, c.kubeconfig_sealed);
  EXPECT_EQ(found->max_users, 5);
  EXPECT_EQ(found->status, "maintenance");
  EXPECT_EQ(found->region, "eu");
  EXPECT_EQ(found->created_at, now);
  EXPECT_EQ(must(reading(db, list_clusters)).size(), 2u);
  EXPECT_FALSE(find("cls_3"));
}

TEST_F(Clusters, HaveDifferentNames) {
  EXPECT_EQ(insert("cls_2", "first").error().field, "name");

  must(insert("cls_2", "second"));
  auto renamed = writing(db, [](transaction& tx) {
    return update_cluster(tx, {.id = {"cls_2"}, .name = "first"}, now);
  });
  EXPECT_EQ(renamed.error().code, errc::conflict);
}

TEST_F(Clusters, ChangeOnlyInWhatIsGiven) {
  auto changed = must(writing(db, [](transaction& tx) {
    return update_cluster(tx, {.id = {"cls_1"}, .max_users = 3, .region = ""}, now + seconds{1});
  }));

  EXPECT_EQ(changed.max_users, 3);
  EXPECT_EQ(changed.name, "first");
  EXPECT_EQ(changed.updated_at, now + seconds{1});
  auto unknown =
      writing(db, [](transaction& tx) { return update_cluster(tx, {.id = {"cls_9"}}, now); });
  EXPECT_EQ(unknown.error().code, errc::not_found);
}

TEST_F(Clusters, CountTheirUsers) {
  auto put = [&](const char* who, const char* on) {
    return writing(
        db, [&](transaction& tx) { return assign_cluster(tx, {who}, {on}, {"admin"}, now); });
  };
  must(insert("cls_2", "second"));

  must(put("a", "cls_1"));
  must(put("a", "cls_1"));
  must(put("b", "cls_1"));
  EXPECT_EQ(find("cls_1")->current_users, 2);

  must(put("a", "cls_2"));
  EXPECT_EQ(find("cls_1")->current_users, 1);
  auto of_a = must(reading(db, [](transaction& tx) { return cluster_of_user(tx, {"a"}); }));
  EXPECT_EQ(of_a->id, cluster_id{"cls_2"});
  EXPECT_EQ(put("nobody", "cls_1").error().text, "User not found");
  EXPECT_EQ(put("a", "nowhere").error().text, "Cluster not found");
}

TEST_F(Clusters, TakeAUserWhereTheFewestAre) {
  auto change = [&](const char* id, std::int64_t room, const char* status) {
    must(writing(db, [&](transaction& tx) {
      return update_cluster(tx, {.id = {id}, .max_users = room, .status = status}, now);
    }));
  };
  auto place = [&](const char* who) {
    return writing(db, [&](transaction& tx) { return assign_free_cluster(tx, {who}, now); });
  };
  must(insert("cls_2", "second"));
  must(insert("cls_3", "third"));
  change("cls_1", 0, "active");
  change("cls_3", 100, "maintenance");

  EXPECT_EQ(must(place("a")), cluster_id{"cls_2"});
  EXPECT_EQ(must(place("a")), cluster_id{"cls_2"}) << "who has one keeps it";
  change("cls_2", 1, "active");
  EXPECT_EQ(place("b").error().text, "No available clusters with capacity");
  where.query("UPDATE users SET account_owner_id = 'a' WHERE id = 'b'");
  EXPECT_EQ(must(place("b")), cluster_id{"cls_2"}) << "a member goes where the owner is";
  where.query("DELETE FROM user_hopsworks_assignments");
  EXPECT_EQ(place("b").error().text, "Account owner must be assigned to a cluster first");
  EXPECT_EQ(place("nobody").error().code, errc::not_found);
}

TEST_F(Clusters, TakeNoMoreUsersAtOnceThanTheyHaveRoomFor) {
  must(writing(db, [](transaction& tx) {
    return update_cluster(tx, {.id = {"cls_1"}, .max_users = 1}, now);
  }));
  int placed = 0;
  auto place = [&](const char* who, result<cluster_id>& out) {
    auto own = where.connect();
    out = writing(own, [&](transaction& tx) { return assign_free_cluster(tx, {who}, now); });
  };

  for (int round = 0; round < 10; ++round) {
    where.query("DELETE FROM user_hopsworks_assignments");
    result<cluster_id> a{fault{}}, b{fault{}};
    std::thread other{[&] { place("a", a); }};
    place("b", b);
    other.join();
    placed += (a ? 1 : 0) + (b ? 1 : 0);
  }

  EXPECT_EQ(placed, 10);
}

TEST_F(Clusters, GiveANamespaceToOneUser) {
  must(assign("a", "ns"));
  must(assign("a", "ns", "Renamed"));

  EXPECT_EQ(assign("b", "ns").error().code, errc::conflict);
  EXPECT_EQ(assign("b", "ns").error().field, "namespace");
  auto projects = must(reading(db, [](transaction& tx) { return projects_of(tx, {"a"}); }));
  ASSERT_EQ(projects.size(), 1u);
  EXPECT_EQ(projects[0].name, "Renamed");
  EXPECT_EQ(projects[0].name_space, "ns");
  EXPECT_EQ(projects[0].upstream_id, 7);
}

TEST_F(Clusters, GiveANamespaceAgainAfterItWasLeft) {
  must(assign("a", "ns"));
  where.query("UPDATE user_projects SET status = 'inactive'");

  must(assign("b", "ns"));

  EXPECT_TRUE(must(reading(db, [](transaction& tx) { return projects_of(tx, {"a"}); })).empty());
  EXPECT_EQ(assign("a", "ns").error().code, errc::conflict);
}

TEST_F(Clusters, AttributeUsageBookedBeforeTheNamespaceHadAnOwner) {
  auto hour = start_of_day(now);
  must(writing(db, [&](transaction& tx) {
    std::vector<hour_of_usage> hours;
    for (int day : {0, 1, 5}) // a gap between the days
      hours.push_back({.hour = hour - std::chrono::hours{24 * day},
                       .rows = {{.name_space = "ns", .cpu_hours = decimal{2}},
                                {.name_space = "other", .cpu_hours = decimal{9}}}});
    return book_usage(tx, {"cls_1"}, hours, now);
  }));
  std::vector<change> changes;

  must(db.run(
      access::write,
      [&](transaction& tx) {
        return assign_project(tx, {{"a"}, {"cls_1"}, "Late", "ns", {}}, now);
      },
      &changes));

  EXPECT_NE(std::find(changes.begin(), changes.end(), change{topic::usage, {"a"}}), changes.end());
  auto totals = must(reading(db, [&](transaction& tx) {
    return usage_between(tx, {"a"}, date_of(hour - std::chrono::hours{24 * 9}), date_of(hour));
  }));
  EXPECT_EQ(totals.used.cpu_hours, decimal{6});
  EXPECT_EQ(where.query("SELECT count(*) FROM usage_daily"), "3");
  auto unresolved = must(reading(db, [&](transaction& tx) {
                      return usage_health_on(tx, date_of(now));
                    })).unresolved;
  EXPECT_EQ(unresolved, (std::vector<std::string>{"other"}));
}

TEST_F(Clusters, ShowUsageUnderTheNewNameOfAProject) {
  must(assign("a", "ns", "Old \"name\""));
  must(writing(db, [&](transaction& tx) {
    return book_usage(tx, {"cls_1"}, {{.hour = start_of_day(now), .rows = {{.name_space = "ns"}}}},
                      now);
  }));
  auto shown = [&] { return must(db.ask(month_summary_of({"a"}, date_of(now)))).today.at(0).name; };
  EXPECT_EQ(shown(), "Old \"name\"");

  must(assign("a", "ns", "Neu: Übersicht"));

  EXPECT_EQ(shown(), "Neu: Übersicht");
}

TEST_F(Clusters, LoseNoUsageWhenBookingRacesWithAnAssignment) {
  auto hour = start_of_day(now);
  for (int round = 0; round < 10; ++round) {
    auto ns = "ns-" + std::to_string(round);
    std::thread booking{[&] {
      auto own = where.connect();
      must(writing(own, [&](transaction& tx) {
        return book_usage(
            tx, {"cls_1"},
            {{.hour = hour + hours{round}, .rows = {{.name_space = ns, .cpu_hours = decimal{1}}}}},
            now);
      }));
    }};
    must(assign("a", ns.c_str()));
    booking.join();
  }

  auto totals = must(reading(
      db, [&](transaction& tx) { return usage_between(tx, {"a"}, date_of(hour), date_of(hour)); }));
  EXPECT_EQ(totals.used.cpu_hours, decimal{10});
}

} // namespace
} // namespace binnacle::persistence
