#include "config/brazil.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace {

using namespace binnacle::brazil;

/// Nine digits that are not all the same.
rc::Gen<std::string> cpf_base() {
  auto digits =
      rc::gen::container<std::string>(9, rc::gen::inRange('0', static_cast<char>('9' + 1)));
  return rc::gen::suchThat(
      digits, [](const std::string& d) { return d.find_first_not_of(d[0]) != d.npos; });
}

/// Written a second time, by the definition: the weighted sum with the digit is a multiple of 11,
/// or the digit is a 0 because it would be a 10.
std::string with_check_digits(std::string digits) {
  for (auto round = 0; round < 2; ++round) {
    auto sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i)
      sum += (digits[i] - '0') * static_cast<int>(digits.size() + 1 - i);
    auto digit = 0;
    while (digit < 10 && (sum + digit) % 11 != 0) ++digit;
    digits.push_back(static_cast<char>('0' + digit % 10));
  }
  return digits;
}

std::string written(const std::string& cpf) {
  return cpf.substr(0, 3) + "." + cpf.substr(3, 3) + "." + cpf.substr(6, 3) + "-" + cpf.substr(9);
}

TEST(Cpf, IsReadWithAndWithoutPunctuation) {
  EXPECT_EQ(cpf_of("123.456.789-09"), "12345678909");
  EXPECT_EQ(cpf_of("12345678909"), "12345678909");
  EXPECT_EQ(cpf_of("529.982.247-25"), "52998224725");
  EXPECT_EQ(cpf_of("000.000.001-91"), "00000000191");
}

TEST(Cpf, IsRefusedWithWrongCheckDigitsOrForm) {
  for (auto* text : {"123.456.789-00", "123.456.789-90", "111.111.111-11", "00000000000",
                     "1234567890", "123456789090", "", "123.456.78909", "123-456-789-09",
                     " 12345678909", "1234567890x", "１２３４５６７８９０９"})
    EXPECT_FALSE(cpf_of(text)) << text;
}

TEST(Cpf, OfAnyNineDigitsHasOnePairOfCheckDigits) {
  EXPECT_TRUE(rc::check([] {
    auto base = *cpf_base();
    auto cpf = with_check_digits(base);
    RC_ASSERT(cpf_of(cpf) == cpf);
    RC_ASSERT(cpf_of(written(cpf)) == cpf);
    auto valid = 0;
    for (auto n = 0; n < 100; ++n) {
      auto pair = std::string{static_cast<char>('0' + n / 10), static_cast<char>('0' + n % 10)};
      valid += cpf_of(base + pair).has_value();
    }
    RC_ASSERT(valid == 1);
  }));
}

TEST(Cpf, WithOneDigitMistypedIsRefused) {
  EXPECT_TRUE(rc::check([] {
    auto cpf = with_check_digits(*cpf_base());
    auto at = *rc::gen::inRange<std::size_t>(0, 9);
    auto other = *rc::gen::inRange('0', static_cast<char>('9' + 1));
    RC_PRE(other != cpf[at]);
    auto mistyped = cpf;
    mistyped[at] = other;
    // The two rests that become a 0 are taken for each other, and only they.
    if (cpf_of(mistyped)) RC_ASSERT(cpf[9] == '0' || cpf[10] == '0');
  }));
}

TEST(Phone, IsReadHoweverItIsWritten) {
  for (auto* text : {"5533999898026", "33999898026", "+55 33 99989-8026", "(33) 99989-8026",
                     "+55 (33) 99989.8026"})
    EXPECT_EQ(phone_of(text), "5533999898026") << text;
  EXPECT_EQ(phone_of("(33) 3321-1234"), "553333211234");
  // Area code 55, without the country's.
  EXPECT_EQ(phone_of("55999123456"), "5555999123456");
  EXPECT_EQ(phone_of("5532211234"), "555532211234");
}

TEST(Phone, IsRefusedWhenItIsNone) {
  for (auto* text : {"", "999898026", "33899898026", "03999898026", "30999898026", "55339998980261",
                     "+1 33 99989-8026", "33 99989-802x", "+33999898026"})
    EXPECT_FALSE(phone_of(text)) << text;
}

TEST(Phone, InItsCanonicalFormStaysAsItIs) {
  EXPECT_TRUE(rc::check([] {
    auto area = std::to_string(*rc::gen::inRange(1, 10)) + std::to_string(*rc::gen::inRange(1, 10));
    auto number = std::to_string(*rc::gen::inRange(10'000'000, 100'000'000));
    if (*rc::gen::arbitrary<bool>()) number.insert(0, "9");
    auto canonical = phone_of(area + number);
    RC_ASSERT(canonical == "55" + area + number);
    RC_ASSERT(phone_of(*canonical) == canonical);
    RC_ASSERT(phone_of("+" + *canonical) == canonical);
  }));
}

TEST(PostalCode, HasEightDigits) {
  EXPECT_EQ(postal_code_of("35300-000"), "35300-000");
  EXPECT_EQ(postal_code_of("35300000"), "35300-000");
  for (auto* text : {"", "3530000", "353000000", "35300 000", "3530-0000", "35300-00a"})
    EXPECT_FALSE(postal_code_of(text)) << text;
}

TEST(State, IsOneOfTwentySeven) {
  EXPECT_TRUE(is_state("MG"));
  EXPECT_TRUE(is_state("DF"));
  for (auto* text : {"", "mg", "XX", "Minas Gerais", "M"}) EXPECT_FALSE(is_state(text)) << text;
}

} // namespace
