/// The price list: the only source of rates. What `GET /api/pricing` shows is what is billed.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/time.hpp"

#include <optional>
#include <vector>

namespace binnacle {

/// Prices in the account currency. The four compute rates follow from the price of one compute
/// credit: an hour of CPU is 0.5 credits, of GPU 10, a GB-hour of memory 0.05.
struct price_list {
  decimal compute_credits;    // per credit
  decimal cpu_hour;           // per core and hour
  decimal gpu_hour;           // per GPU and hour
  decimal ram_gb_hour;        // per GB (2^30 bytes) and hour
  decimal storage_online_gb;  // per GB and month of 720 hours
  decimal storage_offline_gb; // per GB and month of 720 hours
  decimal network_egress_gb;  // per GB

  bool operator==(const price_list&) const = default;
};

/// The list that follows from the three prices that can be set.
price_list make_price_list(decimal compute_credit, decimal storage_online, decimal storage_offline);
/// 0.35 per credit, 0.50 and 0.03 per GB-month.
price_list default_price_list();

/// The price lists of all times: what an hour costs is decided by the list that was valid when it
/// began, whenever it is booked. Before the first entry, the built-in list.
class price_history {
public:
  /// Makes `list` valid from `from` on; later than all that were added before.
  void add(time_point from, const price_list& list);
  /// The list valid at `when`; a reference into this history.
  const price_list& at(time_point when) const;
  /// When the list valid at `when` ends; nothing when no later one is known.
  std::optional<time_point> next_change(time_point when) const;

private:
  struct entry {
    time_point from{};
    price_list list{};
  };
  std::vector<entry>::const_iterator after(time_point when) const;

  std::vector<entry> entries_{};
  price_list built_in_ = default_price_list();
};

/// Metered quantities of one namespace over some time.
struct quantities {
  decimal cpu_hours;
  decimal gpu_hours;
  decimal ram_gb_hours;
  decimal online_gb_hours;  // GB stored online, times hours
  decimal offline_gb_hours; // GB stored offline, times hours

  quantities& operator+=(const quantities& other);
  bool operator==(const quantities&) const = default;
};

/// What quantities cost. Every number is rounded half to even at the 12th decimal, once.
struct charge {
  decimal credits;
  decimal compute_cost;
  decimal storage_cost;

  decimal total() const { return compute_cost + storage_cost; }
  bool operator==(const charge&) const = default;
};

/// compute cost = cpu_hour·h + gpu_hour·h + ram_gb_hour·GB·h; storage cost = GB-months at the two
/// storage rates, a GB-hour being 1/720 GB-month; credits = compute cost ÷ compute_credits.
charge price(const quantities& used, const price_list& at);

} // namespace binnacle
