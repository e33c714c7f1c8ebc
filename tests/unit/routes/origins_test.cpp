#include "http/routes/developer/origins.hpp"

#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

TEST(OriginPattern, IsKeptAsBrowsersWriteOrigins) {
  EXPECT_EQ(origin_pattern("*"), "*");
  EXPECT_EQ(origin_pattern("HTTPS://App.Example.com/"), "https://app.example.com");
  EXPECT_EQ(origin_pattern("https://app.example.com:443"), "https://app.example.com");
  EXPECT_EQ(origin_pattern("http://localhost:5173"), "http://localhost:5173");
  EXPECT_EQ(origin_pattern("http://[::1]:3000"), "http://[::1]:3000");
  EXPECT_EQ(origin_pattern("capacitor://localhost"), "capacitor://localhost");
  EXPECT_EQ(origin_pattern("*.Example.com"), "*.example.com");
  EXPECT_EQ(origin_pattern("https://*.example.com"), "https://*.example.com");
}

TEST(OriginPattern, IsNothingElse) {
  for (auto text : {"", "null", "example.com", "https://", "https://a b", "https://user@a.example",
                    "https://a.example/path", "**", "*.", "https://a.example:port",
                    "https://a..example", "javascript:alert(1)", "https://a.example:123456",
                    "*.*.example.com", "https://a.example?x"})
    EXPECT_FALSE(origin_pattern(text)) << text;
  EXPECT_FALSE(origin_pattern("https://" + std::string(300, 'a')));
}

TEST(Origins, FitExactlyOrBelowAHostOrAll) {
  std::vector<std::string> some{"https://app.example.com", "*.b.example", "https://*.c.example"};

  for (auto origin : {"https://app.example.com", "https://x.b.example", "http://y.x.b.example",
                      "https://x.c.example"})
    EXPECT_TRUE(fits_origin(some, origin)) << origin;
  for (auto origin :
       {"http://app.example.com", "https://app.example.com:8443", "https://example.com",
        "https://b.example", "https://evilb.example", "http://x.c.example",
        "https://x.b.example.evil.com", "https://app.example.com.evil.com"})
    EXPECT_FALSE(fits_origin(some, origin)) << origin;
  EXPECT_TRUE(fits_origin({"*"}, "https://anything.example"));
  EXPECT_TRUE(fits_origin({}, "https://anything.example"));
}

} // namespace
} // namespace binnacle::http
