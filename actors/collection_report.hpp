/// The outcome of a collection, in the shape of `POST /api/usage/collect-opencost`.
///
/// A namespace is listed once per cluster with its sums over the hours collected; what it stores is
/// that of the newest of these hours. Long lists are cut off and say by how much.
#pragma once

#include "actors/collection_plan.hpp"
#include "actors/messages.hpp"
#include "config/base/ids.hpp"

#include <map>
#include <string>
#include <vector>

namespace binnacle {

class collection_report {
public:
  static constexpr std::size_t most_namespaces = 1'000;
  static constexpr std::size_t most_errors = 200;

  collection_report() = default;
  collection_report(time_point now, bool dry_run) : now_{now}, dry_run_{dry_run} {}

  /// Announces a cluster; the others refer to it by the index that this returns.
  std::size_t add_cluster(const cluster_id& id, const std::string& name);
  /// These hours were booked, and to whom.
  void add_booking(std::size_t cluster, const std::vector<hour_window>& windows,
                   const std::vector<persistence::hour_of_usage>& booked,
                   const persistence::booking& owners);
  /// Hours that another collector is at.
  void add_held(std::int64_t hours) { held_ += hours; }
  /// Something failed in that cluster; the first reason is the one shown.
  void add_failure(std::size_t cluster, const std::string& why);

  std::size_t clusters() const { return clusters_.size(); }
  std::size_t failed_clusters() const;
  std::int64_t hours() const { return hours_; }

  collection finish() const;

private:
  struct namespace_entry {
    std::string project{};
    user_id owner{};
    quantities used{};
    decimal online_gb{};
    decimal offline_gb{};
    time_point stored_at{};
  };
  struct cluster_entry {
    cluster_id id{};
    std::string name{};
    std::map<std::string, namespace_entry> namespaces{};
    std::string error{};
  };

  time_point now_{};
  bool dry_run_ = false;
  std::vector<cluster_entry> clusters_{};
  std::int64_t hours_ = 0;
  std::int64_t held_ = 0;
};

} // namespace binnacle
