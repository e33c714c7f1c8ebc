/// Brings user_projects in line with what a cluster's Hopsworks has.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// A user of the cluster who is known at its Hopsworks.
struct cluster_account {
  user_id who{};
  std::int64_t id = 0; // Hopsworks'
  std::string username{};
  std::int64_t active_projects = 0;
  bool owns_projects = true; // team members do not: theirs are their owner's
};
result<std::vector<cluster_account>> accounts_on_cluster(transaction&, const cluster_id&);

/// A project of somebody on the cluster, as Hopsworks has it.
struct seen_project {
  user_id owner{};
  std::int64_t id = 0;
  std::string name{};
};

struct project_changes {
  std::int64_t synced = 0;      // are as Hopsworks has them now
  std::int64_t deactivated = 0; // are not there any more
  std::int64_t kept = 0;        // not deactivated only because nothing at all is listed
  std::vector<std::string>
      refused{}; // namespaces that are another user's, as somebody decided here
};

/// Projects that are `seen` become active and are their owners', whatever usage their namespaces
/// have had goes to them; those that came from Hopsworks and are not seen become inactive. Projects
/// assigned by hand (they have no id of Hopsworks') stay as they are. Nothing is deleted. `listed`
/// is how many projects there are on the cluster, of our users or not; when it is 0 nothing is
/// deactivated, as that is how an upstream looks that has lost its memory.
result<project_changes> sync_projects(transaction&, const cluster_id&,
                                      const std::vector<seen_project>& seen, std::size_t listed,
                                      time_point now);

/// The Kubernetes namespace of a project with this name: lower case, and `-` for `_`.
std::string namespace_of_project(std::string name);

} // namespace binnacle::persistence
