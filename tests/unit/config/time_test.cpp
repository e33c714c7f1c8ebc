#include "config/base/time.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace {

using namespace binnacle;

TEST(Time, PrintsEachFormat) {
  auto t = *parse_iso("2025-02-07T03:10:02.123Z");
  EXPECT_EQ(format_iso_ms(t), "2025-02-07T03:10:02.123Z");
  EXPECT_EQ(format_iso_s(t), "2025-02-07T03:10:02Z");
  EXPECT_EQ(format_date(t), "2025-02-07");
  EXPECT_EQ(format_month(t), "2025-02");
  EXPECT_EQ(format_http(t), "Fri, 07 Feb 2025 03:10:02 GMT");
}

TEST(Time, UnderstandsOffsets) {
  EXPECT_EQ(parse_iso("2025-02-07T03:10:02+02:00"), parse_iso("2025-02-07T01:10:02Z"));
  EXPECT_EQ(parse_iso("2025-02-06T23:40:02-01:30"), parse_iso("2025-02-07T01:10:02Z"));
}

TEST(Time, RefusesWhatIsNoTime) {
  for (auto* text : {"", "2025-02-07", "2025-02-30T00:00:00Z", "2025-02-07T24:00:00Z",
                     "2025-02-07T03:10:02", "2025-02-07T03:10:02.Z", "2025-02-07T03:10:02Zx",
                     "9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"})
    EXPECT_FALSE(parse_iso(text)) << text;
  EXPECT_FALSE(parse_date("2025-02-29"));
  EXPECT_FALSE(parse_month("2025-13"));
}

TEST(Time, KnowsWhereMonthsBeginAndEnd) {
  auto t = *parse_iso("2024-12-31T23:59:59Z");
  EXPECT_EQ(format_iso_s(start_of_month(t)), "2024-12-01T00:00:00Z");
  EXPECT_EQ(format_iso_s(start_of_next_month(t)), "2025-01-01T00:00:00Z");
  EXPECT_EQ(format_iso_s(start_of_hour(t)), "2024-12-31T23:00:00Z");
}

TEST(Time, ReadsBackWhatItPrints) {
  EXPECT_TRUE(rc::check([] {
    auto ms = *rc::gen::inRange<std::int64_t>(0, 7'258'118'399'999);
    auto t = time_point{milliseconds{ms}};
    RC_ASSERT(parse_iso(format_iso_ms(t)) == t);
  }));
}

} // namespace
