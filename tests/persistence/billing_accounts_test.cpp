#include "persistence/billing_accounts.hpp"

#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <set>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-10T12:00:00Z");

class BillingAccounts : public ::testing::Test {
protected:
  BillingAccounts() {
    for (const auto* name : {"a", "b"})
      must(writing(
          db, [&](transaction& tx) { return insert_user(tx, {.id = {name}, .created_at = now}); }));
  }

  result<stripe_customer> link(const char* who, const std::string& customer) {
    return writing(db,
                   [&](transaction& tx) { return link_stripe_customer(tx, {who}, customer, now); });
  }
  static subscription pro(const char* status, time_point as_of) {
    return {.id = "sub_1",
            .who = {"a"},
            .customer = "cus_1",
            .kind = "plan",
            .plan = "pro",
            .status = status,
            .current_period_end = now + hours{720},
            .cancel_at_period_end = false,
            .as_of = as_of,
            .created_at = now,
            .updated_at = {}};
  }
  bool store(const subscription& s, time_point at = now) {
    return must(writing(db, [&](transaction& tx) { return upsert_subscription(tx, s, at); }));
  }
  std::vector<subscription> all_of(const char* who) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return subscriptions_of(tx, {who}); }));
  }
  /// What a transaction tells the caches.
  template <class Body>
  std::vector<change> changes_of(Body body) {
    std::vector<change> out;
    must(db.run(
        access::write,
        [&](transaction& tx) -> result<done> {
          auto r = body(tx);
          if (!r) return r.error();
          return done{};
        },
        &out));
    return out;
  }

  test_database where{};
  database db = where.connect();
};

TEST_F(BillingAccounts, LinkAUserToTheFirstCustomerForEver) {
  EXPECT_EQ(must(link("a", "cus_1")).id, "cus_1");
  EXPECT_EQ(must(link("a", "cus_2")).id, "cus_1");

  auto found = must(
      run_in(db, access::read, [](transaction& tx) { return find_stripe_customer(tx, {"a"}); }));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "cus_1");
  EXPECT_FALSE(found->has_payment_method);
  auto whose = [&](const char* customer) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return user_of_customer(tx, customer); }));
  };
  EXPECT_EQ(whose("cus_1"), user_id{"a"});
  EXPECT_TRUE(whose("cus_2").empty());
}

TEST_F(BillingAccounts, DoNotShareACustomer) {
  must(link("a", "cus_1"));

  auto refused = link("b", "cus_1");

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_EQ(refused.error().field, "customer");
}

TEST_F(BillingAccounts, AgreeOnOneCustomerWhenSeveralLinkAtOnce) {
  std::vector<std::string> winners(6);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < winners.size(); ++i)
    threads.emplace_back([&, i] {
      auto own = where.connect();
      winners[i] = must(writing(own, [&](transaction& tx) {
                     return link_stripe_customer(tx, {"a"}, "cus_" + std::to_string(i), now);
                   })).id;
    });
  for (auto& t : threads) t.join();

  EXPECT_EQ(std::set<std::string>(winners.begin(), winners.end()).size(), 1u);
  EXPECT_EQ(where.query("SELECT customer_id FROM stripe_customers"), winners[0]);
}

TEST_F(BillingAccounts, KnowWhetherThereIsAWayToPay) {
  must(link("a", "cus_1"));
  auto set = [](transaction& tx) { return set_payment_method(tx, {"a"}, true); };

  EXPECT_EQ(changes_of(set), (std::vector<change>{{topic::billing, {"a"}}}));
  EXPECT_TRUE(changes_of(set).empty());
  EXPECT_EQ(where.query("SELECT has_payment_method FROM stripe_customers"), "t");
}

