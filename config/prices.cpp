#include "config/prices.hpp"

#include <algorithm>

namespace binnacle {
namespace {

decimal rate(const char* text) { return *decimal::parse(text); }

} // namespace

price_list make_price_list(decimal compute_credit, decimal storage_online,
                           decimal storage_offline) {
  return {
      .compute_credits = compute_credit,
      .cpu_hour = compute_credit * rate("0.5"),
      .gpu_hour = compute_credit * rate("10"),
      .ram_gb_hour = compute_credit * rate("0.05"),
      .storage_online_gb = storage_online,
      .storage_offline_gb = storage_offline,
      .network_egress_gb = compute_credit * rate("0.4"),
  };
}

price_list default_price_list() { return make_price_list(rate("0.35"), rate("0.5"), rate("0.03")); }

void price_history::add(time_point from, const price_list& list) {
  entries_.push_back({from, list});
}

/// The first entry that is not valid yet.
std::vector<price_history::entry>::const_iterator price_history::after(time_point when) const {
  return std::ranges::upper_bound(entries_, when, {}, &entry::from);
}

const price_list& price_history::at(time_point when) const {
  auto next = after(when);
  return next == entries_.begin() ? built_in_ : std::prev(next)->list;
}

std::optional<time_point> price_history::next_change(time_point when) const {
  auto next = after(when);
  if (next == entries_.end()) return {};
  return next->from;
}

quantities& quantities::operator+=(const quantities& other) {
  cpu_hours += other.cpu_hours;
  gpu_hours += other.gpu_hours;
  ram_gb_hours += other.ram_gb_hours;
  online_gb_hours += other.online_gb_hours;
  offline_gb_hours += other.offline_gb_hours;
  return *this;
}

charge price(const quantities& used, const price_list& at) {
  charge out;
  out.compute_cost = used.cpu_hours * at.cpu_hour + used.gpu_hours * at.gpu_hour +
                     used.ram_gb_hours * at.ram_gb_hour;
  auto hours_of_a_month = decimal{720};
  out.storage_cost = used.online_gb_hours * at.storage_online_gb / hours_of_a_month +
                     used.offline_gb_hours * at.storage_offline_gb / hours_of_a_month;
  if (!at.compute_credits.is_zero()) out.credits = out.compute_cost / at.compute_credits;
  return out;
}

} // namespace binnacle
