#include "config/base/time.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>

namespace binnacle {
namespace {

using namespace std::chrono;

class machine_clock final : public clock {
public:
  time_point now() const override { return system_clock::now(); }
};

struct civil {
  year_month_day day;
  hh_mm_ss<milliseconds> clock;
};

civil split(time_point t) {
  auto ms = floor<milliseconds>(t);
  auto day = floor<days>(ms);
  return {year_month_day{day}, hh_mm_ss<milliseconds>{ms - day}};
}

template <class... Ts>
std::string print(const char* format, Ts... xs) {
  std::array<char, 48> out;
  auto n = std::snprintf(out.data(), out.size(), format, xs...);
  return {out.data(), static_cast<std::size_t>(n)};
}

int year_of(const civil& c) { return static_cast<int>(c.day.year()); }
unsigned month_of(const civil& c) { return static_cast<unsigned>(c.day.month()); }
unsigned day_of(const civil& c) { return static_cast<unsigned>(c.day.day()); }
int hour_of(const civil& c) { return static_cast<int>(c.clock.hours().count()); }
int minute_of(const civil& c) { return static_cast<int>(c.clock.minutes().count()); }
int second_of(const civil& c) { return static_cast<int>(c.clock.seconds().count()); }

/// Takes exactly `width` digits off the front of `text`.
std::optional<int> take(std::string_view& text, std::size_t width) {
  if (text.size() < width) return {};
  int value = 0;
  for (char c : text.substr(0, width)) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(width);
  return value;
}

bool skip(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<year_month_day> take_date(std::string_view& text, int first_year = 1970) {
  auto y = take(text, 4);
  if (!y || !skip(text, "-")) return {};
  auto m = take(text, 2);
  if (!m || !skip(text, "-")) return {};
  auto d = take(text, 2);
  if (!d) return {};
  year_month_day out{year{*y}, month{static_cast<unsigned>(*m)}, day{static_cast<unsigned>(*d)}};
  // A time_point counts nanoseconds in 64 bits: the years that fit, and no others.
  if (!out.ok() || *y < first_year || *y > 2199) return {};
  return out;
}

} // namespace

const clock& system_clock_source() {
  static const machine_clock instance;
  return instance;
}

date date_of(time_point t) { return year_month_day{floor<days>(t)}; }
time_point start_of(date d) { return sys_days{d}; }
time_point start_of_hour(time_point t) { return floor<hours>(t); }
time_point start_of_day(time_point t) { return floor<days>(t); }
time_point start_of_month(time_point t) {
  auto d = date_of(t);
  return sys_days{d.year() / d.month() / 1};
}
time_point start_of_next_month(time_point t) {
  auto d = date_of(t);
  return sys_days{(d.year() / d.month() + months{1}) / 1};
}

std::string format_date(time_point t) {
  auto c = split(t);
  return print("%04d-%02u-%02u", year_of(c), month_of(c), day_of(c));
}
std::string format_month(time_point t) {
  auto c = split(t);
  return print("%04d-%02u", year_of(c), month_of(c));
}
std::string format_iso_ms(time_point t) {
  auto c = split(t);
  return print("%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", year_of(c), month_of(c), day_of(c),
               hour_of(c), minute_of(c), second_of(c),
               static_cast<int>(c.clock.subseconds().count()));
}
std::string format_iso_s(time_point t) {
  auto c = split(t);
  return print("%04d-%02u-%02uT%02d:%02d:%02dZ", year_of(c), month_of(c), day_of(c), hour_of(c),
               minute_of(c), second_of(c));
}
std::string format_http(time_point t) {
  static constexpr std::array names{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto c = split(t);
  auto name = names[weekday{floor<days>(t)}.c_encoding()];
  return print("%s, %02u %s %04d %02d:%02d:%02d GMT", name, day_of(c), months[month_of(c) - 1],
               year_of(c), hour_of(c), minute_of(c), second_of(c));
}

std::optional<time_point> parse_iso(std::string_view text) {
  auto day = take_date(text);
  if (!day || !skip(text, "Tt ")) return {};
  auto h = take(text, 2);
  if (!h || !skip(text, ":")) return {};
  auto m = take(text, 2);
  if (!m || !skip(text, ":")) return {};
  auto s = take(text, 2);
  if (!s || *h > 23 || *m > 59 || *s > 59) return {};
  time_point out =
      sys_days{*day} + std::chrono::hours{*h} + std::chrono::minutes{*m} + std::chrono::seconds{*s};
  if (skip(text, ".")) {
    std::int64_t micros = 0;
    int places = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      if (places < 6) micros = micros * 10 + (text.front() - '0');
      ++places;
      text.remove_prefix(1);
    }
    if (places == 0) return {};
    for (; places < 6; ++places) micros *= 10;
    out += microseconds{micros};
  }
  if (skip(text, "Zz")) return text.empty() ? std::optional{out} : std::nullopt;
  if (text.empty()) return {};
  auto sign = text.front();
  if (!skip(text, "+-")) return {};
  auto oh = take(text, 2);
  if (!oh || !skip(text, ":")) return {};
  auto om = take(text, 2);
  if (!om || *oh > 23 || *om > 59 || !text.empty()) return {};
  auto offset = std::chrono::hours{*oh} + std::chrono::minutes{*om};
  return sign == '+' ? out - offset : out + offset;
}

std::optional<date> parse_date(std::string_view text, int first_year) {
  auto out = take_date(text, first_year);
  return text.empty() ? out : std::nullopt;
}

std::optional<time_point> parse_month(std::string_view text) {
  auto out = parse_date(std::string{text} + "-01");
  if (!out) return {};
  return start_of(*out);
}

} // namespace binnacle
