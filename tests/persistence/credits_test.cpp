#include "persistence/credits.hpp"

#include "config/credits.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto now = *parse_iso("2025-03-01T12:00:00Z");
const user_id ada{"ada"};
const user_id bob{"bob"};

class Credits : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void SetUp() override {
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(insert_user(tx, {.id = ada, .created_at = now}));
      return insert_user(tx, {.id = bob, .created_at = now});
    }));
  }
  /// What was done to Ada's and Bob's ledgers leaves them in order.
  void TearDown() override {
    for (const auto& who : {ada, bob}) EXPECT_EQ(differences(who), std::vector<std::string>{});
  }

  result<booked_credits> try_grant(const std::string& source, std::int64_t tenths,
                                   std::optional<time_point> expires_at, time_point at = now,
                                   const user_id& who = ada) {
    return writing(db, [&](transaction& tx) {
      return grant_credits(tx, who, {source, tenths, expires_at, at}, at);
    });
  }
  credit_entry grant(const std::string& source, std::int64_t tenths,
                     std::optional<time_point> expires_at = now + 24h, time_point at = now) {
    return must(try_grant(source, tenths, expires_at, at)).entry;
  }
  result<booked_credits> try_use(const std::string& source, std::int64_t tenths,
                                 time_point at = now) {
    return writing(db, [&](transaction& tx) { return use_credits(tx, ada, source, tenths, at); });
  }
  credit_entry use(const std::string& source, std::int64_t tenths, time_point at = now) {
    return must(try_use(source, tenths, at)).entry;
  }
  result<booked_credits> try_refund(const use_refund& r, time_point at = now) {
    return writing(db, [&](transaction& tx) { return refund_use(tx, ada, r, at); });
  }
  credit_entry refund(const use_refund& r, time_point at = now) {
    return must(try_refund(r, at)).entry;
  }
  result<booked_credits> try_revoke(const grant_revocation& r, time_point at = now) {
    return writing(db, [&](transaction& tx) { return revoke_grant(tx, ada, r, at); });
  }
  credit_entry revoke(const grant_revocation& r, time_point at = now) {
    return must(try_revoke(r, at)).entry;
  }
  void restore(const std::string& source, time_point at = now) {
    must(writing(db, [&](transaction& tx) { return restore_grant(tx, ada, source, at); }));
  }
  std::int64_t expire(time_point at, std::int64_t users = 100) {
    return must(writing(db, [&](transaction& tx) { return expire_credits(tx, at, users); }));
  }
  std::int64_t balance(time_point at = now, const user_id& who = ada) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return credit_balance(tx, who, at); }));
  }
  std::vector<credit_entry> entries(std::optional<credit_entry_id> before = {},
                                    std::int64_t most = 100) {
    return must(run_in(db, access::read,
                       [&](transaction& tx) { return credit_entries_of(tx, ada, before, most); }));
  }
  /// "source: tenths", in order.
  std::vector<std::string> payments(const credit_entry& of) {
    std::vector<std::string> out;
    for (const auto& p : must(run_in(db, access::read,
                                     [&](transaction& tx) { return explain_use(tx, ada, of.id); })))
      out.push_back(p.lot.source + ": " + std::to_string(p.tenths));
    return out;
  }
  std::vector<std::string> differences(const user_id& who) {
    return must(run_in(db, access::read, [&](transaction& tx) { return verify_ledger(tx, who); }));
  }
};

using texts = std::vector<std::string>;

TEST_F(Credits, AreTheSumOfWhatWasGrantedAndUsed) {
  auto bought = grant("checkout:cs_1", 1000, now + 24h);
  auto spent = use("job:1", 125);

  EXPECT_EQ(balance(), 875);
  EXPECT_EQ(entries(), (std::vector{spent, bought}));
  EXPECT_EQ(bought.kind, credit_kind::grant);
  EXPECT_EQ(bought.tenths, 1000);
  EXPECT_EQ(bought.expires_at, now + 24h);
  EXPECT_EQ(bought.balance_after, 1000);
  EXPECT_EQ(spent.kind, credit_kind::use);
  EXPECT_EQ(spent.tenths, -125);
  EXPECT_EQ(spent.balance_after, 875);
  EXPECT_EQ(spent.created_at, now);
}

