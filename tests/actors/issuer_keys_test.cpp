#include "actors/issuer_keys.hpp"

#include "actors/subject_cache.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

using outlook = issuer_keys::outlook;

/// A JWKS with one P-256 key (RFC 7517, appendix A.1).
std::shared_ptr<const integrations::key_set> one_key(const std::string& kid) {
  auto parsed = integrations::key_set::parse(
      R"({"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":")" + kid +
      R"(","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",)"
      R"("y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]})");
  return parsed ? *parsed : nullptr;
}

class issuer_keys_test : public testing::Test {
protected:
  issuer_keys keys{};
  time_point now = from_unix(1'700'000'000);

  outlook look(const std::string& kid = "a") { return keys.look_for(kid, now).what; }
  bool fetches(const std::string& kid = "a") { return keys.look_for(kid, now).fetch; }
  void fetched(const std::string& kid = "a") { keys.end_fetch(one_key(kid), hours{1}, now); }
  void failed() { keys.end_fetch(nullptr, seconds{0}, now); }
};

TEST_F(issuer_keys_test, TheFirstTokenMakesOneFetchAndWaitsForIt) {
  auto first = keys.look_for("a", now);
  EXPECT_TRUE(first.fetch);
  EXPECT_EQ(first.what, outlook::coming);
  EXPECT_FALSE(fetches());
  EXPECT_EQ(look(), outlook::coming);

  fetched();

  EXPECT_EQ(look(), outlook::known);
  EXPECT_FALSE(fetches());
}

TEST_F(issuer_keys_test, StaleKeysAreGoodWhileFresherOnesAreFetched) {
  look();
  fetched();
  now += hours{2};

  auto advice = keys.look_for("a", now);

  EXPECT_TRUE(advice.fetch);
  EXPECT_EQ(advice.what, outlook::known);
  EXPECT_EQ(look(), outlook::known);
  EXPECT_FALSE(fetches()); // one at a time
}

TEST_F(issuer_keys_test, StaleKeysAreGoodForADay) {
  look();
  fetched();
  now += hours{25} - seconds{1};
  EXPECT_EQ(look(), outlook::known);
  failed();
  now += seconds{1};

  EXPECT_EQ(look(), outlook::coming);
  failed();
  EXPECT_EQ(look(), outlook::unavailable);
}

TEST_F(issuer_keys_test, AfterFailuresThePauseDoublesUpToHalfAMinute) {
  std::vector<int> pauses;
  ASSERT_TRUE(fetches());
  for (int i = 0; i < 7; ++i) {
    failed();
    EXPECT_EQ(look(), outlook::unavailable);
    int pause = 0;
    while (look() == outlook::unavailable) now += seconds{1}, ++pause;
    pauses.push_back(pause);
  }
  EXPECT_EQ(pauses, (std::vector{1, 2, 4, 8, 16, 30, 30}));

  fetched();
  now += hours{2};
  ASSERT_TRUE(fetches());
  failed();
  now += seconds{1};
  EXPECT_TRUE(fetches()); // from the beginning
}

TEST_F(issuer_keys_test, AnUnknownKeyMakesAFetchEveryThirtySecondsAtMost) {
  look();
  fetched();
  EXPECT_TRUE(fetches("b"));
  EXPECT_EQ(look("b"), outlook::coming);
  EXPECT_EQ(look("a"), outlook::known);
  fetched();

  EXPECT_EQ(look("b"), outlook::unknown);
  EXPECT_FALSE(fetches("c"));
  now += seconds{29};
  EXPECT_FALSE(fetches("b"));
  now += seconds{1};
  EXPECT_TRUE(fetches("b"));
  fetched("b");
  EXPECT_EQ(look("b"), outlook::known);
}

TEST(subject_cache_test, ForgetsAllSubjectsOfAUser) {
  subject_cache cache{10};
  cache.remember("i\n1", user_id{"usr_1"});
  cache.remember("i\n2", user_id{"usr_1"});
  cache.remember("i\n3", user_id{"usr_2"});

  cache.forget(user_id{"usr_1"});

  EXPECT_EQ(cache.find("i\n1"), nullptr);
  EXPECT_EQ(cache.find("i\n2"), nullptr);
  ASSERT_NE(cache.find("i\n3"), nullptr);
  EXPECT_EQ(*cache.find("i\n3"), user_id{"usr_2"});
}

TEST(subject_cache_test, StartsAnewWhenFull) {
  subject_cache cache{2};
  for (auto* subject : {"1", "2", "3"}) cache.remember(subject, user_id{"usr_1"});

  EXPECT_EQ(cache.find("1"), nullptr);
  EXPECT_NE(cache.find("3"), nullptr);
}

} // namespace
} // namespace binnacle
