/// Books that agree are found to agree; a row that was forged behind their back is named.
#include "persistence/clusters.hpp"
#include "persistence/credits.hpp"
#include "persistence/meters.hpp"
#include "persistence/reconciliation.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

const auto midnight = *parse_iso("2025-03-02T00:00:00Z");
const auto day = date_of(midnight);
const auto next_day = date_of(midnight + hours{24});
const auto now = midnight + hours{60};

decimal number(const char* text) { return *decimal::parse(text); }

class Reconciliation : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();
  cluster of{.id = {"cls_1"}, .name = "alpha", .api_url = "https://c"};
  user_id ana{"ana"}, ben{"ben"};

  /// Two days of two users, one of them reported to Stripe, and some credits.
  void SetUp() override {
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(insert_cluster(tx, of, midnight));
      for (const auto& who : {ana, ben}) must(insert_user(tx, {.id = who, .created_at = midnight}));
      must(assign_project(tx, {ana, of.id, "n1", "n1", {}}, midnight));
      must(assign_project(tx, {ana, of.id, "n2", "n2", {}}, midnight));
      return assign_project(tx, {ben, of.id, "n3", "n3", {}}, midnight);
    }));
    where.query("UPDATE users SET billing_mode = 'postpaid' WHERE id = 'ana'");
    where.query("INSERT INTO stripe_customers (user_id, customer_id, created_at) "
                "VALUES ('ana', 'cus_ana', now())");
    where.query("INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, "
                "created_at, updated_at) "
                "VALUES ('sub_1', 'ana', 'cus_ana', 'usage', 'active', now(), now(), now())");
    book(told());
    report();
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(grant_credits(tx, ben, {"pack", 100, {}, midnight}, midnight));
      must(use_credits(tx, ben, "job", 30, midnight));
      return done{};
    }));
  }

  static std::vector<hour_of_usage> told() {
    std::vector<hour_of_usage> out;
    for (int h = 0; h < 48; h += 7) {
      hour_of_usage one{.hour = midnight + hours{h}, .rows = {}};
      for (const auto* name : {"n1", "n2", "n3", "nobody"})
        one.rows.push_back({.name_space = name,
                            .cpu_hours = number("1.234567") + decimal{h},
                            .gpu_hours = number("0.1"),
                            .ram_gb_hours = number("3.333333333333"),
                            .online_gb_hours = number("7.1"),
                            .offline_gb_hours = {},
                            .cpu_efficiency = {},
                            .ram_efficiency = {},
                            .upstream_cost = number("0.77777")});
      out.push_back(std::move(one));
    }
    return out;
  }
  void book(const std::vector<hour_of_usage>& hours) {
    must(writing(db, [&](transaction& tx) { return book_usage(tx, of.id, hours, now); }));
  }
  void report() {
    must(writing(db, [&](transaction& tx) { return plan_meter_reports(tx, 1000, now); }));
  }

  reconciliation all(const user_id& who = {}) {
    return must(reading(db, [&](transaction& tx) -> result<reconciliation> {
      auto out = must(reconcile_day(tx, who, day));
      out += must(reconcile_day(tx, who, next_day));
      out += must(reconcile_month(tx, who, day));
      out += must(reconcile_meters(tx, who, day, next_day));
      if (who.empty())
        out += must(reconcile_ledgers(tx, {}, 100)).found;
      else
        out += must(reconcile_ledger(tx, who));
      return out;
    }));
  }
  /// Runs `sql` and returns the differences of that kind.
  std::vector<difference> after(const std::string& sql, comparison kind, const user_id& who = {}) {
    where.query(sql);
    auto shown = all(who).shown();
    std::erase_if(shown, [kind](const difference& d) { return d.check != kind; });
    return shown;
  }
};