TEST_F(Credits, AreNoneOfAUserWithoutEntries) {
  EXPECT_EQ(balance(), 0);
  EXPECT_EQ(balance(now, {"nobody"}), 0);
  EXPECT_TRUE(entries().empty());
}

TEST_F(Credits, TellWhoseCacheHasToGo) {
  std::vector<change> changes;
  must(db.run(
      access::write,
      [](transaction& tx) -> result<done> {
        must(grant_credits(tx, ada, {"g", 10, {}, now}, now));
        return done{};
      },
      &changes));

  EXPECT_EQ(changes, (std::vector<change>{{topic::billing, ada}}));
}

TEST_F(Credits, GrantedTwiceFromOneSourceAreGrantedOnce) {
  auto first = try_grant("checkout:cs_1", 1000, now + 24h);
  auto again = try_grant("checkout:cs_1", 1000, now + 24h, now + 1h);

  EXPECT_FALSE(must(first).repeated);
  EXPECT_TRUE(must(again).repeated);
  EXPECT_EQ(must(again).entry, must(first).entry);
  EXPECT_EQ(balance(), 1000);
}

TEST_F(Credits, OfACheckoutAreGrantedOnceWhoeverItIsFoundToBeForLater) {
  auto first = try_grant("checkout:cs_1", 1000, now + 24h);
  auto later = try_grant("checkout:cs_1", 1000, now + 24h, now + 1h, bob);

  EXPECT_TRUE(must(later).repeated);
  EXPECT_EQ(must(later).entry, must(first).entry);
  EXPECT_EQ(balance(), 1000);
  EXPECT_EQ(where.query("SELECT count(*) FROM credit_entries"), "1");
  EXPECT_FALSE(must(try_grant("gift", 10, {})).repeated);
  EXPECT_FALSE(must(try_grant("gift", 10, {}, now, bob)).repeated) << "other sources are of a user";
}

TEST_F(Credits, FromOneSourceAreOfOneAmountAndExpiry) {
  grant("checkout:cs_1", 1000, now + 24h);

  EXPECT_EQ(try_grant("checkout:cs_1", 5000, now + 24h).error().code, errc::conflict);
  EXPECT_EQ(try_grant("checkout:cs_1", 1000, now + 25h).error().code, errc::conflict);
  EXPECT_EQ(try_grant("checkout:cs_1", 1000, {}).error().code, errc::conflict);
  EXPECT_EQ(balance(), 1000);
}

TEST_F(Credits, OfTwoUsersFromSourcesOfOneNameAreApart) {
  grant("welcome", 10);
  must(try_grant("welcome", 20, {}, now, bob));

  EXPECT_EQ(balance(now, ada), 10);
  EXPECT_EQ(balance(now, bob), 20);
}

TEST_F(Credits, KnowARepetitionOfAnExpiryBetweenTwoMicroseconds) {
  grant("g", 10, now + 123'456'789ns);

  EXPECT_TRUE(must(try_grant("g", 10, now + 123'456'789ns)).repeated);
}

TEST_F(Credits, ArePaidFromTheLotThatExpiresFirst) {
  grant("never", 10, {});
  grant("late", 10, now + 48h);
  grant("soon", 10, now + 24h);

  EXPECT_EQ(payments(use("job:1", 15)), (texts{"soon: 10", "late: 5"}));
  EXPECT_EQ(payments(use("job:2", 15)), (texts{"late: 5", "never: 10"}));
}

TEST_F(Credits, ArePaidFromAsManyLotsAsItTakes) {
  for (int i = 0; i < 50; ++i) grant("g" + std::to_string(i), 2, now + 24h);

  auto all = payments(use("job:1", 99));

  EXPECT_EQ(all.size(), 50u);
  EXPECT_EQ(all.front(), "g0: 2");
  EXPECT_EQ(all.back(), "g49: 1");
  EXPECT_EQ(balance(), 1);
}

TEST_F(Credits, ThatDoNotSufficeAreNotTouched) {
  grant("g", 15);

  auto refused = try_use("job:1", 20);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::unprocessable);
  EXPECT_EQ(refused.error().text, "Insufficient credits: 1.5 are left, 2 are needed");
  EXPECT_EQ(balance(), 15);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(Credits, ThatDidNotSufficeMayDoSoLater) {
  EXPECT_FALSE(try_use("job:1", 20));
  grant("g", 20);

  EXPECT_FALSE(must(try_use("job:1", 20)).repeated);
}

