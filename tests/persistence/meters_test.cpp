#include "persistence/meters.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <map>
#include <rapidcheck/gtest.h>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2025-03-20T12:00:00Z");
decimal number(const char* text) { return *decimal::parse(text); }

class Meters : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void SetUp() override {
    add_user("payer", "postpaid");
    subscribe("payer", "active");
  }

  void add_user(const std::string& who, const std::string& mode, const std::string& owner = {}) {
    where.query(
        "INSERT INTO users (id, billing_mode, account_owner_id, created_at, updated_at) VALUES ('" +
        who + "', nullif('" + mode + "', ''), nullif('" + owner + "', ''), now(), now())");
  }
  void subscribe(const std::string& who, const std::string& status) {
    where.query("INSERT INTO stripe_customers (user_id, customer_id, created_at) VALUES ('" + who +
                "', 'cus_" + who + "', now()) ON CONFLICT DO NOTHING");
    where.query("INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, "
                "created_at, updated_at) "
                "VALUES ('sub_" +
                who + "', '" + who + "', 'cus_" + who + "', 'usage', '" + status +
                "', now(), now(), now()) ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status");
  }
  /// A user's day as booking would leave it: `hours` GB-hours of online storage.
  void book(const std::string& who, const std::string& day, const std::string& credits,
            const std::string& hours = "0") {
    where.query(
        "INSERT INTO usage_daily AS d (user_id, day, account_owner_id, opencost_cpu_hours, "
        "opencost_gpu_hours, opencost_ram_gb_hours, opencost_total_cost, "
        "online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb, "
        "offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at) "
        "SELECT id, '" +
        day + "', account_owner_id, 0, 0, 0, 0, " + hours + ", 0, 0, 0, " + credits +
        ", 0, 0, now(), now() FROM users WHERE id = '" + who +
        "' "
        "ON CONFLICT (user_id, day) DO UPDATE SET total_credits = EXCLUDED.total_credits, "
        "online_storage_gb_hours = EXCLUDED.online_storage_gb_hours, "
        "revision = d.revision + 1, reported_to_stripe = false");
  }
  std::vector<meter_report> plan(time_point now = noon, std::int64_t limit = 1'000) {
    return must(writing(db, [&](transaction& tx) { return plan_meter_reports(tx, limit, now); }));
  }
  std::vector<meter_report> claim(time_point began, time_point now, const char* holder = "n1") {
    return must(writing(db, [&](transaction& tx) {
      return claim_meter_reports(tx, holder, 5min, 100, began, now);
    }));
  }
  void finish(const std::string& identifier, report_state state, time_point now = noon) {
    must(writing(db, [&](transaction& tx) {
      return finish_meter_reports(tx, {{identifier, state, "why"}}, now);
    }));
  }
  std::vector<unsettled_day> unsettled(time_point now) {
    return must(reading(db, [&](transaction& tx) { return unsettled_meter_days(tx, 100, now); }));
  }
  std::vector<meter_report> of_meter(const std::string& meter, std::vector<meter_report> all) {
    std::erase_if(all, [&](const auto& r) { return r.meter != meter; });
    return all;
  }
  bool reported(const std::string& who, const std::string& day) {
    return where.query("SELECT reported_to_stripe FROM usage_daily WHERE user_id = '" + who +
                       "' AND day = '" + day + "'") == "t";
  }
};

TEST_F(Meters, ReportHundredthsOfCreditsWholeAndCarryTheRest) {
  book("payer", "2025-03-18", "1.2345");
  book("payer", "2025-03-19", "0.0067");

  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[0].value, number("123"));
  EXPECT_EQ(made[0].carried_out, number("0.45"));
  EXPECT_EQ(made[1].carried_in, number("0.45"));
  EXPECT_EQ(made[1].amount, number("0.67"));
  EXPECT_EQ(made[1].value, number("1"));
  EXPECT_EQ(made[1].carried_out, number("0.12"));
  EXPECT_EQ(made[0].identifier, where.query("SELECT id FROM usage_daily WHERE day = '2025-03-18'") +
                                    ":compute_credits:0");
}

TEST_F(Meters, ReportStorageAsPartsOfAGigabyteMonth) {
  book("payer", "2025-03-19", "0", "744"); // 31 GB for 24 hours of a month of 31 days
  book("payer", "2025-02-28", "0", "672"); // 28 GB in a month of 28 days
  book("payer", "2025-03-18", "0", "0.001");

  auto made = of_meter("storage_online_gb", plan());

  ASSERT_EQ(made.size(), 3U);
  EXPECT_EQ(made[0].value, number("1"));
  EXPECT_EQ(made[1].value, number("0.000001"));
  EXPECT_EQ(made[1].carried_out, number("0.000000344086"));
  EXPECT_EQ(made[2].value, number("1"));
}

