#include "actors/subscription_rules.hpp"

#include "persistence/billing_accounts.hpp"
#include "persistence/credits.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <rapidcheck/gtest.h>
#include <thread>

namespace binnacle {
namespace {

using persistence::must;
using persistence::run_in;
using persistence::transaction;
using persistence::writing;

const auto now = *parse_iso("2026-03-10T12:00:00Z");
const catalogue offers{.monthly = {{"pro", "price_pro"}, {"premium", "price_premium"}},
                       .annual = {{"pro", "price_pro_year"}},
                       .credits = {}};
class SubscriptionRules : public ::testing::Test {
protected:
  SubscriptionRules() { add_user("usr_1"); }

  void add_user(const std::string& id) {
    must(writing(
        db, [&](transaction& tx) { return insert_user(tx, {.id = {id}, .created_at = now}); }));
  }
  static stripe::subscription make(const std::string& id, const std::string& price,
                                   const std::string& status, hours age = hours{0}) {
    return {.id = id,
            .customer = "cus_1",
            .status = status,
            .items = {{.id = "si_" + id, .price = price}},
            .current_period_end = now + hours{720},
            .created = now - age};
  }
  result<done> apply(const stripe::subscription& s, time_point as_of = now,
                     const std::string& who = "usr_1") {
    return writing(
        db, [&](transaction& tx) { return apply_subscription(tx, {who}, s, offers, as_of, now); });
  }
  std::string plan(const std::string& who = "usr_1") {
    return db_.query("SELECT plan FROM users WHERE id = '" + who + "'");
  }
  persistence::subscription stored(const std::string& id) {
    auto found = must(run_in(db, persistence::access::read,
                             [&](transaction& tx) { return find_subscription(tx, id); }));
    return found.value();
  }
  static stripe::checkout_session purchase(const std::string& id, const std::string& pack) {
    return {.id = id,
            .mode = "payment",
            .status = "complete",
            .payment_status = "paid",
            .client_reference_id = "usr_1",
            .created = now - hours{1},
            .notes = {{"purpose", "credits"}, {"pack", pack}, {"userId", "usr_1"}}};
  }
  result<done> buy(const stripe::checkout_session& s) {
    return writing(db,
                   [&](transaction& tx) { return apply_credit_purchase(tx, {"usr_1"}, s, now); });
  }
  std::int64_t balance() {
    return must(run_in(db, persistence::access::read,
                       [&](transaction& tx) { return credit_balance(tx, {"usr_1"}, now); }));
  }