TEST_F(Reconciliation, FindsNothingInBooksThatAgree) {
  auto found = all();

  EXPECT_EQ(found.differences(), 0) << (found.shown().empty() ? "" : found.shown()[0].what);
  EXPECT_EQ(found.rows(comparison::hour_price), 28);
  EXPECT_EQ(found.rows(comparison::project_day), 6);
  EXPECT_EQ(found.rows(comparison::day), 4);
  EXPECT_EQ(found.rows(comparison::month), 2);
  EXPECT_EQ(found.rows(comparison::meter_amount), 6);
  EXPECT_EQ(found.rows(comparison::ledger), 1);
  EXPECT_EQ(all(ana).rows(comparison::hour_price), 14);
  EXPECT_EQ(all(ben).rows(comparison::meter_amount), 0);
}

TEST_F(Reconciliation, FindsNothingAfterACorrectionWasReported) {
  auto corrected = told();
  corrected.resize(2);
  corrected[1].rows[0].cpu_hours = number("0.0001");
  book(corrected);
  EXPECT_EQ(all().differences(), 0); // before it is reported

  report();

  EXPECT_EQ(all().differences(), 0);
  EXPECT_EQ(all().rows(comparison::meter_amount), 9);
}

TEST_F(Reconciliation, NamesTheHourWhoseCostIsNotThatOfItsQuantities) {
  auto found = after("UPDATE usage_hourly SET compute_cost = compute_cost + 0.000000000001 "
                     "WHERE namespace = 'n2' AND hour = '2025-03-02T07:00:00Z'",
                     comparison::hour_price);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].who, ana);
  EXPECT_EQ(found[0].day, day);
  EXPECT_EQ(found[0].cluster, "alpha");
  EXPECT_EQ(found[0].name_space, "n2");
  EXPECT_EQ(found[0].hour, midnight + hours{7});
  EXPECT_EQ(found[0].what, "compute_cost");
  EXPECT_EQ(number(found[0].actual.c_str()) - number(found[0].expected.c_str()), number("1e-12"));
  // What was summed before does not know of it.
  EXPECT_EQ(all().differences(comparison::project_day), 1);
  EXPECT_EQ(all(ben).differences(), 0);
}

TEST_F(Reconciliation, NamesTheHourWhoseQuantityWasForged) {
  auto found = after("UPDATE usage_hourly SET gpu_hours = 5 "
                     "WHERE namespace = 'nobody' AND hour = '2025-03-02T00:00:00Z'",
                     comparison::hour_price);

  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].what, "credits");
  EXPECT_EQ(found[1].what, "compute_cost");
  for (const auto& d : found) {
    EXPECT_EQ(d.name_space, "nobody");
    EXPECT_TRUE(d.who.empty());
  }
}

TEST_F(Reconciliation, NamesTheProjectsDay) {
  auto found = after("UPDATE usage_project_daily SET storage_cost = 1 "
                     "WHERE namespace = 'n1' AND day = '2025-03-03'",
                     comparison::project_day);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].who, ana);
  EXPECT_EQ(found[0].day, next_day);
  EXPECT_EQ(found[0].name_space, "n1");
  EXPECT_EQ(found[0].what, "storage_cost");
  EXPECT_EQ(found[0].actual, "1");
  EXPECT_EQ(found[0].against, "usage_hourly");
}

TEST_F(Reconciliation, NamesARowThatIsMissingOrTooMany) {
  auto gone = after("DELETE FROM usage_project_daily WHERE namespace = 'n1' AND day = '2025-03-02'",
                    comparison::project_day);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].name_space, "n1");
  EXPECT_EQ(gone[0].expected, "a row");
  EXPECT_EQ(gone[0].actual, "none");

  auto extra =
      after("INSERT INTO usage_project_daily SELECT 'ben', day, cluster_id, 'n9', 0, 0, 0, "
            "0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0, updated_at FROM usage_project_daily "
            "WHERE namespace = 'n3' AND day = '2025-03-02'",
            comparison::project_day, ben);
  ASSERT_EQ(extra.size(), 1u);
  EXPECT_EQ(extra[0].name_space, "n9");
  EXPECT_EQ(extra[0].expected, "none");
}