TEST_F(BillingAccounts, KeepASubscriptionAsItWas) {
  auto given = pro("trialing", now);
  given.cancel_at_period_end = true;

  EXPECT_TRUE(store(given, now + hours{1}));

  auto kept = all_of("a");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].id, "sub_1");
  EXPECT_EQ(kept[0].customer, "cus_1");
  EXPECT_EQ(kept[0].plan, "pro");
  EXPECT_EQ(kept[0].status, "trialing");
  EXPECT_EQ(kept[0].current_period_end, now + hours{720});
  EXPECT_TRUE(kept[0].cancel_at_period_end);
  EXPECT_EQ(kept[0].as_of, now);
  EXPECT_EQ(kept[0].updated_at, now + hours{1});
  EXPECT_TRUE(all_of("b").empty());
}

TEST_F(BillingAccounts, NeverReplaceNewerKnowledgeByOlder) {
  EXPECT_TRUE(store(pro("active", now)));
  EXPECT_FALSE(store(pro("incomplete", now - seconds{1})));
  EXPECT_EQ(all_of("a")[0].status, "active");

  EXPECT_TRUE(store(pro("past_due", now + seconds{1})));
  EXPECT_EQ(all_of("a")[0].status, "past_due");
}

TEST_F(BillingAccounts, ComeToOneStateInWhateverOrderTheyHear) {
  std::vector<subscription> news{pro("incomplete", now), pro("active", now + seconds{1}),
                                 pro("past_due", now + seconds{2}),
                                 pro("canceled", now + seconds{2})};
  std::vector<std::size_t> order{0, 1, 2, 3};
  do {
    where.query("DELETE FROM subscriptions");
    for (auto i : order) store(news[i]);
    EXPECT_EQ(all_of("a")[0].status, "canceled");
  } while (std::ranges::next_permutation(order).found);
}

TEST_F(BillingAccounts, DoNotHandASubscriptionToAnotherUser) {
  store(pro("active", now));
  auto foreign = pro("canceled", now + seconds{1});
  foreign.who = {"b"};

  EXPECT_FALSE(store(foreign));

  EXPECT_EQ(all_of("a")[0].status, "active");
}

TEST_F(BillingAccounts, AreLinkedToAnotherCustomerWhenTheirsWasDeletedButNeverToThatOne) {
  auto link = [&](const char* customer) {
    return writing(db,
                   [&](transaction& tx) { return link_stripe_customer(tx, {"a"}, customer, now); });
  };
  must(link("cus_gone"));
  for (int i = 0; i < 2; ++i)
    must(writing(db, [](transaction& tx) { return unlink_stripe_customer(tx, "cus_gone", now); }));

  EXPECT_EQ(must(run_in(db, access::read,
                        [](transaction& tx) { return former_stripe_customers(tx, {"a"}); })),
            1);
  EXPECT_EQ(link("cus_gone").error().code, errc::gone);
  EXPECT_EQ(must(link("cus_next")).id, "cus_next");
  EXPECT_EQ(must(link("cus_gone")).id, "cus_next");
}

TEST_F(BillingAccounts, AreDatedByTheClockThatDatesStripesEvents) {
  auto clock = [&] {
    return must(run_in(db, access::read, [](transaction& tx) { return stripe_clock(tx); }));
  };
  auto before = *parse_iso(where.query("SELECT to_char(clock_timestamp(), "
                                       "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"));

  auto read = clock();

  EXPECT_LE(before, read);
  EXPECT_LE(read, clock());
}

TEST_F(BillingAccounts, TellTheNewestActiveOneOfAKindElseTheNewest) {
  auto usage = pro("active", now);
  usage.id = "sub_usage";
  usage.kind = "usage";
  usage.plan = "";
  store(usage);
  auto older = pro("active", now);
  older.created_at = now - hours{24};
  store(older);
  auto newer = pro("active", now);
  newer.id = "sub_2";
  newer.created_at = now;
  store(newer);
  auto told = [&](const char* kind) {
    return must(run_in(db, access::read,
                       [&](transaction& tx) { return telling_subscription(tx, {"a"}, kind); }));
  };
  EXPECT_EQ(told("plan")->id, "sub_2");

  older.status = "canceled"; // which is the latest news
  store(older, now + hours{1});
  EXPECT_EQ(told("plan")->id, "sub_2");
  newer.status = "canceled";
  older.id = "sub_3";
  older.status = "past_due";
  store(newer, now + hours{2});
  store(older, now + hours{1});
  EXPECT_EQ(told("plan")->id, "sub_3");
  older.status = "canceled";
  store(older, now + hours{3});
  EXPECT_EQ(told("plan")->id, "sub_2");

  EXPECT_EQ(told("usage")->plan, "");
  EXPECT_TRUE(is_active(*told("usage")));
  auto found = must(
      run_in(db, access::read, [](transaction& tx) { return find_subscription(tx, "sub_2"); }));
  EXPECT_EQ(found->who, user_id{"a"});
}