TEST_F(Meters, MakeEachReportOnce) {
  book("payer", "2025-03-19", "1");
  EXPECT_EQ(plan().size(), 3U);
  EXPECT_TRUE(plan().empty());
}

TEST_F(Meters, ReportTheDifferenceWhenADayIsCorrected) {
  book("payer", "2025-03-18", "2");
  plan();
  book("payer", "2025-03-18", "1.5");

  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].value, number("-50"));
  EXPECT_TRUE(made[0].identifier.ends_with(":compute_credits:1"));
}

TEST_F(Meters, LeaveTodayAndWhatStripeNoLongerTakes) {
  book("payer", "2025-03-20", "1");
  book("payer", "2025-02-13", "1"); // 35 days ago, at midnight
  book("payer", "2025-02-14", "1");

  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(format_date(start_of(made[0].day)), "2025-02-14");
}

TEST_F(Meters, LetTheUsageOfEverybodyElseWait) {
  add_user("ahead", "prepaid");
  subscribe("ahead", "active");
  add_user("none", "postpaid");
  add_user("late", "postpaid");
  subscribe("late", "canceled");
  for (const auto* who : {"ahead", "none", "late"}) book(who, "2025-03-19", "1");
  EXPECT_TRUE(plan().empty());

  subscribe("late", "active");
  EXPECT_EQ(plan().size(), 3U);
}

TEST_F(Meters, LeaveOutWhatWasUsedWhileItWasPaidInAdvance) {
  add_user("ahead", "prepaid");
  subscribe("ahead", "active");
  where.query("UPDATE users SET billing_mode = 'postpaid' WHERE id = 'ahead'");
  EXPECT_EQ(where.query("SELECT postpaid_since > now() - interval '1 hour' FROM users "
                        "WHERE id = 'ahead'"),
            "t");
  where.query("UPDATE users SET postpaid_since = '2025-03-18T23:00:00Z' WHERE id = 'ahead'");
  for (const auto* day : {"2025-03-17", "2025-03-18", "2025-03-19"}) book("ahead", day, "1");

  auto left = must(reading(db, [](transaction& tx) { return load_meter_backlog(tx, noon); }));
  EXPECT_EQ(left.unplanned, 2);
  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(format_date(start_of(made[0].day)), "2025-03-18");
}

TEST_F(Meters, CorrectWhatWasReportedBeforeAUserPaidInAdvanceForAWhile) {
  book("payer", "2025-03-17", "1");
  plan();
  for (const auto* mode : {"prepaid", "postpaid"})
    where.query("UPDATE users SET billing_mode = '" + std::string{mode} + "'");
  book("payer", "2025-03-17", "2");
  book("payer", "2025-03-18", "2");

  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].value, number("100"));
}

TEST_F(Meters, BillAMembersUsageToTheOwnerOfTheAccount) {
  add_user("member", "", "payer");
  book("member", "2025-03-19", "0.005");
  book("payer", "2025-03-19", "0.005");

  auto made = of_meter("compute_credits", plan());

  ASSERT_EQ(made.size(), 2U);
  for (const auto& r : made) {
    EXPECT_EQ(r.payer, user_id{"payer"});
    EXPECT_EQ(r.customer, "cus_payer");
  }
  EXPECT_EQ(made[0].value + made[1].value, number("1"));
}

TEST_F(Meters, CountADayAsReportedWhenAllOfItIsDelivered) {
  book("payer", "2025-03-18", "1", "744");
  book("payer", "2025-03-17", "0");
  plan();
  EXPECT_TRUE(reported("payer", "2025-03-17")) << "there was nothing to send";
  EXPECT_FALSE(reported("payer", "2025-03-18"));

  auto open = claim(noon, noon);
  ASSERT_EQ(open.size(), 2U);
  finish(open[0].identifier, report_state::delivered);
  EXPECT_FALSE(reported("payer", "2025-03-18"));
  finish(open[1].identifier, report_state::delivered);
  EXPECT_TRUE(reported("payer", "2025-03-18"));
}

TEST_F(Meters, DoNotCountADayAsReportedThatWasCorrectedMeanwhile) {
  book("payer", "2025-03-18", "1");
  plan();
  auto open = claim(noon, noon);
  book("payer", "2025-03-18", "2");
  finish(open.at(0).identifier, report_state::delivered);
  EXPECT_FALSE(reported("payer", "2025-03-18"));
}

