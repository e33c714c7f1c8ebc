#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto midnight = *parse_iso("2025-03-01T00:00:00Z");
const auto day = date_of(midnight);

decimal number(const char* text) { return *decimal::parse(text); }

class Booking : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();
  cluster_id cls{"cls_1"};

  void SetUp() override {
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(insert_cluster(tx, {.id = cls, .name = "c", .api_url = "https://c"}, midnight));
      must(insert_user(tx, {.id = {"owner"}, .created_at = midnight}));
      must(insert_user(tx, {.id = {"a"}, .account_owner = {"owner"}, .created_at = midnight}));
      must(insert_user(tx, {.id = {"b"}, .created_at = midnight}));
      must(assign_project(tx, {{"a"}, cls, "Alpha", "ns-a", {}}, midnight));
      return assign_project(tx, {{"b"}, cls, "Beta", "ns-b", {}}, midnight);
    }));
  }

  result<booking> try_book(const std::vector<hour_of_usage>& hours) {
    return writing(db, [&](transaction& tx) { return book_usage(tx, cls, hours, midnight); });
  }
  booking book(const std::vector<hour_of_usage>& hours) { return must(try_book(hours)); }
  usage_totals totals(const char* who) {
    return must(reading(db, [&](transaction& tx) { return usage_between(tx, {who}, day, day); }));
  }
  std::string of_day(const char* who, const std::string& column) {
    return where.query("SELECT " + column + " FROM usage_daily WHERE user_id = '" + who + "'");
  }
};

TEST_F(Booking, AddsUpTheHoursOfADay) {
  auto booked = book({{.hour = midnight,
                       .rows = {{.name_space = "ns-a",
                                 .cpu_hours = number("1.5"),
                                 .gpu_hours = number("0.25"),
                                 .ram_gb_hours = number("8"),
                                 .online_gb_hours = number("10"),
                                 .offline_gb_hours = number("100"),
                                 .upstream_cost = number("0.7")}}},
                      {.hour = midnight + 1h,
                       .rows = {{.name_space = "ns-a", .cpu_hours = number("0.000000000001")}}}});

  quantities used{.cpu_hours = number("1.500000000001"),
                  .gpu_hours = number("0.25"),
                  .ram_gb_hours = number("8"),
                  .online_gb_hours = number("10"),
                  .offline_gb_hours = number("100")};
  EXPECT_EQ(totals("a").used, used);
  EXPECT_EQ(totals("a").cost.compute_cost, number("1.277500000000") + decimal{});
  EXPECT_EQ(totals("a").latest_online_gb, decimal{10});
  EXPECT_EQ(of_day("a", "account_owner_id"), "owner");
  EXPECT_EQ(number(of_day("a", "opencost_total_cost").c_str()), number("0.7"));
  EXPECT_EQ(of_day("a", "total_cost = compute_cost + storage_cost"), "t");
  ASSERT_EQ(booked.rows.size(), 1u);
  EXPECT_EQ(booked.rows[0].owner, user_id{"a"});
  EXPECT_EQ(booked.rows[0].project_name, "Alpha");
  EXPECT_EQ(booked.replaced, 0);
}

TEST_F(Booking, ReplacesAnHourThatIsCollectedAgain) {
  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{5}}}}});

  auto again =
      book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{3}}}}});

  EXPECT_EQ(again.replaced, 1);
  EXPECT_EQ(totals("a").used.cpu_hours, decimal{3});
}

TEST_F(Booking, NeverReplacesAKnownValueByAnUnknownOne) {
  book({{.hour = midnight,
         .rows = {{.name_space = "ns-a", .cpu_hours = decimal{5}, .gpu_hours = decimal{1}}}}});

  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .ram_gb_hours = decimal{20}}}}});

  quantities used{.cpu_hours = decimal{5},
                  .gpu_hours = decimal{1},
                  .ram_gb_hours = decimal{20},
                  .online_gb_hours = {},
                  .offline_gb_hours = {}};
  EXPECT_EQ(totals("a").used, used);
  EXPECT_EQ(totals("a").cost, price(used, default_price_list()));
}