  persistence::test_database db_{};
  persistence::database db = db_.connect();
};

TEST_F(SubscriptionRules, GiveThePlanOfThePriceWhileItIsPaidFor) {
  for (const auto* status : {"active", "trialing", "past_due"}) {
    auto id = std::string{"sub_"} + status;
    must(apply(make(id, "price_pro_year", status)));
    EXPECT_EQ(plan(), "pro");
    EXPECT_EQ(stored(id).kind, "plan");
    EXPECT_EQ(stored(id).plan, "pro");
    must(apply(make(id, "price_pro_year", "canceled")));
    EXPECT_EQ(plan(), "free") << status;
  }
}

TEST_F(SubscriptionRules, LeaveThePlanAloneWhileASubscriptionIsIncomplete) {
  must(apply(make("sub_1", "price_pro", "active")));

  must(apply(make("sub_2", "price_premium", "incomplete")));

  EXPECT_EQ(plan(), "pro");
}

TEST_F(SubscriptionRules, KeepTheNewestPlanWhenAnOlderSubscriptionEnds) {
  must(apply(make("sub_new", "price_premium", "active")));

  must(apply(make("sub_old", "price_pro", "canceled", hours{100})));

  EXPECT_EQ(plan(), "premium");
}

TEST_F(SubscriptionRules, FallBackToAnOlderSubscriptionThatIsStillPaidFor) {
  must(apply(make("sub_old", "price_pro", "active", hours{100})));
  must(apply(make("sub_new", "price_premium", "active")));

  must(apply(make("sub_new", "price_premium", "canceled")));

  EXPECT_EQ(plan(), "pro");
}

TEST_F(SubscriptionRules, IgnoreWhatIsOlderThanWhatIsKnown) {
  must(apply(make("sub_1", "price_pro", "active"), now));

  must(apply(make("sub_1", "price_pro", "canceled"), now - seconds{1}));

  EXPECT_EQ(plan(), "pro");
  EXPECT_EQ(stored("sub_1").status, "active");
}

TEST_F(SubscriptionRules, TellUsageFromPlansByTheNoteOrByThePrice) {
  db_.query("INSERT INTO stripe_products (product_type, stripe_price_id, unit_price) "
            "VALUES ('compute_credits', 'price_credits', 0.35)");
  auto noted = make("sub_1", "price_pro", "active");
  noted.notes = {{"kind", "usage"}};

  must(apply(noted));
  must(apply(make("sub_2", "price_credits", "active")));
  must(apply(make("sub_3", "price_of_somebody", "active")));

  EXPECT_EQ(stored("sub_1").kind, "usage");
  EXPECT_EQ(stored("sub_2").kind, "usage");
  EXPECT_EQ(stored("sub_3").kind, "plan");
  EXPECT_EQ(stored("sub_3").plan, "");
  EXPECT_EQ(plan(), "free") << "none of them is a plan that we sell";
}

TEST_F(SubscriptionRules, TakeThePlanFromTheNoteWhenThePriceIsNoLongerSold) {
  auto s = make("sub_1", "price_of_last_year", "active");
  s.notes = {{"plan", "enterprise"}};

  must(apply(s));

  EXPECT_EQ(plan(), "enterprise");
}

TEST_F(SubscriptionRules, NeedAUser) {
  auto applied = apply(make("sub_1", "price_pro", "active"), now, "usr_unknown");

  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, errc::not_found);
}

TEST_F(SubscriptionRules, AgreeForAnyTwoSubscriptionsThatChangeAtOnce) {
  for (int round = 0; round < 20; ++round) {
    auto who = "usr_at_once_" + std::to_string(round);
    add_user(who);
    auto run = [&](const char* id, const char* price, const char* status, hours age) {
      auto mine = db_.connect();
      auto s = make(who + id, price, status, age);
      must(writing(mine, [&](transaction& tx) {
        return apply_subscription(tx, {who}, s, offers, now, now);
      }));
    };
    std::thread first{run, "a", "price_pro", "canceled", hours{1}};
    std::thread second{run, "b", "price_premium", "active", hours{0}};
    first.join();
    second.join();
    ASSERT_EQ(plan(who), "premium");
  }
}

/// One life of a subscription, as Stripe allows it: incomplete only at first, nothing after the
/// end.
rc::Gen<std::vector<std::string>> lives() {
  auto middle = rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(
      std::vector<std::string>{"trialing", "active", "past_due", "unpaid", "paused"}));
  return rc::gen::map(rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::resize(3, middle),
                                     rc::gen::elementOf(std::vector<std::string>{
                                         "", "", "canceled", "incomplete_expired"})),
                      [](std::tuple<bool, std::vector<std::string>, std::string> t) {
                        auto& [incomplete, out, end] = t;
                        if (incomplete) out.insert(out.begin(), "incomplete");
                        if (!end.empty()) out.push_back(end);
                        return out;
                      });
}