TEST_F(Reconciliation, NamesTheUsersDay) {
  auto found = after("UPDATE usage_daily SET total_credits = total_credits + 1 "
                     "WHERE user_id = 'ben' AND day = '2025-03-02'",
                     comparison::day);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].who, ben);
  EXPECT_EQ(found[0].day, day);
  EXPECT_EQ(found[0].what, "credits");
}

TEST_F(Reconciliation, NamesTheUsersMonth) {
  auto found =
      after("UPDATE usage_monthly SET compute_cost = 0 WHERE user_id = 'ana'", comparison::month);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].who, ana);
  EXPECT_EQ(found[0].day, date_of(*parse_iso("2025-03-01T00:00:00Z")));
  EXPECT_EQ(found[0].what, "compute_cost");
  EXPECT_EQ(found[0].actual, "0");
}

TEST_F(Reconciliation, NamesTheReportThatIsNotOfItsDay) {
  auto identifier = where.query("SELECT identifier FROM meter_reports "
                                "WHERE meter = 'compute_credits' AND day = '2025-03-02'");
  auto amount = where.query("SELECT trim_scale(amount) FROM meter_reports WHERE identifier = '" +
                            identifier + "'");
  auto found = after("UPDATE meter_reports SET amount = amount + 3, value = value + 3 "
                     "WHERE identifier = '" +
                         identifier + "'",
                     comparison::meter_amount);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].identifier, identifier);
  EXPECT_EQ(found[0].who, ana);
  EXPECT_EQ(found[0].meter, "compute_credits");
  EXPECT_EQ(found[0].day, day);
  EXPECT_EQ(found[0].what, "amount");
  EXPECT_EQ(found[0].expected, amount);
  EXPECT_EQ(all().differences(comparison::meter_remainder), 0);
}

TEST_F(Reconciliation, NamesTheReportThatSendsWhatItShouldCarryOn) {
  auto identifier = where.query("SELECT identifier FROM meter_reports "
                                "WHERE meter = 'compute_credits' AND day = '2025-03-02'");
  auto found = after("UPDATE meter_reports SET value = value + 1, carried_out = carried_out - 1 "
                     "WHERE identifier = '" +
                         identifier + "'",
                     comparison::meter_remainder);

  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].identifier, identifier);
  EXPECT_EQ(found[0].what, "value");
  EXPECT_EQ(found[1].what, "carried_in"); // the next one carries in what this one had carried on
  EXPECT_EQ(found[1].against, identifier);
  EXPECT_EQ(found[1].day, next_day);
}

TEST_F(Reconciliation, NamesTheRemainderThatIsNotTheLastReports) {
  auto last = where.query("SELECT identifier FROM meter_reports "
                          "WHERE meter = 'storage_online_gb' AND day = '2025-03-03'");
  auto found = after("UPDATE meter_remainders SET remainder = 0.0000005 "
                     "WHERE meter = 'storage_online_gb'",
                     comparison::meter_remainder);

  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].identifier, last);
  EXPECT_EQ(found[0].what, "carried_out");
  EXPECT_EQ(found[0].expected, "0.0000005");
  EXPECT_EQ(found[0].against, "meter_remainders");
}

TEST_F(Reconciliation, NamesADayThatCountsAsReportedAndIsNot) {
  auto found = after("UPDATE usage_daily SET reported_to_stripe = true WHERE user_id = 'ben' "
                     "AND day = '2025-03-02'",
                     comparison::meter_amount, ben);

  ASSERT_EQ(found.size(), 3u); // one a meter
  EXPECT_EQ(found[0].what, "reported_to_stripe");
  EXPECT_EQ(found[0].who, ben);
}