TEST_F(Credits, UsedTwiceForOneSourceAreUsedOnce) {
  grant("g", 15);
  auto first = use("job:1", 10);

  auto again = must(try_use("job:1", 10));

  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.entry, first);
  EXPECT_EQ(try_use("job:1", 11).error().code, errc::conflict);
  EXPECT_EQ(balance(), 5);
}

TEST_F(Credits, DemandAnAmountASourceAndAUser) {
  EXPECT_EQ(try_grant("g", 0, {}).error().code, errc::bad_request);
  EXPECT_EQ(try_grant("g", -1, {}).error().code, errc::bad_request);
  EXPECT_EQ(try_grant("g", most_tenths + 1, {}).error().code, errc::bad_request);
  EXPECT_EQ(try_grant("", 1, {}).error().code, errc::bad_request);
  EXPECT_EQ(try_use("job:1", 0).error().code, errc::bad_request);
  EXPECT_EQ(try_grant("g", 1, {}, now, {"nobody"}).error().code, errc::not_found);
}

// -- expiry ----------------------------------------------------------------------------------

TEST_F(Credits, ExpireToTheInstantAlsoBeforeTheyAreWrittenOff) {
  grant("soon", 10, now + 1h);
  grant("late", 20, now + 2h);

  EXPECT_EQ(balance(now + 1h - 1us), 30);
  EXPECT_EQ(balance(now + 1h), 20);
  EXPECT_FALSE(try_use("job:1", 21, now + 1h));
  EXPECT_EQ(payments(use("job:2", 20, now + 1h)), texts{"late: 20"});
}

TEST_F(Credits, ThatExpiredAreWrittenOffOnce) {
  auto pack = grant("pack", 10, now + 1h);
  grant("late", 20, now + 2h);
  use("job:1", 4);

  EXPECT_EQ(expire(now + 1h), 1);
  EXPECT_EQ(expire(now + 1h), 0);

  auto newest = entries()[0];
  EXPECT_EQ(newest.kind, credit_kind::expiry);
  EXPECT_EQ(newest.tenths, -6);
  EXPECT_EQ(newest.balance_after, 20);
  EXPECT_EQ(newest.source, "lot:" + std::to_string(static_cast<std::int64_t>(pack.id)));
  EXPECT_EQ(newest.occurred_at, now + 1h);
  EXPECT_EQ(balance(now + 1h), 20);
}

TEST_F(Credits, ThatWereUsedUpDoNotExpire) {
  grant("pack", 10, now + 1h);
  use("job:1", 10);

  EXPECT_EQ(expire(now + 1h), 0);
}

TEST_F(Credits, ThatExpiredAreWrittenOffBeforeAnotherEntry) {
  grant("old", 10, now + 1h);

  auto entry = grant("new", 20, now + 9h, now + 2h);

  EXPECT_EQ(entry.balance_after, 20);
  EXPECT_EQ(entries().size(), 3u);
}

TEST_F(Credits, ThatCameTooLateAreGrantedAndExpire) {
  grant("late webhook", 10, now - 1h);

  EXPECT_EQ(balance(), 0);
  EXPECT_EQ(expire(now), 1);
}

TEST_F(Credits, OfSomeUsersExpireInOneSweepAndTheRestInTheNext) {
  grant("a", 10, now);
  must(try_grant("b", 10, now, now, bob));

  EXPECT_EQ(expire(now, 1), 1);
  EXPECT_EQ(expire(now, 1), 1);
  EXPECT_EQ(expire(now, 1), 0);
}

// -- revocations -----------------------------------------------------------------------------

TEST_F(Credits, ThatAreRevokedAreTakenAsFarAsTheyAreUnused) {
  auto bought = grant("pack", 10);
  grant("other", 10, now + 48h);
  use("job:1", 6);

  auto taken = revoke({"pack", "stripe:re_1", 10});

  EXPECT_EQ(taken.kind, credit_kind::revocation);
  EXPECT_EQ(taken.tenths, -4);
  EXPECT_EQ(taken.use, bought.id);
  EXPECT_EQ(taken.balance_after, 10);
  EXPECT_EQ(payments(use("job:2", 10)), texts{"other: 10"});
}

