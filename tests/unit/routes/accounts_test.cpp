#include "actors/accounts.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

TEST(Accounts, NamesHaveThreeToFiftyPlainCharacters) {
  EXPECT_TRUE(is_username("ada"));
  EXPECT_TRUE(is_username("Ada_Lovelace-1815"));
  EXPECT_TRUE(is_username(std::string(50, 'x')));
  EXPECT_FALSE(is_username("ab"));
  EXPECT_FALSE(is_username(std::string(51, 'x')));
  EXPECT_FALSE(is_username("ada lovelace"));
  EXPECT_FALSE(is_username("ädä"));
  EXPECT_FALSE(is_username(""));
}

TEST(Accounts, PasswordsHaveEightToSeventyTwoBytes) {
  EXPECT_FALSE(is_password(secret{"1234567"}));
  EXPECT_TRUE(is_password(secret{"12345678"}));
  EXPECT_TRUE(is_password(secret{std::string(72, 'x')}));
  EXPECT_FALSE(is_password(secret{std::string(73, 'x')}));
}

TEST(Accounts, SayWhichFieldIsWrong) {
  password_login wanted{"a", secret{"12345678"}, {}};
  ASSERT_TRUE(check_new_account(wanted));
  EXPECT_EQ(check_new_account(wanted)->field, "username");

  wanted = {"ada", secret{"short"}, {}};
  ASSERT_TRUE(check_new_account(wanted));
  EXPECT_EQ(check_new_account(wanted)->field, "password");
  EXPECT_EQ(check_new_account(wanted)->text.find("short"), std::string::npos);

  wanted = {"ada", secret{"long enough"}, {}};
  EXPECT_FALSE(check_new_account(wanted));
}

} // namespace
} // namespace binnacle
