#include "config/base/decimal.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace {

using binnacle::decimal;

decimal d(const char* text) { return *decimal::parse(text); }

TEST(Decimal, ReadsAndPrintsPlainDigits) {
  EXPECT_EQ(d("42.75").str(), "42.75");
  EXPECT_EQ(d("-0.000001").str(), "-0.000001");
  EXPECT_EQ(d("1.5e-05").str(), "0.000015");
  EXPECT_EQ(d("12E3").str(), "12000");
  EXPECT_EQ(d("-0").str(), "0");
  EXPECT_EQ(d(".5").str(), "0.5");
}

TEST(Decimal, RefusesWhatIsNoNumber) {
  for (auto* text : {"", "-", ".", "1.", "1e", "1e+", "0x10", "NaN", "inf", "1 ", "1,5", "--1",
                     "1e1001", "1000000000000000000000000000000"})
    EXPECT_FALSE(decimal::parse(text)) << text;
}

TEST(Decimal, RoundsHalfToEvenAtTheTwelfthDecimal) {
  EXPECT_EQ(d("0.0000000000005").str(), "0");
  EXPECT_EQ(d("0.0000000000015").str(), "0.000000000002");
  EXPECT_EQ(d("0.00000000000050000000000000000000000000000000000001").str(), "0.000000000001");
}

TEST(Decimal, PrintsAFixedNumberOfPlaces) {
  EXPECT_EQ(d("120.5").fixed(2), "120.50");
  EXPECT_EQ(d("0.005").fixed(2), "0.00");
  EXPECT_EQ(d("0.015").fixed(2), "0.02");
  EXPECT_EQ(d("-0.001").fixed(2), "0.00");
  EXPECT_EQ(d("7").fixed(0), "7");
}

TEST(Decimal, ThrowsRatherThanWrapping) {
  auto large = d("100000000000000000000000000");
  EXPECT_THROW(large + large, std::overflow_error);
  EXPECT_THROW(large * large, std::overflow_error);
  EXPECT_THROW(large / decimal{}, std::domain_error);
}

TEST(Decimal, TakesADoubleAsItsShortestText) {
  EXPECT_EQ(decimal::from_double(0.1)->str(), "0.1");
  EXPECT_EQ(decimal::from_double(8589934592.12345)->str(), "8589934592.12345");
  EXPECT_FALSE(decimal::from_double(std::numeric_limits<double>::quiet_NaN()));
}

TEST(Decimal, ReadsBackWhatItPrints) {
  EXPECT_TRUE(rc::check([](std::int64_t whole, std::int64_t part) {
    auto x = decimal{whole} + d("0.000000000001") * decimal{part % 1'000'000'000'000};
    RC_ASSERT(decimal::parse(x.str()) == x);
  }));
}

TEST(Decimal, AddsLikeIntegers) {
  EXPECT_TRUE(rc::check([](std::int64_t a, std::int64_t b, std::int64_t c) {
    auto x = decimal{a / 4}, y = decimal{b / 4}, z = decimal{c / 4};
    RC_ASSERT((x + y) + z == x + (y + z));
    RC_ASSERT(x - x == decimal{});
    RC_ASSERT(x + y - y == x);
  }));
}

TEST(Decimal, DividesWithinHalfAUnit) {
  EXPECT_TRUE(rc::check([](std::int32_t a, std::int32_t b) {
    RC_PRE(b != 0);
    auto quotient = decimal{a} / decimal{b};
    auto rest = decimal{a} - quotient * decimal{b};
    auto bound = d("0.000000000001") * decimal{std::abs(static_cast<std::int64_t>(b))};
    RC_ASSERT(rest <= bound);
    RC_ASSERT(-rest <= bound);
  }));
}

} // namespace
