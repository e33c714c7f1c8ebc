#include "actors/event_effects.hpp"

#include "actors/stripe_inbox.hpp"
#include "actors/subscription_rules.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/credits.hpp"
#include "persistence/referrals.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <rapidcheck/gtest.h>

namespace binnacle {
namespace {

using persistence::must;
using persistence::transaction;
using persistence::writing;

const auto now = *parse_iso("2026-03-10T12:00:00Z");
const catalogue offers{
    .monthly = {{"pro", "price_pro"}, {"premium", "price_premium"}}, .annual = {}, .credits = {}};

/// A user and their customer, with what Stripe has of them.
class EventEffects : public ::testing::Test {
protected:
  void add_user(const std::string& id, const std::string& billing_mode = "postpaid") {
    persistence::user who;
    who.id = {id};
    who.email = id + "@example.com";
    who.billing_mode = billing_mode;
    who.created_at = now;
    must(writing(db, [&](transaction& tx) { return insert_user(tx, who); }));
    must(writing(db, [&](transaction& tx) {
      return persistence::link_stripe_customer(tx, {id}, "cus_" + id, now);
    }));
  }
  event_setting setting() { return {offers, now + seconds{++clock}, now}; }

  void subscription(const std::string& who, const std::string& id, const std::string& status,
                    const std::string& kind = "usage") {
    stripe::subscription s;
    s.id = who + id;
    s.customer = "cus_" + who;
    s.status = status;
    s.items = {{.id = "si", .price = kind == "plan" ? "price_pro" : "price_usage"}};
    s.created = now;
    s.notes = {{"kind", kind}};
    must(writing(db, [&](transaction& tx) { return apply_subscription_state(tx, s, setting()); }));
  }
  /// An event of a payment method, made at `made`, when `left` are left.
  void methods(const std::string& who, int left, bool detached, time_point made = now) {
    payment_means means{"cus_" + who, left > 0, detached, {}};
    if (!detached) means.added_at = made;
    must(writing(db, [&](transaction& tx) { return apply_payment_means(tx, means, setting()); }));
  }
  std::string status(const std::string& who) const {
    return where.query("SELECT status FROM users WHERE id = '" + who + "'");
  }
  void forbid(const std::string& who, time_point since = now) {
    where.query("UPDATE users SET status = 'suspended' WHERE id = '" + who + "'");
    EXPECT_EQ(where.query("SELECT suspended_at > now() - interval '1 hour' FROM users"), "t");
    where.query("UPDATE users SET suspended_at = '" + format_iso_s(since) + "'");
  }

