#include "config/base/decimal.hpp"

#include <boost/multiprecision/cpp_int.hpp>
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

// -- against plain integers of any size ----------------------------------------------------------

using integer = boost::multiprecision::cpp_int;

integer ten_to(int n) { return boost::multiprecision::pow(integer{10}, static_cast<unsigned>(n)); }

/// n / d rounded half to even; d > 0.
integer rounded(integer n, const integer& d) {
  auto negative = n < 0;
  if (negative) n = -n;
  integer quotient = n / d, twice = n % d * 2;
  if (twice > d || (twice == d && quotient % 2 != 0)) ++quotient;
  return negative ? integer{-quotient} : quotient;
}

/// units·10^-places with all its places.
std::string text_of(integer units, int places) {
  auto negative = units < 0;
  if (negative) units = -units;
  auto out = units.str();
  auto wanted = static_cast<std::size_t>(places);
  if (out.size() <= wanted) out.insert(0, wanted + 1 - out.size(), '0');
  if (places > 0) out.insert(out.size() - wanted, 1, '.');
  return (negative ? "-" : "") + out;
}
std::string trimmed(std::string text) {
  if (text.find('.') == text.npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// Any number of up to `most` digits, of all lengths alike, and those at the borders of 64 and 128
/// bits and of powers of ten.
rc::Gen<integer> any_integer(int most) {
  auto random = rc::gen::exec([most] {
    auto digits = *rc::gen::inRange(1, most + 1);
    integer out = 0;
    for (int i = 0; i < digits; ++i) out = out * 10 + *rc::gen::inRange(0, 10);
    return out;
  });
  auto border = rc::gen::exec([most] {
    auto near = *rc::gen::element(integer{1} << 63, integer{1} << 64, integer{1} << 127,
                                  ten_to(*rc::gen::inRange(0, 40)), integer{0});
    integer out = near + *rc::gen::inRange(-2, 3);
    return out < ten_to(most) ? out : integer{0};
  });
  return rc::gen::apply([](integer x, bool negative) { return negative ? integer{-x} : x; },
                        rc::gen::oneOf(random, border), rc::gen::arbitrary<bool>());
}

const integer largest = (integer{1} << 127) - 1; // units

TEST(Decimal, ReadsAnyDigitsLikePlainIntegers) {
  EXPECT_TRUE(rc::check([] {
    auto number = *any_integer(45);
    auto places = *rc::gen::inRange(0, 45);
    auto exponent = *rc::gen::element(0, 0, *rc::gen::inRange(-30, 30));
    auto text = text_of(number, places);
    if (exponent != 0) text += "e" + std::to_string(exponent);
    auto shift = 12 - places + exponent;
    auto units = shift >= 0 ? integer{number * ten_to(shift)} : rounded(number, ten_to(-shift));

    auto read = decimal::parse(text);

    RC_ASSERT(read.has_value() == (abs(units) <= largest));
    if (read) RC_ASSERT(read->fixed(12) == text_of(units, 12));
  }));
}

TEST(Decimal, PrintsLikePlainIntegers) {
  EXPECT_TRUE(rc::check([] {
    auto units = *any_integer(39);
    RC_PRE(abs(units) <= largest);
    auto text = text_of(units, 12);
    auto x = d(text.c_str());
    auto places = *rc::gen::inRange(0, 13);
    auto kept = rounded(units, ten_to(12 - places));
    std::string appended = "[";
    x.append_to(appended);

    RC_ASSERT(x.str() == trimmed(text));
    RC_ASSERT(appended == "[" + trimmed(text));
    RC_ASSERT(x.fixed(places) == text_of(kept, places));
    if (abs(kept) * ten_to(12 - places) <= largest)
      RC_ASSERT(x.rounded(places).str() == trimmed(text_of(kept, places)));
  }));
}

TEST(Decimal, MultipliesAndDividesLikePlainIntegers) {
  EXPECT_TRUE(rc::check([] {
    auto a = *any_integer(38), b = *any_integer(38);
    RC_PRE(abs(a) <= largest && abs(b) <= largest);
    auto x = d(text_of(a, 12).c_str()), y = d(text_of(b, 12).c_str());
    auto same = [](auto calculate, const integer& wanted) {
      if (abs(wanted) > largest) {
        RC_ASSERT_THROWS_AS(calculate(), std::overflow_error);
      } else {
        RC_ASSERT(calculate().fixed(12) == text_of(wanted, 12));
      }
    };

    same([&] { return x * y; }, rounded(integer{a * b}, ten_to(12)));
    if (b != 0)
      same([&] { return x / y; },
           rounded(integer{(b < 0 ? -1 : 1) * a * ten_to(12)}, integer{abs(b)}));
  }));
}

} // namespace