TEST_F(Credits, AreRevokedOncePerSourceAndInParts) {
  grant("pack", 10);
  auto first = revoke({"pack", "stripe:re_1", 3});

  auto again = must(try_revoke({"pack", "stripe:re_1", 3}));

  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.entry, first);
  EXPECT_EQ(balance(), 7);
  EXPECT_EQ(revoke({"pack", "stripe:re_2", 9}).tenths, -7);
  EXPECT_EQ(balance(), 0);
}

TEST_F(Credits, OfWhichNothingIsLeftAreRevokedByAnEntryOfNothing) {
  grant("pack", 10);
  use("job:1", 10);

  auto taken = revoke({"pack", "stripe:re_1", 10});
  refund({.use = "job:1", .source = "job:1 failed"});

  EXPECT_EQ(taken.tenths, 0);
  EXPECT_TRUE(must(try_revoke({"pack", "stripe:re_1", 10})).repeated);
  EXPECT_EQ(balance(), 10);
  EXPECT_EQ(entries().size(), 4);
}

TEST_F(Credits, ThatHaveExpiredAreNotRevoked) {
  grant("pack", 10, now + 1h);

  EXPECT_EQ(revoke({"pack", "stripe:re_1", 10}, now + 1h).tenths, 0);
  EXPECT_EQ(balance(now + 1h), 0);
}

TEST_F(Credits, AreNotRevokedWithoutAGrant) {
  grant("pack", 10);
  grant("other", 10);
  revoke({"pack", "stripe:re_1", 1});

  EXPECT_EQ(try_revoke({"none", "stripe:re_2", 1}).error().code, errc::not_found);
  EXPECT_EQ(try_revoke({"pack", "stripe:re_2", 0}).error().code, errc::bad_request);
  EXPECT_EQ(try_revoke({"pack", "", 1}).error().code, errc::bad_request);
  EXPECT_EQ(try_revoke({"other", "stripe:re_1", 1}).error().code, errc::conflict);
}

TEST_F(Credits, ThatWereRevokedAreRestoredOnceToTheirLot) {
  grant("pack", 10);
  auto taken = revoke({"pack", "stripe:du_1", 6});

  restore("stripe:du_1");
  restore("stripe:du_1");
  restore("stripe:du_2");

  EXPECT_EQ(balance(), 10);
  EXPECT_EQ(balance(now + 24h), 0);
  EXPECT_EQ(entries().size(), 3);
  EXPECT_EQ(entries().front().kind, credit_kind::restoration);
  EXPECT_EQ(entries().front().use, taken.id);
  EXPECT_TRUE(must(try_revoke({"pack", "stripe:du_1", 6})).repeated);
}

TEST_F(Credits, ThatAreRestoredAfterTheyWouldHaveExpiredLastAGraceLonger) {
  grant("pack", 10);
  revoke({"pack", "stripe:du_1", 10});

  restore("stripe:du_1", now + 48h);

  EXPECT_EQ(entries().front().expires_at, now + 48h + refund_grace);
  EXPECT_EQ(balance(now + 48h), 10);
}

// -- refunds ---------------------------------------------------------------------------------

TEST_F(Credits, ThatWereRefundedCanBeUsedAgain) {
  grant("pack", 10);
  auto spent = use("job:1", 10);

  auto back = refund({.use = "job:1", .source = "job:1 failed"});

  EXPECT_EQ(back.kind, credit_kind::refund);
  EXPECT_EQ(back.tenths, 10);
  EXPECT_EQ(back.use, spent.id);
  EXPECT_EQ(back.expires_at, std::nullopt);
  EXPECT_EQ(payments(use("job:2", 10)), texts{"pack: 10"});
}

TEST_F(Credits, ThatWereTakenLastGoBackFirst) {
  grant("soon", 10, now + 1h);
  grant("late", 10, now + 2h);
  use("job:1", 20);

  refund({.use = "job:1", .source = "r1", .tenths = 4});
  refund({.use = "job:1", .source = "r2", .tenths = 8});

  EXPECT_EQ(balance(now), 12);
  EXPECT_EQ(balance(now + 1h), 10);
}

