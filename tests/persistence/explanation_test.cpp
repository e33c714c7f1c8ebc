/// Every level of an explanation sums to the level above it.
#include "persistence/clusters.hpp"
#include "persistence/explanation.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <map>
#include <rapidcheck/gtest.h>

namespace binnacle::persistence {
namespace {

const auto midnight = *parse_iso("2025-03-01T00:00:00Z");
const auto first = date_of(midnight);
const auto last = date_of(midnight + hours{24 * 30});

void add(charged_amount& to, const charged_amount& what) {
  to.used += what.used;
  to.cost.credits += what.cost.credits;
  to.cost.compute_cost += what.cost.compute_cost;
  to.cost.storage_cost += what.cost.storage_cost;
}

/// An owner, a member and a stranger; two clusters, on which one namespace has the same name.
struct company {
  test_database where{};
  database db = where.connect();
  user_id owner{"owner"}, member{"member"}, stranger{"stranger"};
  std::vector<cluster_id> clusters{{"cls_1"}, {"cls_2"}};

  company() {
    must(writing(db, [&](transaction& tx) -> result<done> {
      for (const auto& c : clusters)
        must(insert_cluster(tx, {.id = c, .name = "name of " + c.value, .api_url = "https://c"},
                            midnight));
      for (const auto& who : {owner, member, stranger})
        must(insert_user(tx,
                         {.id = who, .email = who.value + "@example.com", .created_at = midnight}));
      for (const auto& c : clusters)
        must(assign_project(tx, {owner, c, "Shared", "shared", {}}, midnight));
      must(assign_project(tx, {member, clusters[0], "Lab", "lab", {}}, midnight));
      return assign_project(tx, {stranger, clusters[1], "Else", "else", {}}, midnight);
    }));
    where.query("UPDATE users SET account_owner_id = 'owner' WHERE id = 'member'");
  }
  void book(const cluster_id& on, const std::vector<hour_of_usage>& hours) {
    must(writing(db, [&](transaction& tx) { return book_usage(tx, on, hours, midnight); }));
  }
  template <class Read>
  auto read(Read body) {
    return must(reading(db, body));
  }
};

company& shared() {
  static company one;
  return one;
}

rc::Gen<decimal> any_quantity() {
  return rc::gen::map(rc::gen::inRange<std::int64_t>(0, 5'000'000'000'000),
                      [](std::int64_t n) { return *decimal::parse(std::to_string(n) + "e-12"); });
}

RC_GTEST_PROP(Explanation, OfAMonthSumsAtEveryLevelToTheLevelAbove, ()) {
  auto& in = shared();
  for (const auto* table :
       {"usage_hourly", "usage_project_daily", "usage_daily", "usage_monthly", "collected_hours"})
    in.where.query(std::string{"DELETE FROM "} + table);
  for (const auto& c : in.clusters) {
    std::vector<hour_of_usage> booked;
    for (auto h : *rc::gen::unique<std::vector<int>>(*rc::gen::inRange<std::size_t>(0, 8),
                                                     rc::gen::inRange(0, 80))) {
      hour_of_usage one{.hour = midnight + hours{h}, .rows = {}};
      for (const auto* name : {"shared", "lab", "else"})
        one.rows.push_back({.name_space = name,
                            .cpu_hours = *any_quantity(),
                            .gpu_hours = *any_quantity(),
                            .ram_gb_hours = *any_quantity(),
                            .online_gb_hours = *any_quantity()});
      booked.push_back(std::move(one));
    }
    in.book(c, booked);
  }

  for (const auto& who : {in.owner, in.member, in.stranger}) {
    auto month = in.read([&](transaction& tx) { return charges_between(tx, who, first, last); });
    charged_amount of_days;
    for (const auto& day : month.days) {
      add(of_days, day.amount);
      charged_amount of_projects;
      std::map<std::string, charged_amount> of_names;
      std::optional<project_place> after;
      do {
        auto page =
            in.read([&](transaction& tx) { return charges_on(tx, who, day.day, after, 2); });
        RC_ASSERT(page.total == day.amount);
        for (const auto& p : page.projects) {
          add(of_projects, p.amount);
          add(of_names[p.place.name_space], p.amount);
        }
        after = page.next;
      } while (after);
      RC_ASSERT(of_projects == day.amount);

      for (const auto& [name, amount] : of_names) {
        auto detail = in.read([&](transaction& tx) { return charges_of(tx, who, day.day, name); });
        RC_ASSERT(detail.total == amount);
        charged_amount of_hours;
        for (const auto& h : detail.hours) {
          add(of_hours, h.amount);
          RC_ASSERT(price(h.amount.used, h.prices) == h.amount.cost);
        }
        RC_ASSERT(of_hours == amount);
      }
    }
    RC_ASSERT(of_days == month.total);
  }
}

class Explained : public testing::Test {
protected:
  company in{};
  void SetUp() override {
    in.book(in.clusters[0], {{.hour = midnight,
                              .rows = {{.name_space = "shared", .cpu_hours = decimal{1}},
                                       {.name_space = "lab", .cpu_hours = decimal{10}},
                                       {.name_space = "else", .cpu_hours = decimal{100}}}}});
    in.book(in.clusters[1], {{.hour = midnight + hours{1},
                              .rows = {{.name_space = "shared", .cpu_hours = decimal{1000}}}}});
  }
  decimal cpu_of(const user_id& who) {
    return in.read([&](transaction& tx) { return charges_between(tx, who, first, last); })
        .total.used.cpu_hours;
  }
};

TEST_F(Explained, AreToAnOwnerAlsoTheMembersCharges) {
  EXPECT_EQ(cpu_of(in.owner), decimal{1011});
  EXPECT_EQ(cpu_of(in.member), decimal{10});
  EXPECT_EQ(cpu_of(in.stranger), decimal{});

  auto page = in.read([&](transaction& tx) { return charges_on(tx, in.owner, first, {}, 10); });
  ASSERT_EQ(page.projects.size(), 3u);
  EXPECT_EQ(page.projects[0].email, "member@example.com");
  EXPECT_EQ(page.projects[0].name, "Lab");
  EXPECT_EQ(page.projects[1].cluster_name, "name of cls_1");
  EXPECT_FALSE(page.next);
}

TEST_F(Explained, StayTheOwnersWhenTheMemberLeaves) {
  in.where.query("UPDATE users SET account_owner_id = NULL WHERE id = 'member'");

  EXPECT_EQ(cpu_of(in.owner), decimal{1011});
  EXPECT_EQ(cpu_of(in.member), decimal{});
}

TEST_F(Explained, AreOfOneNamespaceOnAllItsClusters) {
  auto of = in.read([&](transaction& tx) { return charges_of(tx, in.owner, first, "shared"); });

  ASSERT_EQ(of.hours.size(), 2u);
  EXPECT_EQ(of.hours[0].place.cluster, in.clusters[0]);
  EXPECT_EQ(of.hours[1].hour, midnight + hours{1});
  EXPECT_EQ(of.total.used.cpu_hours, decimal{1001});
}

TEST_F(Explained, AreNobodyElses) {
  auto of =
      reading(in.db, [&](transaction& tx) { return charges_of(tx, in.owner, first, "else"); });

  ASSERT_FALSE(of);
  EXPECT_EQ(of.error().code, errc::not_found);
}

TEST_F(Explained, AreCreditsByTheGrantsThatPaid) {
  must(writing(in.db, [&](transaction& tx) -> result<done> {
    must(grant_credits(tx, in.owner, {"first", 50, midnight + hours{48}, midnight}, midnight));
    must(grant_credits(tx, in.owner, {"second", 50, {}, midnight}, midnight));
    must(use_credits(tx, in.owner, "job", 70, midnight));
    return done{};
  }));

  auto entries = in.read([&](transaction& tx) { return explain_credits(tx, in.owner, {}, 10); });

  ASSERT_EQ(entries.size(), 3u);
  ASSERT_EQ(entries[0].payments.size(), 2u);
  EXPECT_EQ(entries[0].payments[0].lot.source, "first");
  EXPECT_EQ(entries[0].payments[0].tenths, 50);
  EXPECT_EQ(entries[0].payments[1].tenths, 20);
  EXPECT_TRUE(entries[1].payments.empty());
}

} // namespace
} // namespace binnacle::persistence
