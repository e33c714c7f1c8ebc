#include "config/catalogue.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

TEST(Catalogue, KnowsThePricesOfPlansAndPacks) {
  stripe_settings s;
  s.pricing_table = R"({"pro":"price_pro_m","premium":"price_premium_m"})";
  s.pricing_table_annual = R"({"pro":"price_pro_y"})";
  s.credits_pricing_table = R"({"100":"price_100"})";
  std::vector<std::string> problems;

  auto c = catalogue_of(s, &problems);

  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(c.monthly.at("premium"), "price_premium_m");
  EXPECT_EQ(c.credits.at("100"), "price_100");
  EXPECT_EQ(c.plan_of("price_pro_m"), "pro");
  EXPECT_EQ(c.plan_of("price_pro_y"), "pro");
  EXPECT_EQ(c.plan_of("price_100"), "");
}

TEST(Catalogue, TakesATableThatCannotBeReadAsEmptyAndSaysSo) {
  for (auto* text : {"{", "[]", "7", R"({"100":5})"}) {
    stripe_settings s;
    s.credits_pricing_table = text;
    std::vector<std::string> problems;

    auto c = catalogue_of(s, &problems);

    EXPECT_TRUE(c.credits.empty()) << text;
    ASSERT_EQ(problems.size(), 1u) << text;
    EXPECT_NE(problems[0].find("stripe.credits_pricing_table"), std::string::npos);
  }
  std::vector<std::string> problems;
  catalogue_of({}, &problems);
  EXPECT_TRUE(problems.empty());
}

} // namespace
} // namespace binnacle
