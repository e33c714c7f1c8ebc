#include "config/base/utf8.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

TEST(TextOfOthers, IsValidUtf8WhateverTheySaid) {
  EXPECT_EQ(text_of_others("Zahlung \u00fcber 5 \u20ac \U0001F600", 100),
            "Zahlung \u00fcber 5 \u20ac \U0001F600");
  EXPECT_EQ(text_of_others("Empf\xE4nger", 100), "Empf\uFFFDnger");
  EXPECT_EQ(text_of_others("\xC0\xAF \xED\xA0\x80", 100), "\uFFFD\uFFFD \uFFFD\uFFFD\uFFFD");
}

TEST(TextOfOthers, IsCutBetweenCharacters) {
  EXPECT_EQ(text_of_others("a\u00e4\u00e4", 4), "a\u00e4");
  EXPECT_EQ(text_of_others("a\u00e4\u00e4", 5), "a\u00e4\u00e4");
  EXPECT_EQ(text_of_others("\U0001F600", 3), "");
  EXPECT_EQ(text_of_others("ab\xE4", 3), "ab");
}

TEST(TextOfOthers, IsOneLineWithoutControlCharacters) {
  using namespace std::string_view_literals;
  EXPECT_EQ(text_of_others("\r\n451 try\r\n\r\nlater\0\x7F now\u0085\r\n"sv, 100),
            "451 try later  now");
  EXPECT_EQ(text_of_others("ab\ncd", 2), "ab");
  EXPECT_EQ(text_of_others("ab\ncd", 3), "ab");
  EXPECT_EQ(text_of_others("ab\ncd", 4), "ab c");
  EXPECT_EQ(text_of_others("\0"sv, 100), "");
}

} // namespace
} // namespace binnacle
