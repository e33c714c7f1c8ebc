/// Knows whose projects are whose: brings user_projects in line with what the clusters' Hopsworks
/// list, every 30 minutes and on demand, and finds the owner of a namespace that usage was booked
/// for.
///
/// A cluster that cannot be asked, or lists nothing at all, keeps its projects as they are, and the
/// others go on. How many projects each user has at Hopsworks is noted on the way (GET /api/usage).
#pragma once

#include "actors/hopsworks_messages.hpp"
#include "actors/services.hpp"
#include "integrations/hopsworks.hpp"
#include "persistence/project_sync.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

/// What a cluster's Hopsworks has.
struct cluster_listing {
  persistence::cluster where{};
  std::vector<hopsworks::user> users{};
  std::vector<hopsworks::project> projects{};
};
/// What came of one cluster.
struct cluster_sync {
  std::int64_t users = 0;               // owners known there
  std::int64_t users_with_projects = 0; //
  std::int64_t found = 0;               // projects of theirs
  persistence::project_changes changes{};
};
result<cluster_sync> apply_listing(persistence::transaction&, const cluster_listing&,
                                   time_point now);

/// Assigns those of the namespaces that are projects of the cluster's users: by name, but for case
/// and `_` in place of `-`.
result<found_project_owners> assign_found(persistence::transaction&, const cluster_listing&,
                                          const std::vector<std::string>& namespaces,
                                          time_point now);

struct project_sync_config {
  std::size_t queue = 8; // runs that may wait

  // For deterministic tests.
  using tx = persistence::transaction;
  std::function<result<std::vector<persistence::cluster>>(tx&)> clusters =
      persistence::list_clusters;
  std::function<result<cluster_sync>(tx&, const cluster_listing&, time_point now)> apply =
      apply_listing;
  std::function<result<found_project_owners>(tx&, const cluster_listing&,
                                             const std::vector<std::string>&, time_point now)>
      assign = assign_found;
};

project_sync_actor spawn_project_sync(caf::actor_system&, services&, project_sync_config = {});

} // namespace binnacle
