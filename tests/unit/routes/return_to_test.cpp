#include "http/routes/return_to.hpp"

#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

TEST(ReturnTo, IsAPathOfOurOwn) {
  for (const auto* good : {"/", "/a", "/welcome?x=1&y=2#top", "/a//b", "/ü", "/a:b", "/@evil"})
    EXPECT_EQ(sanitize_return_to(good), good);
}

TEST(ReturnTo, IsNoOtherHostInDisguise) {
  for (const auto* bad : {"//evil.example", "/\\evil.example", "\\\\evil.example", "/a\\b",
                          "https://evil.example", "javascript:alert(1)", "evil.example", " /a",
                          "/\t/evil.example", "/\n/evil.example", "/a\r\nSet-Cookie: x=1", ""})
    EXPECT_EQ(sanitize_return_to(bad), "") << bad;
}

TEST(ReturnTo, HasAtMost512Characters) {
  std::string longest = "/" + std::string(511, 'a');

  EXPECT_EQ(sanitize_return_to(longest), longest);
  EXPECT_EQ(sanitize_return_to(longest + "a"), "");
}

TEST(WithParameter, AppendsToTheQuery) {
  EXPECT_EQ(with_parameter("/a", "credits", "1"), "/a?credits=1");
  EXPECT_EQ(with_parameter("/a?", "credits", "1"), "/a?credits=1");
  EXPECT_EQ(with_parameter("/a?x=%20&y", "credits", "1"), "/a?x=%20&y&credits=1");
}

TEST(WithParameter, ReplacesTheOnesOfThatName) {
  EXPECT_EQ(with_parameter("/a?credits=0&x=1&credits", "credits", "1"), "/a?x=1&credits=1");
  EXPECT_EQ(with_parameter("/a?credits2=0", "credits", "1"), "/a?credits2=0&credits=1");
}

TEST(WithParameter, LeavesTheFragmentLast) {
  EXPECT_EQ(with_parameter("/a#b?c", "credits", "1"), "/a?credits=1#b?c");
}

TEST(EscapeTarget, LeavesOnlyWhatALocationMayHold) {
  EXPECT_EQ(escape_target("/a b?x=1&y=%20#z"), "/a%20b?x=1&y=%20#z");
  EXPECT_EQ(escape_target("/ü"), "/%C3%BC");
}

TEST(DashboardOf, EscapesTheWorkspace) {
  EXPECT_EQ(dashboard_of("default"), "/dashboard?ws=default");
  EXPECT_EQ(dashboard_of("a b&billing=x"), "/dashboard?ws=a%20b%26billing%3Dx");
}

} // namespace
} // namespace binnacle::http