TEST_F(Reconciliation, NamesTheLotAndTheAccountOfALedger) {
  auto lot = where.query("SELECT id FROM credit_lots");
  auto found = after("UPDATE credit_lots SET remaining = 71", comparison::ledger);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].who, ben);
  EXPECT_NE(found[0].what.find("lot " + lot + " says that 71 remain"), std::string::npos);

  where.query("UPDATE credit_lots SET remaining = 70");
  found = after("UPDATE credit_accounts SET balance = 69", comparison::ledger, ben);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "the account says 69, the entries sum to 70");
}

TEST_F(Reconciliation, NamesTheHourThatIsNotAsOpenCostTellsIt) {
  auto compare = [&](const std::vector<hour_of_usage>& heard, const user_id& who) {
    return must(reading(db, [&](transaction& tx) { return reconcile_hours(tx, who, of, heard); }));
  };
  EXPECT_EQ(compare(told(), {}).differences(), 0);
  EXPECT_EQ(compare(told(), {}).rows(comparison::opencost), 28);
  EXPECT_EQ(compare(told(), ana).rows(comparison::opencost), 14);

  auto heard = told();
  heard[1].rows[0].cpu_hours = decimal{2};                                // n1 used less,
  heard[2].rows.erase(heard[2].rows.begin() + 2);                         // n3 nothing,
  heard[3].rows.push_back({.name_space = "n7", .cpu_hours = decimal{1}}); // and who is that?
  auto found = compare(heard, {}).shown();

  ASSERT_GE(found.size(), 3u);
  EXPECT_EQ(found[0].name_space, "n1");
  EXPECT_EQ(found[0].hour, heard[1].hour);
  EXPECT_EQ(found[0].what, "cpu_hours");
  EXPECT_EQ(found[0].expected, "2");
  EXPECT_EQ(found[0].actual, "8.234567");
  EXPECT_EQ(found[1].name_space, "n7");
  EXPECT_EQ(found[1].actual, "none");
  EXPECT_EQ(found[2].name_space, "n3");
  EXPECT_EQ(found[2].expected, "0");
  EXPECT_EQ(compare(heard, ben).differences(), 5); // n3's columns
}

TEST_F(Reconciliation, KnowsWhatStripeMustHaveCounted) {
  auto days = [&] {
    return must(
        reading(db, [&](transaction& tx) { return delivered_days(tx, {}, day, next_day); }));
  };
  ASSERT_EQ(days().size(), 6u);
  EXPECT_EQ(days()[0].customer, "cus_ana");
  EXPECT_EQ(days()[0].meter, "compute_credits");
  EXPECT_EQ(days()[0].value, decimal{}); // none of it is delivered yet

  auto value = where.query("UPDATE meter_reports SET state = 'delivered', delivered_at = now() "
                           "WHERE meter = 'compute_credits' AND day = '2025-03-02' "
                           "RETURNING trim_scale(value)");
  where.query("UPDATE meter_reports SET state = 'sent' WHERE day = '2025-03-03'");

  EXPECT_EQ(days()[0].value.str(), value);
  EXPECT_FALSE(days()[0].unsettled);
  EXPECT_TRUE(days()[1].unsettled);
  EXPECT_EQ(days()[1].day, next_day);
}

TEST(ReconciliationSums, CountAllDifferencesAndShowTheFirst) {
  reconciliation a, b;
  for (std::size_t i = 0; i < reconciliation::most_shown; ++i)
    a.add({.check = comparison::day, .what = "a"});
  b.add({.check = comparison::ledger, .what = "b"});
  a += b;

  EXPECT_EQ(a.differences(), static_cast<std::int64_t>(reconciliation::most_shown) + 1);
  EXPECT_EQ(a.differences(comparison::ledger), 1);
  EXPECT_EQ(a.shown().size(), reconciliation::most_shown);
  EXPECT_EQ(a.shown().back().what, "a");
}

} // namespace
} // namespace binnacle::persistence
