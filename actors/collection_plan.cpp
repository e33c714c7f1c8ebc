#include "actors/collection_plan.hpp"

#include <algorithm>

namespace binnacle {
namespace {

constexpr hours longest_range{366 * 24};

std::optional<decimal> gigabytes(const std::optional<decimal>& bytes) {
  static const decimal one{std::int64_t{1} << 30};
  if (!bytes) return {};
  return *bytes / one;
}

bool everything_known(const persistence::hour_row& r) {
  return r.cpu_hours && r.gpu_hours && r.ram_gb_hours && r.online_gb_hours;
}

} // namespace

result<collection_range> plan_collection(const collect_usage& what, time_point now,
                                         std::int64_t backfill_hours) {
  auto present = start_of_hour(now);
  if (what.from == 0 && what.to == 0)
    return collection_range{present - hours{backfill_hours}, present,
                            std::chrono::floor<seconds>(now) > present};
  auto from = from_unix(what.from), to = from_unix(what.to);
  if (from != start_of_hour(from)) return bad_field("from", "from must be the start of an hour");
  if (to != start_of_hour(to)) return bad_field("to", "to must be the start of an hour");
  if (from >= to) return bad_field("to", "to must lie after from");
  if (to - from > longest_range) return bad_field("from", "At most 366 days at once");
  if (to > now)
    return bad_field("to", "The hours must be over; without from and to the present "
                           "hour is collected as well");
  return collection_range{from, to, false};
}

std::vector<time_point> hours_newest_first(time_point from, time_point to) {
  std::vector<time_point> out;
  for (auto hour = to - hours{1}; hour >= from; hour -= hours{1}) out.push_back(hour);
  return out;
}

hour_window window_of(time_point hour, time_point now) {
  return {hour, std::min<time_point>(hour + hours{1}, std::chrono::floor<seconds>(now))};
}

persistence::hour_row to_hour_row(const integrations::allocation& a) {
  return {.name_space = a.name_space,
          .cpu_hours = a.cpu_core_hours,
          .gpu_hours = a.gpu_hours,
          .ram_gb_hours = gigabytes(a.ram_byte_hours),
          .online_gb_hours = gigabytes(a.pv_byte_hours),
          .offline_gb_hours = {},
          .cpu_efficiency = a.cpu_efficiency,
          .ram_efficiency = a.ram_efficiency,
          .upstream_cost = a.total_cost};
}

persistence::hour_of_usage to_hour_of_usage(const hour_window& window,
                                            const integrations::allocation_set& set) {
  persistence::hour_of_usage out{.hour = window.hour, .complete = window.whole(), .rows = {}};
  for (const auto& a : set.rows) {
    out.rows.push_back(to_hour_row(a));
    out.complete = out.complete && everything_known(out.rows.back());
  }
  return out;
}

} // namespace binnacle