TEST_F(Booking, SetsToZeroWhatACorrectionNoLongerContains) {
  book({{.hour = midnight,
         .rows = {{.name_space = "ns-a", .cpu_hours = decimal{5}, .online_gb_hours = decimal{9}},
                  {.name_space = "ns-b", .cpu_hours = decimal{7}}}}});

  book({{.hour = midnight, .rows = {{.name_space = "ns-b", .cpu_hours = decimal{7}}}}});

  EXPECT_EQ(totals("a").used, quantities{});
  EXPECT_EQ(totals("a").cost, charge{});
  EXPECT_EQ(totals("a").latest_online_gb, decimal{});
  EXPECT_EQ(totals("b").used.cpu_hours, decimal{7});
  EXPECT_EQ(where.query("SELECT count(*) FROM usage_hourly"), "2");
}

TEST_F(Booking, PrefersACompleteHourToALatePartialOne) {
  book({{.hour = midnight,
         .complete = false,
         .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}}}}});
  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{4}}}}});

  book({{.hour = midnight,
         .complete = false,
         .rows = {{.name_space = "ns-a", .cpu_hours = decimal{2}}}}});

  EXPECT_EQ(totals("a").used.cpu_hours, decimal{4});
}

TEST_F(Booking, TakesTheStorageOfTheDaysNewestHour) {
  book({{.hour = midnight + 2h, .rows = {{.name_space = "ns-a", .online_gb_hours = decimal{30}}}},
        {.hour = midnight + 1h,
         .rows = {{.name_space = "ns-a",
                   .online_gb_hours = decimal{50},
                   .offline_gb_hours = decimal{7}}}}});

  EXPECT_EQ(totals("a").latest_online_gb, decimal{30});
  EXPECT_EQ(totals("a").latest_offline_gb, decimal{7}); // unknown in the newest hour
}

TEST_F(Booking, DoesNotTakeAPartialHoursStorageForAWholeOnes) {
  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .online_gb_hours = decimal{60}}}}});

  book({{.hour = midnight + 1h,
         .complete = false,
         .rows = {{.name_space = "ns-a", .online_gb_hours = decimal{5}}}}});

  EXPECT_EQ(totals("a").latest_online_gb, decimal{60});
}

TEST_F(Booking, KeepsWhatBelongsToNobodyYet) {
  auto booked =
      book({{.hour = midnight, .rows = {{.name_space = "stray", .cpu_hours = decimal{1}}}}});

  EXPECT_EQ(booked.rows[0].owner, user_id{});
  EXPECT_EQ(where.query("SELECT cpu_hours = 1 AND user_id IS NULL FROM usage_hourly"), "t");
  EXPECT_EQ(where.query("SELECT count(*) FROM usage_daily"), "0");
}

TEST_F(Booking, LeavesThePastWithItsOwnerWhenANamespaceChangesHands) {
  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}}}}});
  where.query("UPDATE user_projects SET status = 'inactive' WHERE namespace = 'ns-a'");
  must(writing(db, [&](transaction& tx) {
    return assign_project(tx, {{"b"}, cls, "Alpha", "ns-a", {}}, midnight);
  }));

  book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{2}}}},
        {.hour = midnight + 1h, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{4}}}}});

  EXPECT_EQ(totals("a").used.cpu_hours, decimal{2});
  EXPECT_EQ(totals("b").used.cpu_hours, decimal{4});
}

TEST_F(Booking, RaisesTheRevisionOnlyWhenTheBillChanges) {
  std::vector<hour_of_usage> hours{
      {.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}}}}};
  book(hours);
  where.query("UPDATE usage_daily SET reported_to_stripe = true");

  book(hours);
  EXPECT_EQ(of_day("a", "revision || ' ' || reported_to_stripe"), "0 true");

  hours[0].rows[0].cpu_hours = decimal{2};
  book(hours);
  EXPECT_EQ(of_day("a", "revision || ' ' || reported_to_stripe"), "1 false");
}

