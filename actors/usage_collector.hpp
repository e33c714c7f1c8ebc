/// Books what the clusters' OpenCosts report.
///
/// One collection runs at a time, over a few clusters at once. An hour is claimed in the database
/// before OpenCost is asked about it, so two nodes never collect the same one; claims are renewed
/// while the work lasts and run out soon after a node has died. Hours are booked in batches, each
/// in one transaction: killed at any moment, what is booked is booked whole, and the rest is
/// missing and collected next time. A hour without data, or one that failed, stays missing. A
/// cluster that fails does not keep the others from being collected, and a database that is gone
/// for some seconds is waited for.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/opencost.hpp"
#include "actors/services.hpp"
#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

/// What the collector wants of the database: functions of persistence/.
struct usage_books {
  using tx = persistence::transaction;
  using hour_list = std::vector<time_point>;
  std::function<result<std::vector<persistence::cluster>>(tx&)> clusters =
      persistence::list_clusters;
  std::function<result<hour_list>(tx&, const cluster_id&, time_point from, time_point to,
                                  std::int64_t most)>
      missing = persistence::missing_hours;
  std::function<result<hour_list>(tx&, const cluster_id&, const hour_list&,
                                  const std::string& holder, milliseconds lease, bool again,
                                  time_point now)>
      claim = persistence::claim_hours;
  std::function<result<done>(tx&, const cluster_id&, const hour_list&, const std::string& holder,
                             const std::string& why, time_point now)>
      release = persistence::release_hours;
  std::function<result<persistence::booking>(
      tx&, const cluster_id&, const std::vector<persistence::hour_of_usage>&, time_point now)>
      book = persistence::book_usage;
};

struct collector_config {
  /// Told about hours (of clusters) dealt with so far and in all; on a scheduler thread.
  std::function<void(std::int64_t, std::int64_t)> on_progress{};
  std::size_t queue = 16; // collections that may wait
  std::size_t lanes = 4;  // clusters collected at once

  // For deterministic tests.
  usage_books books{};
  std::function<opencost_actor(caf::actor_system&, const services&, opencost_target)> opencost =
      [](caf::actor_system& system, const services& app, opencost_target target) {
        return spawn_opencost(system, app, std::move(target));
      };
};

usage_collector_actor spawn_usage_collector(caf::actor_system& system, services& app,
                                            collector_config config = {});

} // namespace binnacle