RC_GTEST_FIXTURE_PROP(SubscriptionRules, ConvergeForAnyOrderAndRepetition, ()) {
  static const std::vector<std::string> prices{"price_pro", "price_premium", "price_unknown"};
  static int runs = 0;
  struct observation {
    stripe::subscription what{};
    time_point as_of{};
  };
  std::vector<observation> history;
  for (int which = 0; which < 3; ++which) {
    int at = 0;
    for (const auto& status : *lives())
      history.push_back({make("sub_" + std::to_string(which),
                              prices[static_cast<std::size_t>(which)], status, hours{which}),
                         now + seconds{10 * at++ + which}});
  }
  std::ranges::sort(history, {}, &observation::as_of);
  auto outcome = [&](const std::vector<observation>& order) {
    auto who = "usr_order_" + std::to_string(++runs);
    add_user(who);
    must(writing(db, [&](transaction& tx) -> result<done> {
      for (const auto& o : order) {
        auto s = o.what;
        s.id = who + s.id;
        if (auto r = apply_subscription(tx, {who}, s, offers, o.as_of, now); !r) return r;
      }
      return done{};
    }));
    return plan(who);
  };
  auto delivered = history;
  delivered.insert(delivered.end(), history.begin(), history.end());
  std::vector<std::pair<int, observation>> shuffled;
  for (auto& o : delivered) shuffled.emplace_back(*rc::gen::inRange(0, 1'000), std::move(o));
  std::ranges::stable_sort(shuffled, {}, [](const auto& p) { return p.first; });
  std::ranges::transform(shuffled, delivered.begin(), [](auto& p) { return p.second; });

  RC_ASSERT(outcome(delivered) == outcome(history));
}

TEST_F(SubscriptionRules, GrantThePackOfAPaidCheckoutOnce) {
  must(buy(purchase("cs_1", "500")));
  must(buy(purchase("cs_1", "500")));
  must(buy(purchase("cs_2", "100")));

  EXPECT_EQ(balance(), 6'000);
  EXPECT_EQ(db_.query("SELECT count(*) FROM credit_entries"), "2");
  EXPECT_EQ(db_.query("SELECT source FROM credit_entries ORDER BY id LIMIT 1"), "checkout:cs_1");
}

TEST_F(SubscriptionRules, GrantNothingForWhatIsNotPaidOrNoPack) {
  auto unpaid = purchase("cs_1", "500");
  unpaid.payment_status = "unpaid";
  auto other = purchase("cs_2", "500");
  other.notes["purpose"] = "donation";
  auto subscribing = purchase("cs_3", "500");
  subscribing.mode = "subscription";

  must(buy(unpaid));
  must(buy(other));
  must(buy(subscribing));
  auto odd = buy(purchase("cs_4", "200"));

  EXPECT_EQ(balance(), 0);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, errc::unprocessable);
}

/// A pack of 100 for 9.99, of which parts went back.
class Reversals : public SubscriptionRules {
protected:
  Reversals() {
    bought.amount_total = 999;
    must(buy(bought));
  }
  static stripe::reversal back(const std::string& id, std::int64_t amount, bool stands = true) {
    return {.id = id, .amount = amount, .stands = stands, .created = now};
  }
  std::int64_t after(const std::vector<stripe::reversal>& all) {
    must(writing(db, [&](transaction& tx) { return apply_reversals(tx, bought, all, now); }));
    return balance();
  }
  stripe::checkout_session bought = purchase("cs_1", "100");
};

TEST_F(Reversals, TakeTheirShareOfThePack) {
  EXPECT_EQ(after({back("re_1", 333)}), 1000 - 333);
  EXPECT_EQ(after({back("re_1", 333)}), 1000 - 333);
}

TEST_F(Reversals, LeaveNoRoundingBehindWhenAllHasGoneBack) {
  EXPECT_EQ(after({back("re_1", 100)}), 1000 - 100);
  EXPECT_EQ(after({back("re_2", 1), back("re_1", 100)}), 1000 - 101);
  EXPECT_EQ(after({back("re_3", 898), back("re_2", 1), back("re_1", 100)}), 0);
}

TEST_F(Reversals, OfMoreThanThePriceTakeNoMoreThanThePack) {
  EXPECT_EQ(after({back("re_1", 999), back("du_1", 999)}), 0);
}

TEST_F(Reversals, ThatDoNotLastGiveBackWhatTheyTook) {
  EXPECT_EQ(after({back("du_1", 999)}), 0);
  EXPECT_EQ(after({back("du_1", 999, false)}), 1000);
  EXPECT_EQ(after({back("du_1", 999)}), 1000); // an older answer of Stripe's
}

TEST_F(Reversals, OfWhatIsNoPackOfCreditsAreNothing) {
  bought.notes["purpose"] = "donation";
  EXPECT_EQ(after({back("re_1", 999)}), 1000);
}

TEST(UserOfACheckout, IsTheReferenceOrElseTheNote) {
  EXPECT_EQ(user_of({.client_reference_id = "usr_1", .notes = {{"userId", "usr_2"}}}).value,
            "usr_1");
  EXPECT_EQ(user_of({.notes = {{"userId", "usr_2"}}}).value, "usr_2");
  EXPECT_TRUE(user_of({}).empty());
}

} // namespace
} // namespace binnacle