TEST_F(Booking, RaisesTheRevisionForStorageThatCostsNothingYet) {
  where.query("INSERT INTO stripe_products (product_type, unit_price, valid_from) VALUES "
              "('storage_online_gb', 0, '2000-01-01'), ('storage_offline_gb', 0, '2000-01-01')");
  auto stored = [](std::int64_t online, std::int64_t offline) {
    return hour_row{.name_space = "ns-a",
                    .online_gb_hours = decimal{online},
                    .offline_gb_hours = decimal{offline}};
  };
  // The last hour tells how much is stored now; the earlier one only for how long.
  std::vector<hour_of_usage> hours{{.hour = midnight, .rows = {stored(1, 1)}},
                                   {.hour = midnight + 1h, .rows = {stored(5, 5)}}};
  book(hours);
  book(hours);
  EXPECT_EQ(of_day("a", "revision"), "0");

  hours[0].rows[0] = stored(2, 1);
  book(hours);
  EXPECT_EQ(of_day("a", "revision || ' ' || (storage_cost = 0)"), "1 true");

  hours[0].rows[0] = stored(2, 2);
  book(hours);
  EXPECT_EQ(of_day("a", "revision"), "2");
}

TEST_F(Booking, KeepsThePricesOfAnHourThatIsCollectedAgainOrGetsItsOwnerLater) {
  std::vector<hour_of_usage> hours{{.hour = midnight,
                                    .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}},
                                             {.name_space = "stray", .cpu_hours = decimal{2}}}}};
  book(hours);
  where.query("UPDATE usage_daily SET reported_to_stripe = true");
  where.query("INSERT INTO stripe_products (product_type, unit_price, valid_from) "
              "VALUES ('compute_credits', 99, '" +
              format_iso_s(midnight + 30min) + "')");

  book(hours);
  must(writing(db, [&](transaction& tx) {
    return assign_project(tx, {{"b"}, cls, "Stray", "stray", {}}, midnight + 1h);
  }));

  EXPECT_EQ(totals("a").cost.compute_cost, number("0.175"));
  EXPECT_EQ(of_day("a", "revision || ' ' || reported_to_stripe"), "0 true");
  EXPECT_EQ(totals("b").cost.compute_cost, number("0.35"));
  book({{.hour = midnight + 1h, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}}}}});
  EXPECT_EQ(totals("a").cost.compute_cost, number("49.675")); // 0.175 + 99 / 2
}

TEST_F(Booking, TouchesTheUsageOfWhoeverIsConcerned) {
  std::vector<change> changes;

  must(db.run(
      access::write,
      [&](transaction& tx) -> result<done> {
        must(book_usage(tx, cls,
                        {{.hour = midnight,
                          .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}},
                                   {.name_space = "x", .cpu_hours = decimal{1}}}}},
                        midnight));
        return done{};
      },
      &changes));

  EXPECT_EQ(changes, (std::vector<change>{{topic::usage, {"a"}}}));
}

TEST_F(Booking, RefusesWhatMakesNoSense) {
  auto crooked = try_book({{.hour = midnight + 1min}});
  auto negative =
      try_book({{.hour = midnight, .rows = {{.name_space = "ns-a", .cpu_hours = number("-0.1")}}}});
  auto nowhere = writing(db, [&](transaction& tx) {
    return book_usage(tx, {"cls_9"}, {{.hour = midnight}}, midnight);
  });

  EXPECT_EQ(crooked.error().code, errc::bad_request);
  EXPECT_EQ(negative.error().code, errc::unprocessable);
  EXPECT_EQ(nowhere.error().code, errc::not_found);
  EXPECT_TRUE(book({}).rows.empty());
}

TEST_F(Booking, OfManyCollectorsAtOnceLosesNothing) {
  must(writing(db, [&](transaction& tx) -> result<done> {
    must(insert_cluster(tx, {.id = {"cls_2"}, .name = "d", .api_url = "https://d"}, midnight));
    return assign_project(tx, {{"a"}, {"cls_2"}, "Other", "ns-a", {}}, midnight);
  }));

  std::vector<std::thread> collectors;
  for (int i = 0; i < 4; ++i)
    collectors.emplace_back([&, i] {
      auto own = where.connect();
      cluster_id on{i % 2 ? "cls_1" : "cls_2"};
      for (int h = 0; h < 12; ++h)
        must(writing(own, [&](transaction& tx) {
          auto hour = midnight + hours{h * 2 + i / 2};
          return book_usage(
              tx, on, {{.hour = hour, .rows = {{.name_space = "ns-a", .cpu_hours = decimal{1}}}}},
              midnight);
        }));
    });
  for (auto& c : collectors) c.join();

  EXPECT_EQ(totals("a").used.cpu_hours, decimal{48});
}

} // namespace
} // namespace binnacle::persistence
