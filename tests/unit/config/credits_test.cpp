#include "config/credits.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

std::string expiry_of(const char* created) {
  return format_iso_ms(pack_expiry(*parse_iso(created)));
}

TEST(Credits, AreShownWithATenthOnlyWhereThereIsOne) {
  EXPECT_EQ(format_credits(0), "0");
  EXPECT_EQ(format_credits(7), "0.7");
  EXPECT_EQ(format_credits(120), "12");
  EXPECT_EQ(format_credits(15'001), "1500.1");
}

TEST(APack, LastsSixCalendarMonthsAndFourteenDays) {
  EXPECT_EQ(expiry_of("2025-01-10T08:09:10.123Z"), "2025-07-24T08:09:10.123Z");
  EXPECT_EQ(expiry_of("2025-07-01T00:00:00Z"), "2026-01-15T00:00:00.000Z");
}

TEST(APack, CountsTheFourteenDaysFromTheLastDayOfAShorterMonth) {
  EXPECT_EQ(expiry_of("2025-03-31T12:00:00Z"), "2025-10-14T12:00:00.000Z"); // 30 September
  EXPECT_EQ(expiry_of("2025-08-31T12:00:00Z"), "2026-03-14T12:00:00.000Z"); // 28 February
  EXPECT_EQ(expiry_of("2025-08-29T12:00:00Z"), "2026-03-14T12:00:00.000Z");
  EXPECT_EQ(expiry_of("2025-08-28T12:00:00Z"), "2026-03-14T12:00:00.000Z");
  EXPECT_EQ(expiry_of("2025-12-31T23:59:59Z"), "2026-07-14T23:59:59.000Z"); // 30 June
}

TEST(APack, KnowsLeapYears) {
  EXPECT_EQ(expiry_of("2023-08-31T12:00:00Z"), "2024-03-14T12:00:00.000Z"); // 29 February
  EXPECT_EQ(expiry_of("2023-08-28T12:00:00Z"), "2024-03-13T12:00:00.000Z"); // 28 February
  EXPECT_EQ(expiry_of("2099-08-31T12:00:00Z"), "2100-03-14T12:00:00.000Z"); // 2100 has no 29th
  EXPECT_EQ(expiry_of("2024-02-29T12:00:00Z"), "2024-09-12T12:00:00.000Z");
}

} // namespace
} // namespace binnacle
