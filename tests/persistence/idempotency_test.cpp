#include "persistence/idempotency.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <atomic>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;
using enum idempotency_state;

const auto noon = *parse_iso("2025-03-01T12:00:00Z");

class IdempotencyKeys : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  /// An attempt at noon with a lease of one minute.
  static idempotency_claim attempt(std::string holder, std::string fingerprint = "a request",
                                   time_point now = noon) {
    idempotency_claim out;
    out.scope = "user:usr_1";
    out.key = "k";
    out.fingerprint = std::move(fingerprint);
    out.holder = std::move(holder);
    out.lease_until = now + 1min;
    out.expires_at = now + 24h;
    return out;
  }
  idempotency_verdict claim(const idempotency_claim& c, time_point now = noon) {
    return must(writing(db, [&](transaction& tx) { return claim_idempotency_key(tx, c, now); }));
  }
  void keep(const idempotency_claim& c, const std::string& answer) {
    must(writing(db, [&](transaction& tx) { return keep_idempotent_answer(tx, c, answer); }));
  }
  void release(const idempotency_claim& c) {
    must(writing(db, [&](transaction& tx) { return release_idempotency_key(tx, c); }));
  }
};

TEST_F(IdempotencyKeys, AreClaimedByOneAndRunningForTheOthers) {
  EXPECT_EQ(claim(attempt("one")).state, claimed);

  EXPECT_EQ(claim(attempt("two")).state, running);
}

TEST_F(IdempotencyKeys, GiveTheKeptAnswerToWhoComesLater) {
  claim(attempt("one"));
  keep(attempt("one"), "an answer");

  auto later = claim(attempt("two"), noon + 23h);
  EXPECT_EQ(later.state, answered);
  EXPECT_EQ(later.answer, "an answer");
}

TEST_F(IdempotencyKeys, BelongToOneRequest) {
  claim(attempt("one"));
  EXPECT_EQ(claim(attempt("two", "another request")).state, mismatched);
  EXPECT_EQ(claim(attempt("two", "another request"), noon + 2min).state, mismatched)
      << "the end of a lease frees a key for the same request only";

  keep(attempt("one"), "an answer");
  EXPECT_EQ(claim(attempt("two", std::string{"\0\xff", 2})).state, mismatched);
}

TEST_F(IdempotencyKeys, OfTwoScopesDoNotMeet) {
  claim(attempt("one"));

  auto other = attempt("two", "another request");
  other.scope = "user:usr_2";
  EXPECT_EQ(claim(other).state, claimed);
}

TEST_F(IdempotencyKeys, OfADeadHolderAreTakenOverWhenTheLeaseEnds) {
  claim(attempt("one"));
  EXPECT_EQ(claim(attempt("two"), noon + 59s).state, running);
  EXPECT_EQ(claim(attempt("two", "a request", noon + 1min), noon + 1min).state, claimed);

  keep(attempt("one"), "too late");
  release(attempt("one"));
  EXPECT_EQ(claim(attempt("three"), noon + 90s).state, running);
  keep(attempt("two"), "an answer");
  EXPECT_EQ(claim(attempt("three"), noon + 1h).answer, "an answer");
}

TEST_F(IdempotencyKeys, ThatAreReleasedAreClaimedAnew) {
  claim(attempt("one"));
  release(attempt("one"));

  EXPECT_EQ(claim(attempt("two", "another request")).state, claimed);
}

TEST_F(IdempotencyKeys, AreNotReleasedOnceTheyAreAnswered) {
  claim(attempt("one"));
  keep(attempt("one"), "an answer");

  release(attempt("one"));

  EXPECT_EQ(claim(attempt("two")).answer, "an answer");
}

TEST_F(IdempotencyKeys, AreForgottenAfter24Hours) {
  claim(attempt("one"));
  keep(attempt("one"), "an answer");

  EXPECT_EQ(claim(attempt("two"), noon + 24h - 1ms).state, answered);
  EXPECT_EQ(claim(attempt("two", "another request", noon + 24h), noon + 24h).state, claimed);
}

TEST_F(IdempotencyKeys, AreSweptWhenTheyHaveExpired) {
  auto sweep = [&](time_point now) {
    return must(
        writing(db, [&](transaction& tx) { return delete_expired_idempotency_keys(tx, now); }));
  };
  claim(attempt("one"));

  EXPECT_EQ(sweep(noon + 24h - 1ms), 0);
  EXPECT_EQ(sweep(noon + 24h), 1);
}

TEST_F(IdempotencyKeys, AreLimitedPerScope) {
  claim(attempt("one"));
  auto second = attempt("two", "a request", noon + 1h);
  second.key = "second";
  second.most = 2;
  claim(second, noon + 1h);

  auto next = attempt("three");
  next.key = "one too many";
  next.most = 2;
  auto said = claim(next, noon + 2h);
  EXPECT_EQ(said.state, crowded);
  EXPECT_EQ(said.room_at, noon + 24h) << "when the first of them expires";
  EXPECT_EQ(claim(next, said.room_at - 1ms).state, crowded);
  EXPECT_EQ(claim(next, said.room_at).state, claimed) << "waiting so long is enough";
  // A key that is there takes no room: not when its first holder has died, either.
  EXPECT_EQ(claim(attempt("two")).state, running);
  EXPECT_EQ(claim(attempt("two", "a request", noon + 2min), noon + 2min).state, claimed);
  EXPECT_EQ(claim(attempt("two")).state, running) << "those it has are as good as ever";
  next.scope = "user:usr_2";
  EXPECT_EQ(claim(next).state, claimed);
}

TEST_F(IdempotencyKeys, AreClaimedByOneOfManyRacingNodes) {
  std::atomic<int> winners{0};

  std::vector<std::thread> nodes;
  for (int i = 0; i < 6; ++i)
    nodes.emplace_back([&, i] {
      auto own = where.connect();
      auto mine = attempt(std::to_string(i));
      auto verdict = must(
          writing(own, [&](transaction& tx) { return claim_idempotency_key(tx, mine, noon); }));
      if (verdict.state == claimed) ++winners;
    });
  for (auto& node : nodes) node.join();

  EXPECT_EQ(winners, 1);
}

} // namespace
} // namespace binnacle::persistence
