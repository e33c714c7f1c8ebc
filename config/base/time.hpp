/// Clocks and time formats. Inside the service every instant is a UTC `time_point`; each surface
/// renders its own format. Whoever needs "now" takes a `const clock&`, so that tests never sleep.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace binnacle {

using time_point = std::chrono::system_clock::time_point;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// Source of the present moment. Implementations are thread-safe.
class clock {
public:
  virtual ~clock() = default;
  virtual time_point now() const = 0;
};

/// The machine's UTC clock.
const clock& system_clock_source();

using date = std::chrono::year_month_day;

date date_of(time_point t);
time_point start_of(date d);
time_point start_of_hour(time_point t);
time_point start_of_day(time_point t);
time_point start_of_month(time_point t);
time_point start_of_next_month(time_point t);

std::string format_date(time_point t);   // 2025-02-07
std::string format_month(time_point t);  // 2025-02
std::string format_iso_ms(time_point t); // 2025-02-07T03:10:02.123Z
std::string format_iso_s(time_point t);  // 2025-02-07T03:10:02Z
std::string format_http(time_point t);   // Fri, 07 Feb 2025 03:10:02 GMT (RFC 9110 §5.6.7)

/// All three take the years 1970 to 2199 only; days may be of earlier years, from 1700 on, where
/// the caller says so. RFC 3339 with `Z` or a numeric offset, with or without a fraction (kept to
/// microseconds).
std::optional<time_point> parse_iso(std::string_view text);
/// 2025-02-07, a real calendar date.
std::optional<date> parse_date(std::string_view text, int first_year = 1970);
/// 2025-02: the first instant of that month.
std::optional<time_point> parse_month(std::string_view text);

inline std::int64_t unix_seconds(time_point t) {
  return std::chrono::floor<seconds>(t.time_since_epoch()).count();
}
inline time_point from_unix(std::int64_t s) { return time_point{seconds{s}}; }

} // namespace binnacle