TEST_F(Credits, RefundedTwiceFromOneSourceAreRefundedOnce) {
  grant("pack", 10);
  use("job:1", 10);
  use_refund whole{.use = "job:1", .source = "r"};
  auto first = refund(whole);

  auto again = must(try_refund(whole));

  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.entry, first);
  EXPECT_EQ(try_refund({.use = "job:1", .source = "r", .tenths = 9}).error().code, errc::conflict);
  EXPECT_EQ(balance(), 10);
}

TEST_F(Credits, OfAUseAreNeverRefundedBeyondIt) {
  grant("pack", 20);
  use("job:1", 10);
  refund({.use = "job:1", .source = "r1", .tenths = 7});

  auto refused = try_refund({.use = "job:1", .source = "r2", .tenths = 4});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_EQ(refused.error().text, "Only 0.3 of this use can be refunded");
  EXPECT_EQ(refund({.use = "job:1", .source = "r3"}).tenths, 3);
  EXPECT_EQ(try_refund({.use = "job:1", .source = "r4"}).error().code, errc::conflict);
  EXPECT_EQ(balance(), 20);
}

TEST_F(Credits, OfALotThatExpiredSinceComeBackForAWhile) {
  grant("soon", 10, now + 1h);
  grant("late", 10, now + 1000h);
  use("job:1", 15);

  auto back = refund({.use = "job:1", .source = "r"}, now + 2h);

  EXPECT_EQ(back.tenths, 15);
  EXPECT_EQ(back.expires_at, now + 2h + refund_grace);
  EXPECT_EQ(balance(now + 2h), 20);
  EXPECT_EQ(balance(now + 2h + refund_grace), 10);
  EXPECT_EQ(payments(use("job:2", 12, now + 3h)), (texts{"r: 10", "late: 2"}));
}

TEST_F(Credits, OfALotThatIsWrittenOffDoNotGoBackToItWhateverTheClock) {
  grant("soon", 10, now + 1h);
  use("job:1", 5);
  expire(now + 1h);

  auto back = refund({.use = "job:1", .source = "r"}, now + 1h - 1s);

  EXPECT_EQ(back.expires_at, now + 1h - 1s + refund_grace);
  EXPECT_EQ(expire(now + 2h), 0);
  EXPECT_EQ(balance(now + 2h), 5);
}

TEST_F(Credits, AreRefundedForAUseOfOnesOwnOnly) {
  must(try_grant("g", 10, {}, now, bob));
  must(writing(db, [](transaction& tx) { return use_credits(tx, bob, "job:1", 10, now); }));

  EXPECT_EQ(try_refund({.use = "job:1", .source = "r"}).error().code, errc::not_found);
  EXPECT_EQ(try_refund({.use = "g", .source = "r"}).error().code, errc::not_found);
}

// -- reading ---------------------------------------------------------------------------------

TEST_F(Credits, AreListedNewestFirstPageByPage) {
  for (int i = 1; i <= 5; ++i) grant("g" + std::to_string(i), 1);
  must(try_grant("bob's", 1, {}, now, bob));

  auto first = entries({}, 2);
  auto second = entries(first.back().id, 2);
  auto third = entries(second.back().id, 2);

  ASSERT_EQ(third.size(), 1u);
  EXPECT_EQ(first[0].source + first[1].source, "g5g4");
  EXPECT_EQ(second[0].source + second[1].source, "g3g2");
  EXPECT_EQ(third[0].source, "g1");
}

TEST_F(Credits, AreExplainedToTheirOwnerOnly) {
  auto bought = grant("g", 10);
  auto spent = use("job:1", 10);
  auto explain = [&](const user_id& who, credit_entry_id id) {
    return run_in(db, access::read, [&](transaction& tx) { return explain_use(tx, who, id); });
  };

  EXPECT_EQ(must(explain(ada, spent.id)), (std::vector<credit_payment>{{bought, 10}}));
  EXPECT_EQ(explain(bob, spent.id).error().code, errc::not_found);
  EXPECT_EQ(explain(ada, bought.id).error().code, errc::not_found);
}

// -- integrity -------------------------------------------------------------------------------

