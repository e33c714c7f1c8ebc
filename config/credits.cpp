#include "config/credits.hpp"

namespace binnacle {

std::string format_credits(std::int64_t tenths) {
  auto out = std::to_string(tenths / tenths_per_credit);
  if (auto rest = tenths % tenths_per_credit) out.append(".").append(std::to_string(rest));
  return out;
}

time_point pack_expiry(time_point created) {
  using namespace std::chrono;
  auto day = floor<days>(created);
  auto later = year_month_day{day} + months{6};
  if (!later.ok()) later = later.year() / later.month() / last;
  return sys_days{later} + days{14} + (created - day);
}

} // namespace binnacle
