/// Private to the usage collector: one collection on its way.
#pragma once

#include "actors/collection_plan.hpp"
#include "actors/collection_report.hpp"
#include "actors/lanes.hpp"
#include "persistence/clusters.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace binnacle {

/// What is left to collect of one cluster.
struct cluster_plan {
  persistence::cluster what{};
  std::size_t index = 0; // in the report
  std::deque<time_point> hours{};
  bool booking = false; // a batch is being booked, while the next one is asked for
  std::optional<fault> failure{};
  std::coroutine_handle<> after_booking{};

  /// co_await: until no batch is being booked.
  struct end_of_booking {
    cluster_plan& plan;
    bool await_ready() const noexcept { return !plan.booking; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { plan.after_booking = waiter; }
    void await_resume() const noexcept {}
  };

  /// Takes up to `most` hours off.
  std::vector<time_point> next(std::size_t most) {
    auto count = static_cast<std::ptrdiff_t>(std::min(most, hours.size()));
    std::vector<time_point> out{hours.begin(), hours.begin() + count};
    hours.erase(hours.begin(), hours.begin() + count);
    return out;
  }
  void put_back(std::vector<time_point>::const_iterator first,
                std::vector<time_point>::const_iterator last) {
    hours.insert(hours.begin(), first, last);
  }
};

/// Shared by the lanes that work on it, each on one cluster at a time.
struct collection_run {
  collect_usage what{};
  collection_report report{};
  std::deque<cluster_plan> todo{};
  std::int64_t done = 0; // hours, over all clusters
  std::int64_t total = 0;
  lanes open{};
  std::set<std::pair<cluster_id, std::string>> searched{}; // namespaces whose owner was looked for
};
using run_ptr = std::shared_ptr<collection_run>;

/// What OpenCost said about a batch of hours.
struct collected_batch {
  std::vector<hour_window> windows{};
  std::vector<persistence::hour_of_usage> hours{};
  std::map<std::string, std::vector<time_point>> given_back{}; // by reason
  std::size_t rows = 0;
  bool give_up = false;
};

} // namespace binnacle