TEST_F(Credits, RefuseEveryChangeOfTheirHistory) {
  grant("g", 10);

  EXPECT_THROW(where.query("UPDATE credit_entries SET tenths = 20"), std::exception);
  EXPECT_THROW(where.query("DELETE FROM credit_allocations"), std::exception);
  EXPECT_THROW(where.query("UPDATE credit_lots SET remaining = -1"), std::exception);
  EXPECT_THROW(where.query("UPDATE credit_accounts SET balance = -1"), std::exception);
}

TEST_F(Credits, ThatWereTamperedWithAreFound) {
  grant("g", 10);
  use("job:1", 4);
  refund({.use = "job:1", .source = "r", .tenths = 1});
  auto tampered = [&](const std::string& how, const std::string& back) {
    where.query("SET session_replication_role = replica; " + how);
    auto found = differences(ada);
    where.query("SET session_replication_role = replica; " + back);
    return found;
  };

  EXPECT_EQ(
      tampered("UPDATE credit_accounts SET balance = 9", "UPDATE credit_accounts SET balance = 7"),
      texts{"the account says 9, the entries sum to 7"});
  EXPECT_EQ(
      tampered("UPDATE credit_lots SET remaining = 8", "UPDATE credit_lots SET remaining = 7"),
      texts{"lot 1 says that 8 remain, its allocations sum to 7"});
  EXPECT_EQ(tampered("UPDATE credit_entries SET balance_after = 5 WHERE id = 2",
                     "UPDATE credit_entries SET balance_after = 6 WHERE id = 2"),
            texts{"entry 2 says a balance of 5, it was 6"});
  EXPECT_EQ(tampered("UPDATE credit_allocations SET tenths = tenths + 1 WHERE entry_id = 2",
                     "UPDATE credit_allocations SET tenths = tenths - 1 WHERE entry_id = 2"),
            (texts{"entry 2 is of -4, its allocations sum to -3",
                   "lot 1 says that 7 remain, its allocations sum to 8"}));
  EXPECT_EQ(
      tampered("UPDATE credit_lots SET user_id = 'bob'", "UPDATE credit_lots SET user_id = 'ada'")
          .size(),
      3u);
}

// -- concurrency -----------------------------------------------------------------------------

/// Runs `body(n, database)` in so many threads at once, each with a connection of its own.
template <class Body>
void at_once(const test_database& where, int threads, Body body) {
  std::vector<std::thread> all;
  for (int n = 0; n < threads; ++n)
    all.emplace_back([&, n] {
      auto own = where.connect();
      body(n, own);
    });
  for (auto& t : all) t.join();
}

TEST_F(Credits, UsedByManyAtOnceAreNeverOverdrawn) {
  for (int i = 0; i < 5; ++i) grant("g" + std::to_string(i), 10, now + hours{i + 1});
  std::atomic<int> paid{0}, refused{0};

  at_once(where, 8, [&](int n, database& own) {
    for (int i = 0; i < 4; ++i) {
      auto got = writing(own, [&](transaction& tx) {
        return use_credits(tx, ada, "job:" + std::to_string(n) + "." + std::to_string(i), 3, now);
      });
      if (got)
        ++paid;
      else if (got.error().code == errc::unprocessable)
        ++refused;
    }
  });

  EXPECT_EQ(paid, 16);
  EXPECT_EQ(refused, 16);
  EXPECT_EQ(balance(), 2);
}

TEST_F(Credits, GrantedFromOneSourceByManyAtOnceAreOneEntry) {
  grant("earlier", 1);
  std::atomic<int> fresh{0}, repeated{0};

  at_once(where, 8, [&](int, database& own) {
    auto got = writing(own, [&](transaction& tx) {
      return grant_credits(tx, ada, {"checkout:cs_1", 1000, now + 1h, now}, now);
    });
    if (got) ++(got->repeated ? repeated : fresh);
  });

  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(repeated, 7);
  EXPECT_EQ(balance(), 1001);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(Credits, AreWrittenOffByManyAtOnceOnce) {
  grant("g", 10, now);
  std::atomic<std::int64_t> lots{0};

  at_once(where, 4, [&](int, database& own) {
    auto got = writing(own, [&](transaction& tx) { return expire_credits(tx, now, 10); });
    if (got) lots += *got;
  });

  EXPECT_EQ(lots, 1);
}

} // namespace
} // namespace binnacle::persistence
