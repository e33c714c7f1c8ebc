#include "actors/collection_plan.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

time_point at(const char* text) { return *parse_iso(text); }
std::int64_t unix_at(const char* text) { return unix_seconds(at(text)); }

const time_point now = at("2026-03-10T12:20:30Z");

result<collection_range> plan(const char* from, const char* to) {
  return plan_collection({.from = unix_at(from), .to = unix_at(to)}, now, 72);
}

TEST(collection_plan_test, WithoutARangeLooksBackAndIncludesThePresentHour) {
  auto range = plan_collection({}, now, 72);

  ASSERT_TRUE(range);
  EXPECT_EQ(range->from, at("2026-03-07T12:00:00Z"));
  EXPECT_EQ(range->to, at("2026-03-10T12:00:00Z"));
  EXPECT_TRUE(range->present_hour);
}

TEST(collection_plan_test, AnHourThatHasJustBegunIsNotAskedFor) {
  auto range = plan_collection({}, at("2026-03-10T12:00:00.900Z"), 72);
  EXPECT_FALSE(range->present_hour);
}

TEST(collection_plan_test, TakesWholeHoursOfThePast) {
  auto range = plan("2026-03-01T00:00:00Z", "2026-03-10T12:00:00Z");

  ASSERT_TRUE(range);
  EXPECT_EQ(range->to - range->from, hours{9 * 24 + 12});
  EXPECT_FALSE(range->present_hour);
}

TEST(collection_plan_test, RefusesEverythingElse) {
  EXPECT_EQ(plan("2026-03-01T00:30:00Z", "2026-03-01T02:00:00Z").error().field, "from");
  EXPECT_EQ(plan("2026-03-01T00:00:00Z", "2026-03-01T02:00:01Z").error().field, "to");
  EXPECT_EQ(plan("2026-03-01T02:00:00Z", "2026-03-01T02:00:00Z").error().field, "to");
  EXPECT_EQ(plan("2026-03-01T02:00:00Z", "2026-03-01T01:00:00Z").error().field, "to");
  EXPECT_EQ(plan("2026-03-10T11:00:00Z", "2026-03-10T13:00:00Z").error().field, "to");
  EXPECT_EQ(plan("2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z").error().field, "to");
  EXPECT_EQ(plan("2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z").error().field, "from");
  EXPECT_EQ(plan("2026-03-10T11:00:00Z", "2026-03-10T13:00:00Z").error().code, errc::bad_request);
}

TEST(collection_plan_test, ListsHoursNewestFirst) {
  auto list = hours_newest_first(at("2026-03-01T22:00:00Z"), at("2026-03-02T01:00:00Z"));

  EXPECT_EQ(list, (std::vector{at("2026-03-02T00:00:00Z"), at("2026-03-01T23:00:00Z"),
                               at("2026-03-01T22:00:00Z")}));
  EXPECT_TRUE(hours_newest_first(now, now).empty());
}

TEST(collection_plan_test, AWindowIsAnHourOrWhatThereIsOfIt) {
  auto whole = window_of(at("2026-03-10T11:00:00Z"), now);
  EXPECT_TRUE(whole.whole());
  EXPECT_EQ(whole.to, at("2026-03-10T12:00:00Z"));

  auto part = window_of(at("2026-03-10T12:00:00Z"), now + milliseconds{700});
  EXPECT_FALSE(part.whole());
  EXPECT_EQ(part.to, now);
}

TEST(collection_plan_test, AGigabyteHas2To30Bytes) {
  integrations::allocation a{.name_space = "analytics"};
  a.cpu_core_hours = decimal::parse("1.5");
  a.ram_byte_hours = decimal{std::int64_t{3} << 29};
  a.pv_byte_hours = decimal{std::int64_t{1} << 40};

  auto row = to_hour_row(a);

  EXPECT_EQ(row.name_space, "analytics");
  EXPECT_EQ(row.cpu_hours, decimal::parse("1.5"));
  EXPECT_EQ(row.gpu_hours, std::nullopt);
  EXPECT_EQ(row.ram_gb_hours, decimal::parse("1.5"));
  EXPECT_EQ(row.online_gb_hours, decimal{1'024});
  EXPECT_EQ(row.offline_gb_hours, std::nullopt);
}

TEST(collection_plan_test, AnHourWithAGapIsNotComplete) {
  auto zero = decimal{};
  integrations::allocation known{.name_space = "a",
                                 .cpu_core_hours = zero,
                                 .gpu_hours = zero,
                                 .ram_byte_hours = zero,
                                 .pv_byte_hours = zero};
  auto gap = known;
  gap.gpu_hours.reset();
  auto hour = window_of(at("2026-03-10T11:00:00Z"), now);

  EXPECT_TRUE(to_hour_of_usage(hour, {.rows = {known}}).complete);
  EXPECT_TRUE(to_hour_of_usage(hour, {}).complete); // nothing ran, and that is known
  EXPECT_FALSE(to_hour_of_usage(hour, {.rows = {known, gap}}).complete);
  EXPECT_FALSE(to_hour_of_usage(window_of(start_of_hour(now), now), {.rows = {known}}).complete);
}

} // namespace
} // namespace binnacle