TEST_F(Meters, AreSentByOneNodeAndOnceARun) {
  book("payer", "2025-03-18", "1");
  plan();
  ASSERT_EQ(claim(noon, noon, "n1").size(), 1U);
  EXPECT_TRUE(claim(noon + 1s, noon + 1s, "n2").empty()) << "n1 is at it";

  auto later = noon + 6min; // n1 is dead
  auto again = claim(later, later, "n2");
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempts, 2);
  finish(again[0].identifier, report_state::sent);
  EXPECT_TRUE(claim(later, later + 1s).empty()) << "this run has tried it";
  EXPECT_EQ(claim(later + 2s, later + 2s).size(), 1U);
}

TEST_F(Meters, StayDeliveredWhateverALateAnswerSays) {
  book("payer", "2025-03-18", "1");
  plan();
  auto open = claim(noon, noon).at(0);
  finish(open.identifier, report_state::delivered);
  finish(open.identifier, report_state::waiting);
  EXPECT_TRUE(claim(noon + 1h, noon + 1h).empty());
}

TEST_F(Meters, WhoseOutcomeIsUnknownForTooLongAreSettledNotRepeated) {
  book("payer", "2025-03-18", "1");
  plan();
  auto sent = claim(noon, noon).at(0);
  finish(sent.identifier, report_state::sent);
  EXPECT_EQ(claim(noon + 21h, noon + 21h).size(), 1U);
  finish(sent.identifier, report_state::sent);

  auto later = noon + 23h;
  EXPECT_TRUE(claim(later, later).empty());
  auto open = unsettled(later);
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].delivered, decimal{});
  ASSERT_EQ(open[0].unknown.size(), 1U);

  auto settle = [&](const char* counted) {
    return must(writing(db, [&](transaction& tx) {
      return settle_meter_day(tx, open[0], number(counted), later);
    }));
  };
  EXPECT_EQ(settle("0"), report_state::waiting);
  EXPECT_EQ(claim(later, later).size(), 1U) << "Stripe has not got it";
  finish(sent.identifier, report_state::delivered);
  EXPECT_TRUE(reported("payer", "2025-03-18"));
}

TEST_F(Meters, AreDeliveredOrDisputedByWhatStripeHasCounted) {
  for (const auto* day : {"2025-03-17", "2025-03-18"}) book("payer", day, "1");
  plan();
  claim(noon, noon);
  auto later = noon + 23h;
  auto open = unsettled(later);
  ASSERT_EQ(open.size(), 2U);
  auto settle = [&](const unsettled_day& day, const char* counted) {
    return must(writing(
        db, [&](transaction& tx) { return settle_meter_day(tx, day, number(counted), later); }));
  };

  EXPECT_EQ(settle(open[0], "100"), report_state::delivered);
  EXPECT_TRUE(reported("payer", "2025-03-17"));
  EXPECT_EQ(settle(open[1], "40"), report_state::disputed);
  EXPECT_FALSE(reported("payer", "2025-03-18"));
}

TEST_F(Meters, WaitWithADayOfWhichAReportMayStillBeRepeated) {
  book("payer", "2025-03-18", "1");
  plan();
  claim(noon, noon); // and no answer
  book("payer", "2025-03-18", "2");
  plan(noon + 12h);
  auto both = claim(noon + 12h, noon + 12h);
  ASSERT_EQ(both.size(), 2U);
  for (const auto& r : both) finish(r.identifier, report_state::sent);

  EXPECT_TRUE(unsettled(noon + 23h).empty());
  auto open = unsettled(noon + 35h);
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].unknown.size(), 2U);
}

TEST_F(Meters, AreNotSettledByACountThatWhatWasSentMeanwhileMayBeIn) {
  book("payer", "2025-03-18", "1");
  plan();
  auto first = claim(noon, noon).at(0);
  auto later = noon + 23h;
  auto open = unsettled(later);
  ASSERT_EQ(open.size(), 1U);
  book("payer", "2025-03-18", "2");
  plan(later);
  auto settle = [&] {
    return must(writing(
        db, [&](transaction& tx) { return settle_meter_day(tx, open[0], number("100"), later); }));
  };

  auto second = claim(later, later).at(0); // another process corrects the day by as much
  EXPECT_EQ(settle(), report_state::sent);
  finish(second.identifier, report_state::delivered);
  EXPECT_EQ(settle(), report_state::sent);

  EXPECT_EQ(unsettled(later).at(0).unknown.at(0).identifier, first.identifier);
  EXPECT_EQ(unsettled(later).at(0).delivered, number("100"));
}