  persistence::test_database where{};
  persistence::database db = where.connect();
  int clock = 0;
};

TEST_F(EventEffects, SuspendAPostpaidUserLeftWithoutAPaymentMethod) {
  add_user("ann");
  methods("ann", 1, false);

  methods("ann", 0, true);
  EXPECT_EQ(status("ann"), "suspended");

  methods("ann", 1, false);
  EXPECT_EQ(status("ann"), "active");
}

TEST_F(EventEffects, SpareWhoHasAnotherMethodOrPaysBefore) {
  add_user("ann");
  add_user("bob", "prepaid");
  add_user("carol");

  methods("ann", 1, true);
  methods("bob", 0, true);
  methods("carol", 0, false); // has never had one

  for (const auto* who : {"ann", "bob", "carol"}) EXPECT_EQ(status(who), "active") << who;
}

TEST_F(EventEffects, SuspendAUserWhoseUsageSubscriptionHasEndedUntilThereIsAnother) {
  add_user("ann");
  methods("ann", 1, false);
  subscription("ann", "1", "active");
  subscription("ann", "1", "canceled");
  EXPECT_EQ(status("ann"), "suspended");

  methods("ann", 2, false);
  EXPECT_EQ(status("ann"), "suspended"); // nothing would bill them

  subscription("ann", "2", "active");
  EXPECT_EQ(status("ann"), "active");
}

TEST_F(EventEffects, DoNotSuspendWhoCancelsAPlan) {
  add_user("ann");
  subscription("ann", "1", "active", "plan");

  subscription("ann", "1", "canceled", "plan");

  EXPECT_EQ(status("ann"), "active");
  EXPECT_EQ(where.query("SELECT plan FROM users"), "free");
}

TEST_F(EventEffects, LiftASuspensionOfOthersOnlyForANewPaymentMethod) {
  add_user("ann");
  forbid("ann");

  subscription("ann", "1", "active");
  EXPECT_EQ(status("ann"), "suspended");

  methods("ann", 1, false);
  EXPECT_EQ(status("ann"), "active");
}

TEST_F(EventEffects, LiftASuspensionOfOthersForNoMethodThatWasThereBefore) {
  add_user("ann");
  forbid("ann", now);

  methods("ann", 1, true); // one of two cards is gone
  EXPECT_EQ(status("ann"), "suspended");
  methods("ann", 2, false, now - seconds{1}); // an old event comes again
  EXPECT_EQ(status("ann"), "suspended");
  methods("ann", 0, false, now + seconds{1}); // added, and gone since
  EXPECT_EQ(status("ann"), "suspended");

  methods("ann", 1, false, now + seconds{1});
  EXPECT_EQ(status("ann"), "active");
}

TEST_F(EventEffects, LeaveWhoseCustomerWasDeletedFreeToHaveAnother) {
  add_user("ann");
  methods("ann", 1, false);
  auto gone = [&] {
    must(writing(db,
                 [&](transaction& tx) { return apply_customer_gone(tx, "cus_ann", setting()); }));
  };

  gone();
  gone();

  EXPECT_EQ(status("ann"), "suspended");
  EXPECT_EQ(where.query("SELECT count(*) FROM stripe_customers"), "0");
  stripe::checkout_session late{.mode = "subscription", .customer = "cus_ann"};
  must(writing(db, [&](transaction& tx) { return apply_purchase(tx, {"ann"}, late, setting()); }));
  EXPECT_EQ(where.query("SELECT count(*) FROM stripe_customers"), "0");
}

TEST_F(EventEffects, NeverBringBackADeletedUser) {
  add_user("ann");
  where.query("UPDATE users SET status = 'deleted'");

  methods("ann", 1, false);
  methods("ann", 0, true);

  EXPECT_EQ(status("ann"), "deleted");
}

TEST_F(EventEffects, OfAStrangersCustomerAreNothing) {
  subscription("nobody", "1", "active");
  methods("nobody", 0, true);

  EXPECT_EQ(where.query("SELECT count(*) FROM subscriptions"), "0");
}

TEST_F(EventEffects, FindTheBuyerByReferenceThenMetadataThenEmail) {
  add_user("ann");
  add_user("bob");
  auto buyer = [&](const stripe::checkout_session& s) {
    return must(writing(db, [&](transaction& tx) { return buyer_of(tx, s); })).value;
  };

  EXPECT_EQ(buyer({.client_reference_id = "ann", .notes = {{"userId", "bob"}}}), "ann");
  EXPECT_EQ(buyer({.notes = {{"userId", "bob"}}}), "bob");
  EXPECT_EQ(buyer({.customer_email = "Ann@Example.com", .notes = {{"userId", "gone"}}}), "ann");
  EXPECT_EQ(buyer({.customer_email = "carol@example.com"}), "");
}

TEST(UsageSubscription, IsStartedByASetupWhenNoneLivesNorEndedSince) {
  stripe::checkout_session session{.created = now};
  auto ended = [](time_point created, std::optional<time_point> at) {
    stripe::subscription s;
    s.status = at ? "canceled" : "active";
    s.created = created;
    s.ended_at = at;
    return s;
  };
  auto day = hours{24};

  EXPECT_TRUE(starts_subscription("postpaid", {}, session));
  EXPECT_TRUE(starts_subscription("", {}, session));
  EXPECT_FALSE(starts_subscription("prepaid", {}, session));
  EXPECT_TRUE(starts_subscription("postpaid", {ended(now - 2 * day, now - day)}, session));
  EXPECT_FALSE(starts_subscription("postpaid", {ended(now - day, {})}, session));
  // The event came late: what it asked for has been, and is over.
  EXPECT_FALSE(starts_subscription("postpaid", {ended(now - day, now + day)}, session));
  EXPECT_FALSE(starts_subscription("postpaid", {ended(now + day, now + 2 * day)}, session));
}

TEST(PauseAfter, DoublesFromASecondToAnHour) {
  EXPECT_EQ(pause_after(1), seconds{1});
  EXPECT_EQ(pause_after(2), seconds{2});
  EXPECT_EQ(pause_after(12), seconds{2'048});
  EXPECT_EQ(pause_after(13), seconds{3'600});
  EXPECT_EQ(pause_after(1'000'000), seconds{3'600});
}

// -- any order, any repetition -------------------------------------------------------------------

/// What happens to a customer in Stripe; each step makes an event.
struct step {
  enum kind { attach, detach, start, end } what = attach;
  int subscription = 0;
};
/// The part of Stripe that the effects look at.
struct stripe_side {
  int methods = 0;
  std::map<int, std::string> subscriptions{};

  void take(const step& s) {
    switch (s.what) {
    case step::attach:
      ++methods;
      break;
    case step::detach:
      methods = std::max(0, methods - 1);
      break;
    case step::start:
      subscriptions.try_emplace(s.subscription, "active");
      break;
    case step::end:
      if (auto at = subscriptions.find(s.subscription); at != subscriptions.end())
        at->second = "canceled";
      break;
    }
  }
};

class AnyOrder : public EventEffects {
protected:
  /// The event of `s`, applied while Stripe is as `is`.
  void deliver(const std::string& who, const step& s, const stripe_side& is) {
    if (s.what == step::attach || s.what == step::detach)
      return methods(who, is.methods, s.what == step::detach);
    auto at = is.subscriptions.find(s.subscription);
    if (at == is.subscriptions.end()) return; // ended before it began: no event
    auto kind = s.subscription % 2 == 0 ? "usage" : "plan";
    subscription(who, std::to_string(s.subscription), at->second, kind);
  }
  std::string outcome(const std::string& who) const {
    return where.query("SELECT concat_ws(' ', u.status, u.plan, c.has_payment_method, "
                       "(SELECT string_agg(right(s.id, 1) || s.status, ',' ORDER BY s.id) "
                       "FROM subscriptions s WHERE s.user_id = u.id)) "
                       "FROM users u JOIN stripe_customers c ON c.user_id = u.id WHERE u.id = '" +
                       who + "'");
  }
};

RC_GTEST_FIXTURE_PROP(AnyOrder, AndRepetitionOfEventsLeavesTheSame, ()) {
  const auto steps = *rc::gen::container<std::vector<step>>(
      rc::gen::build<step>(rc::gen::set(&step::what, rc::gen::element(step::attach, step::detach,
                                                                      step::start, step::end)),
                           rc::gen::set(&step::subscription, rc::gen::inRange(0, 4))));
  add_user("prompt");
  add_user("late");

  stripe_side side;
  for (const auto& s : steps) {
    // A detachment of nothing makes no event.
    auto nothing = s.what == step::detach && side.methods == 0;
    side.take(s);
    if (!nothing) deliver("prompt", s, side);
  }

  // Each event at least once, at any time after it was made, in any order among those.
  stripe_side then;
  std::vector<step> made;
  for (const auto& s : steps) {
    auto nothing = s.what == step::detach && then.methods == 0;
    then.take(s);
    if (!nothing) made.push_back(s);
    if (!made.empty() && *rc::gen::inRange(0, 3) == 0) {
      auto which = *rc::gen::inRange<std::size_t>(0, made.size());
      deliver("late", made[which], then);
    }
  }
  auto rest = made;
  for (const auto& s : made)
    if (*rc::gen::arbitrary<bool>()) rest.push_back(s);
  for (auto i = rest.size(); i > 1; --i)
    std::swap(rest[i - 1], rest[*rc::gen::inRange<std::size_t>(0, i)]);
  for (const auto& s : rest) deliver("late", s, then);

  auto late = outcome("late"), prompt = outcome("prompt");
  RC_ASSERT(late == prompt);
}

// -- referrals -----------------------------------------------------------------------------------

/// "ann" has referred "bob", who pays.
class Referred : public EventEffects {
protected:
  static constexpr std::int64_t reward = 75;
  enum class event { credits, plan, invoice, free_checkout, unpaid_invoice };

  void SetUp() override {
    add_user("ann");
    add_user("bob");
    must(writing(db, [&](transaction& tx) {
      return persistence::ensure_referral_code(tx, {"ann"}, {"from-ann"}, now);
    }));
    must(writing(db, [&](transaction& tx) {
      return persistence::record_referral(tx, {"bob"}, "from-ann", now);
    }));
  }
  void apply(event what, std::int64_t tenths = reward) {
    auto in = setting();
    in.referral_reward = tenths;
    must(writing(db, [&](transaction& tx) { return effect_of(what, tx, in); }));
  }
  static result<done> effect_of(event what, transaction& tx, const event_setting& in) {
    auto paid = what == event::credits || what == event::plan;
    stripe::checkout_session s{.id = "cs_1",
                               .mode = what == event::credits ? "payment" : "subscription",
                               .payment_status = paid ? "paid" : "no_payment_required",
                               .customer = "cus_bob",
                               .created = now,
                               .notes = {{"purpose", "credits"}, {"pack", "100"}}};
    stripe::invoice invoice{.customer = "cus_bob",
                            .status = what == event::invoice ? "paid" : "open",
                            .amount_paid = what == event::invoice ? 500 : 0};
    auto is_invoice = what == event::invoice || what == event::unpaid_invoice;
    return is_invoice ? apply_invoice(tx, invoice, in) : apply_purchase(tx, {"bob"}, s, in);
  }
  std::string rewards() const {
    return where.query("SELECT string_agg(user_id || ' ' || tenths, ',') FROM credit_entries "
                       "WHERE source LIKE 'referral:%'");
  }
  std::string state() const {
    return where.query("SELECT status || ' ' || awarded_tenths FROM referral_events");
  }
};

TEST_F(Referred, RewardWhoReferredThemAtTheirFirstPayment) {
  for (auto what : {event::free_checkout, event::unpaid_invoice}) apply(what);
  EXPECT_EQ(state(), "pending 0");

  apply(event::credits);

  EXPECT_EQ(state(), "verified 75");
  EXPECT_EQ(rewards(), "ann 75");
}

TEST_F(Referred, WaitWhileRewardsAreOff) {
  apply(event::credits, 0);
  EXPECT_EQ(state(), "pending 0");

  apply(event::invoice);
  EXPECT_EQ(state(), "verified 75");
}

RC_GTEST_FIXTURE_PROP(Referred, RewardOnceWhateverIsPaidAndHoweverOftenItIsTold, ()) {
  const auto events = *rc::gen::nonEmpty(rc::gen::container<std::vector<event>>(rc::gen::element(
      event::credits, event::plan, event::invoice, event::free_checkout, event::unpaid_invoice)));
  const auto amounts = *rc::gen::container<std::vector<std::int64_t>>(
      events.size(), rc::gen::inRange<std::int64_t>(0, 100));

  std::int64_t first = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto paid = events[i] != event::free_checkout && events[i] != event::unpaid_invoice;
    if (first == 0 && paid) first = amounts[i];
    apply(events[i], amounts[i]);
  }

  auto expected = first == 0 ? std::string{} : "ann " + std::to_string(first);
  RC_ASSERT(rewards() == expected);
  auto wrong =
      must(reading(db, [&](transaction& tx) { return persistence::verify_ledger(tx, {"ann"}); }));
  RC_ASSERT(wrong.empty());
}

RC_GTEST_FIXTURE_PROP(Referred, RewardForAsLongAsAPurchaseStandsInAnyOrderOfEvents, ()) {
  constexpr int packs = 3;
  struct told {
    int pack = 0;
    int what = 0; // 0: bought, 1: paid back, 2: the money has come again
  };
  const auto events = *rc::gen::container<std::vector<told>>(
      rc::gen::build<told>(rc::gen::set(&told::pack, rc::gen::inRange(0, packs)),
                           rc::gen::set(&told::what, rc::gen::inRange(0, 3))));

  std::array<std::optional<bool>, packs> back{}; // as we have heard
  for (const auto& e : events) {
    auto& heard = back.at(static_cast<std::size_t>(e.pack));
    auto id = std::to_string(e.pack);
    stripe::checkout_session s{.id = "cs_" + id,
                               .mode = "payment",
                               .payment_status = "paid",
                               .amount_total = 900,
                               .created = now,
                               .notes = {{"purpose", "credits"}, {"pack", "100"}}};
    std::vector<stripe::reversal> reversals;
    if (e.what > 0)
      reversals.push_back({.id = "re_" + id, .amount = 450, .stands = e.what == 1, .created = now});
    heard = e.what > 0 ? e.what == 1 : heard.value_or(false);
    auto in = setting();
    in.referral_reward = reward;
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(apply_purchase(tx, {"bob"}, s, in));
      return apply_reversals(tx, s, reversals, now);
    }));
  }

  auto stands = std::ranges::count(back, std::optional{false}) > 0;
  auto none = std::ranges::count(back, std::optional<bool>{}) == packs;
  RC_ASSERT(state() == (stands ? "verified 75" : none ? "pending 0" : "cancelled 0"));
  auto left = must(
      reading(db, [&](transaction& tx) { return persistence::credit_balance(tx, {"ann"}, now); }));
  RC_ASSERT(left == (stands ? reward : 0));
  auto wrong =
      must(reading(db, [&](transaction& tx) { return persistence::verify_ledger(tx, {"ann"}); }));
  RC_ASSERT(wrong.empty());
}

} // namespace
} // namespace binnacle
