#include "integrations/passwords.hpp"

#include "config/base/metrics.hpp"

#include <gtest/gtest.h>
#include <sodium.h>

namespace binnacle::integrations {
namespace {

bool matches(const std::string& password, const std::string& hash) {
  return check_password(secret{password}, hash).matches;
}

TEST(Passwords, MatchesWhatItHashedAndNothingElse) {
  auto hash = hash_password(secret{"correct horse"});

  EXPECT_TRUE(hash.starts_with("$argon2id$"));
  auto check = check_password(secret{"correct horse"}, hash);
  EXPECT_TRUE(check.matches);
  EXPECT_FALSE(check.outdated);
  EXPECT_FALSE(matches("correct horsf", hash));
  EXPECT_FALSE(matches("", hash));
  EXPECT_NE(hash, hash_password(secret{"correct horse"})) << "salted";
}

/// Known answers of crypt_blowfish (Openwall), wrapper.c.
TEST(Passwords, MatchesImportedBcryptHashesAndAsksForANewHash) {
  struct row {
    const char* password;
    const char* hash;
  };
  for (const auto& [password, hash] :
       {row{"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
        row{"U*U*", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
        row{"U*U*U", "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
        row{"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"}}) {
    auto check = check_password(secret{password}, hash);
    EXPECT_TRUE(check.matches) << hash;
    EXPECT_TRUE(check.outdated) << hash;
    EXPECT_FALSE(check_password(secret{std::string{password} + "x"}, hash).matches) << hash;
  }
}

TEST(Passwords, DoesNotTakeThePartBeforeANulForThePassword) {
  std::string with_nul{"U*U\0rest", 8};
  EXPECT_FALSE(matches(with_nul, "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));

  auto hash = hash_password(secret{with_nul});
  EXPECT_TRUE(matches(with_nul, hash));
  EXPECT_FALSE(matches("U*U", hash));
}

TEST(Passwords, NeverMatchesWithoutAHash) {
  EXPECT_FALSE(matches("", ""));
  EXPECT_FALSE(matches("anything", ""));
}

TEST(Passwords, NeverMatchesAHashItDoesNotKnow) {
  for (auto hash :
       {"plain", "$1$abc$def", "*", "*0", "$2b$05$short", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.",
        "$argon2id$v=19$broken", "$2b$31$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "$2b$0x$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"})
    EXPECT_FALSE(matches("plain", hash)) << hash;
}

TEST(Passwords, CostOneHashWhetherThereIsOneToCompareOrNot) {
  auto& computed =
      metrics::counter("binnacle_password_hashes_total", "", {{"algorithm", "argon2id"}});
  auto real = hash_password(secret{"real"});
  matches("warm", "");
  for (const auto& hash : {real, std::string{}, std::string{"plain"}, std::string{"$1$abc$def"}}) {
    auto before = computed.Value();
    EXPECT_FALSE(matches("other", hash));
    EXPECT_EQ(computed.Value() - before, 1) << hash;
  }
}

TEST(Passwords, AsksForANewHashWhenTheCostHasChanged) {
  char weak[crypto_pwhash_STRBYTES];
  ASSERT_EQ(crypto_pwhash_str(weak, "x", 1, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN),
            0);
  auto check = check_password(secret{"x"}, weak);
  EXPECT_TRUE(check.matches);
  EXPECT_TRUE(check.outdated);
}

} // namespace
} // namespace binnacle::integrations