TEST_F(BillingAccounts, RefuseAStatusThatStripeDoesNotHave) {
  EXPECT_FALSE(
      writing(db, [&](transaction& tx) { return upsert_subscription(tx, pro("fine", now), now); }));
}

TEST_F(BillingAccounts, HaveAFreePlanUntilSet) {
  auto plan = [&] {
    return must(run_in(db, access::read, [](transaction& tx) { return find_user(tx, {"a"}); }))
        ->plan;
  };
  EXPECT_EQ(plan(), "free");
  auto set = [](transaction& tx) { return set_plan(tx, {"a"}, "premium", now); };

  EXPECT_EQ(changes_of(set),
            (std::vector<change>{{topic::identity, {"a"}}, {topic::billing, {"a"}}}));
  EXPECT_EQ(plan(), "premium");
  EXPECT_TRUE(changes_of(set).empty());
  auto nobody = writing(db, [](transaction& tx) { return set_plan(tx, {"nobody"}, "pro", now); });
  EXPECT_EQ(nobody.error().code, errc::not_found);
}

TEST_F(BillingAccounts, ArePaidInAdvanceOrAfterwards) {
  auto of_a = [&] {
    return must(run_in(db, access::read, [](transaction& tx) { return find_payer(tx, {"a"}); }));
  };
  auto set = [](bool prepaid) {
    return [prepaid](transaction& tx) { return set_prepaid(tx, {"a"}, prepaid, now); };
  };

  EXPECT_EQ(changes_of(set(true)),
            (std::vector<change>{{topic::identity, {"a"}}, {topic::billing, {"a"}}}));
  EXPECT_EQ(of_a()->billing_mode, "prepaid");
  EXPECT_EQ(of_a()->feature_flags, R"({"prepaid_enabled": true})");
  must(writing(db, set(false)));
  EXPECT_EQ(of_a()->billing_mode, "postpaid");
  auto nobody = writing(db, [](transaction& tx) { return set_prepaid(tx, {"c"}, true, now); });
  EXPECT_EQ(nobody.error().code, errc::not_found);
}

TEST_F(BillingAccounts, WantASubscriptionForUsageOnce) {
  auto missing_it = [&] {
    std::vector<std::string> out;
    for (const auto& p : must(run_in(db, access::read, payers_without_subscription)))
      out.push_back(p.who.value);
    return out;
  };
  using ids = std::vector<std::string>;
  EXPECT_EQ(missing_it(), ids{}) << "nobody has a customer";
  must(link("a", "cus_1"));
  must(link("b", "cus_2"));
  EXPECT_EQ(missing_it(), (ids{"a", "b"}));

  store(pro("active", now));
  EXPECT_EQ(missing_it(), (ids{"a", "b"})) << "a plan does not bill usage";
  auto usage = pro("canceled", now);
  usage.id = "sub_usage";
  usage.kind = "usage";
  store(usage);
  EXPECT_EQ(missing_it(), ids{"b"}) << "one that was ended was ended on purpose";
  for (const auto* other : {"billing_mode = 'prepaid'", "billing_mode = NULL, status = 'suspended'",
                            "status = 'active', account_owner_id = 'a'"}) {
    where.query(std::string{"UPDATE users SET "} + other + " WHERE id = 'b'");
    EXPECT_EQ(missing_it(), ids{}) << other;
  }
}

} // namespace
} // namespace binnacle::persistence