TEST_F(Meters, InDisputeAreDecidedByAPerson) {
  for (const auto* day : {"2025-03-17", "2025-03-18"}) book("payer", day, "1");
  plan();
  claim(noon, noon);
  auto later = noon + 23h;
  for (const auto& day : unsettled(later))
    must(writing(db,
                 [&](transaction& tx) { return settle_meter_day(tx, day, number("40"), later); }));
  auto open = must(reading(db, [](transaction& tx) { return disputed_reports(tx); }));
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].failure, "Stripe counts 40, not 0 without or 100 with what is unknown");
  auto decide = [&](const std::string& identifier, bool taken) {
    return writing(
        db, [&](transaction& tx) { return decide_disputed_report(tx, identifier, taken, later); });
  };

  must(decide(open[0].identifier, true));
  EXPECT_TRUE(reported("payer", "2025-03-17"));
  must(decide(open[1].identifier, false));
  auto again = claim(later, later);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].identifier, open[1].identifier);
  EXPECT_EQ(decide(open[0].identifier, false).error().code, errc::not_found);
}

TEST_F(Meters, OnceUnknownStaySoThoughALaterAttemptIsCertainlyNotTaken) {
  book("payer", "2025-03-18", "1");
  plan();
  auto sent = claim(noon, noon).at(0);
  finish(sent.identifier, report_state::sent);
  claim(noon + 1h, noon + 1h);
  finish(sent.identifier, report_state::waiting); // the circuit was open, or the key refused

  auto later = noon + 25h; // Stripe has forgotten the identifier
  EXPECT_TRUE(claim(later, later).empty());
  ASSERT_EQ(unsettled(later).size(), 1U);
  EXPECT_EQ(unsettled(later)[0].unknown.at(0).first_sent_at, noon);
}

TEST_F(Meters, AreUnknownToWhoeverTakesThemOverFromADeadNode) {
  book("payer", "2025-03-18", "1");
  plan();
  auto sent = claim(noon, noon, "n1").at(0);
  claim(noon + 6min, noon + 6min, "n2");
  finish(sent.identifier, report_state::waiting, noon + 7min);

  EXPECT_TRUE(claim(noon + 25h, noon + 25h).empty());
}

TEST_F(Meters, AreSentAnewAfterADayWhenNoAttemptWasTaken) {
  book("payer", "2025-03-18", "1");
  plan();
  for (auto at : {noon, noon + 1h, noon + 25h}) {
    auto taken = claim(at, at);
    ASSERT_EQ(taken.size(), 1U);
    finish(taken[0].identifier, report_state::waiting);
  }
}

TEST_F(Meters, AreCountedByWhatIsLeftToDo) {
  book("payer", "2025-03-18", "1");
  book("payer", "2025-03-17", "1");
  plan();
  book("payer", "2025-03-16", "1");
  finish(claim(noon, noon).at(0).identifier, report_state::delivered);

  auto left = must(reading(db, [](transaction& tx) { return load_meter_backlog(tx, noon); }));
  EXPECT_EQ(left.unplanned, 1);
  EXPECT_EQ(left.waiting, 0);
  EXPECT_EQ(left.unknown, 1);
  EXPECT_EQ(left.disputed, 0);
  EXPECT_EQ(left.too_late, 0);
}

/// Bookings and plans in any order: what was reported and what is carried are exactly what was
/// used.
TEST_F(Meters, LoseNothingWhateverIsCorrectedAndWhen) {
  int runs = 0;
  auto keeps_everything = [&] {
    auto who = "user-" + std::to_string(++runs);
    add_user(who, "postpaid");
    subscribe(who, "active");
    auto steps =
        *rc::gen::resize(20, rc::gen::container<std::vector<std::pair<int, int>>>(rc::gen::pair(
                                 rc::gen::inRange(-1, 4), rc::gen::inRange(0, 500'000))));
    std::map<int, decimal> days;
    for (auto [day, micro_credits] : steps) {
      if (day < 0) {
        plan(noon, 2);
        continue;
      }
      days[day] = *decimal::parse(std::to_string(micro_credits) + "e-6");
      book(who, "2025-03-1" + std::to_string(day), days[day].str());
    }
    while (!plan(noon, 2).empty()) {}

    decimal used;
    for (const auto& [_, credits] : days) used += credits * decimal{100};
    auto sum = [&](const std::string& column, const std::string& table) {
      return *decimal::parse(where.query("SELECT coalesce(sum(" + column + "), 0) FROM " + table +
                                         " WHERE meter = 'compute_credits' AND payer_id = '" + who +
                                         "'"));
    };
    auto reported = sum("value", "meter_reports");
    auto carried = sum("remainder", "meter_remainders");
    RC_ASSERT(reported + carried == used);
    RC_ASSERT(reported == reported.rounded(0));
    RC_ASSERT(carried < decimal{1} && carried >= decimal{});
  };
  EXPECT_TRUE(rc::check(keeps_everything));
}

} // namespace
} // namespace binnacle::persistence
