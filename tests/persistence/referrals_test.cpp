#include "persistence/referrals.hpp"

#include "persistence/credits.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-01T12:00:00Z");

class Referrals : public testing::Test {
protected:
  void SetUp() override {
    for (const auto* name : {"ann", "bob", "carol", "dave"}) add_user(name);
  }
  void add_user(const std::string& name, time_point at = now) {
    must(writing(
        db, [&](transaction& tx) { return insert_user(tx, {.id = {name}, .created_at = at}); }));
  }
  result<std::string> try_code(const std::string& who, const std::vector<std::string>& candidates) {
    return writing(
        db, [&](transaction& tx) { return ensure_referral_code(tx, {who}, candidates, now); });
  }
  std::string code(const std::string& who) { return must(try_code(who, {"from-" + who})); }
  result<bool> try_record(const std::string& who, const std::string& of, time_point at = now) {
    return writing(db, [&](transaction& tx) { return record_referral(tx, {who}, of, at); });
  }
  errc refusal(const std::string& who, const std::string& of, time_point at = now) {
    return try_record(who, of, at).error().code;
  }
  result<done> pay(database& as, const std::string& who, std::int64_t tenths = 50) {
    return writing(as, [&](transaction& tx) {
      return reward_referral(tx, {who}, "checkout:" + who, tenths, now);
    });
  }
  referral_summary summary(const std::string& who) {
    return must(reading(db, [&](transaction& tx) { return summarise_referrals(tx, {who}); }));
  }
  std::int64_t balance(const std::string& who) {
    return must(reading(db, [&](transaction& tx) { return credit_balance(tx, {who}, now); }));
  }
  /// Runs `job` in many threads at once, each with a connection of its own.
  template <class Job>
  void at_once(int many, Job job) {
    std::vector<std::thread> threads;
    for (int i = 0; i < many; ++i)
      threads.emplace_back([&, i] {
        auto own = where.connect();
        job(own, i);
      });
    for (auto& t : threads) t.join();
  }

  test_database where{};
  database db = where.connect();
};

TEST_F(Referrals, AreNoneWithoutACode) {
  auto s = summary("ann");

  EXPECT_EQ(s.code, "");
  EXPECT_EQ(s.total, 0);
  EXPECT_TRUE(s.newest.empty());
}

TEST_F(Referrals, KeepTheFirstCodeForEver) {
  EXPECT_EQ(must(try_code("ann", {"ann-one"})), "ann-one");
  EXPECT_EQ(must(try_code("ann", {"ann-two"})), "ann-one");
  EXPECT_EQ(summary("ann").code, "ann-one");
}

TEST_F(Referrals, TakeTheNextCodeWhenOthersHaveThoseBefore) {
  EXPECT_EQ(must(try_code("ann", {"shared"})), "shared");
  EXPECT_EQ(must(try_code("bob", {"shared", "shared1"})), "shared1");
  EXPECT_EQ(must(try_code("carol", {"shared", "shared1", "shared2"})), "shared2");
  EXPECT_EQ(try_code("dave", {"shared", "shared1"}).error().code, errc::conflict);
  EXPECT_EQ(try_code("nobody", {"free-code"}).error().code, errc::not_found);
}

TEST_F(Referrals, GiveOneCodeToManyWhoAskAtOnceAndAnotherToEachUser) {
  std::vector<std::string> codes(24);
  at_once(8, [&](database& own, int i) {
    for (int user = 0; user < 3; ++user) {
      auto& mine = codes[static_cast<std::size_t>(user * 8 + i)];
      std::vector<std::string> candidates{"the-same", "the-same" + std::to_string(i),
                                          "other-" + std::to_string(i)};
      const std::array<std::string, 3> names{"ann", "bob", "carol"};
      mine = must(writing(own, [&](transaction& tx) {
        return ensure_referral_code(tx, {names[static_cast<std::size_t>(user)]}, candidates, now);
      }));
    }
  });

  for (std::size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(codes[i], codes[i / 8 * 8]);
  EXPECT_NE(codes[0], codes[8]);
  EXPECT_NE(codes[8], codes[16]);
}

TEST_F(Referrals, AreRecordedOnceWhateverTheCaseOfTheCode) {
  auto of = code("ann");

  EXPECT_TRUE(must(try_record("bob", of)));
  EXPECT_FALSE(must(try_record("bob", "FROM-Ann")));
  EXPECT_TRUE(must(try_record("carol", of, now + seconds{1})));

  auto s = summary("ann");
  EXPECT_EQ(s.total, 2);
  EXPECT_EQ(s.pending, 2);
  ASSERT_EQ(s.newest.size(), 2u);
  EXPECT_EQ(s.newest[0].occurred_at, now + seconds{1});
  EXPECT_EQ(summary("bob").total, 0);
}

TEST_F(Referrals, AreRefusedForWhoWasNotNewlyReferredByAnother) {
  auto of = code("ann");
  must(try_record("bob", of));
  add_user("old", now - referral_window);

  EXPECT_EQ(refusal("carol", "unknown"), errc::not_found);
  EXPECT_EQ(refusal("nobody", of), errc::not_found);
  EXPECT_EQ(refusal("ann", of), errc::conflict);
  EXPECT_EQ(refusal("bob", code("carol")), errc::conflict);
  EXPECT_EQ(refusal("old", of), errc::conflict);
}

TEST_F(Referrals, AreRefusedForWhoHasPaidAlready) {
  auto of = code("ann");
  must(writing(db, [&](transaction& tx) {
    return grant_credits(tx, {"bob"}, {"checkout:cs_1", 1'000, {}, now}, now);
  }));
  where.query("INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, "
              "created_at, updated_at) VALUES ('sub_1', 'carol', 'cus', 'plan', 'active', now(), "
              "now(), now()), ('sub_2', 'dave', 'cus', 'plan', 'trialing', now(), now(), now())");

  EXPECT_EQ(refusal("bob", of), errc::conflict);
  EXPECT_EQ(refusal("carol", of), errc::conflict);
  EXPECT_TRUE(must(try_record("dave", of))); // a trial is no payment yet
}

TEST_F(Referrals, AreRewardedOnce) {
  must(try_record("bob", code("ann")));

  must(pay(db, "bob"));
  must(pay(db, "bob", 90));
  must(pay(db, "carol")); // nobody referred her

  auto s = summary("ann");
  EXPECT_EQ(s.verified, 1);
  EXPECT_EQ(s.pending, 0);
  EXPECT_EQ(s.tenths, 50);
  EXPECT_EQ(s.newest.at(0).tenths, 50);
  EXPECT_EQ(balance("ann"), 50);
}

TEST_F(Referrals, AreCancelledWhileThePaymentIsBackAndLoseOnlyWhatIsUnused) {
  must(try_record("bob", code("ann")));
  must(pay(db, "bob"));
  must(writing(db, [&](transaction& tx) { return use_credits(tx, {"ann"}, "job:1", 20, now); }));
  auto reconsider = [&](bool returned) {
    must(writing(db, [&](transaction& tx) {
      return reconsider_referral(tx, "checkout:bob", returned, now);
    }));
  };

  for (int twice = 0; twice < 2; ++twice) reconsider(true);
  EXPECT_EQ(balance("ann"), 0);
  EXPECT_EQ(summary("ann").cancelled, 1);
  EXPECT_EQ(summary("ann").tenths, 0);

  must(pay(db, "bob")); // told again of what is back
  EXPECT_EQ(summary("ann").cancelled, 1);

  for (int twice = 0; twice < 2; ++twice) reconsider(false);
  EXPECT_EQ(balance("ann"), 30);
  EXPECT_EQ(summary("ann").verified, 1);
  EXPECT_EQ(summary("ann").tenths, 50);
  EXPECT_EQ(where.query("SELECT string_agg(title, ',' ORDER BY title) FROM hub_notifications"),
            "Referral cancelled,Referral verified");
}

TEST_F(Referrals, AreRewardedOnceByManyPaymentsAtOnceAlsoOfPeopleWhoReferredEachOther) {
  must(try_record("bob", code("ann")));
  must(try_record("ann", code("bob")));

  at_once(8, [&](database& own, int i) {
    for (int n = 0; n < 4; ++n) must(pay(own, (i + n) % 2 == 0 ? "ann" : "bob"));
  });

  for (const auto* who : {"ann", "bob"}) {
    EXPECT_EQ(balance(who), 50) << who;
    EXPECT_EQ(must(reading(db, [&](transaction& tx) { return verify_ledger(tx, {who}); })),
              std::vector<std::string>{});
  }
}

TEST_F(Referrals, AreEitherRewardedOrRefusedWhenThePaymentComesAtTheSameTime) {
  auto of = code("ann");
  for (int i = 0; i < 20; ++i) add_user("new" + std::to_string(i));

  for (int i = 0; i < 20; ++i) {
    auto who = "new" + std::to_string(i);
    auto recorded = false;
    at_once(2, [&](database& own, int job) {
      if (job == 0) {
        recorded = writing(own, [&](transaction& tx) {
                     return record_referral(tx, {who}, of, now);
                   }).has_value();
        return;
      }
      must(writing(own, [&](transaction& tx) -> result<done> {
        must(grant_credits(tx, {who}, {"checkout:" + who, 1'000, {}, now}, now));
        return reward_referral(tx, {who}, "checkout:" + who, 50, now);
      }));
    });
    EXPECT_EQ(
        where.query("SELECT status FROM referral_events WHERE referred_user_id = '" + who + "'"),
        recorded ? "verified" : "");
  }
}

TEST_F(Referrals, ShowTheFiveNewest) {
  auto of = code("ann");
  for (int i = 0; i < 7; ++i) {
    add_user("friend" + std::to_string(i));
    must(try_record("friend" + std::to_string(i), of, now + seconds{i}));
  }

  auto s = summary("ann");
  EXPECT_EQ(s.total, 7);
  ASSERT_EQ(s.newest.size(), 5u);
  EXPECT_EQ(s.newest.front().occurred_at, now + seconds{6});
  EXPECT_EQ(s.newest.back().occurred_at, now + seconds{2});
}

} // namespace
} // namespace binnacle::persistence
