/// Cluster records and which namespaces belong to whom.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// Credentials are stored encrypted (integrations/vault); this folder sees ciphertext only.
struct cluster {
  cluster_id id{};
  std::string name{};
  std::string api_url{};
  std::string api_key_sealed{};    // empty: none
  std::string kubeconfig_sealed{}; // empty: none
  std::int64_t max_users = 100;
  std::int64_t current_users = 0; // live count of assignments, read only
  std::string status = "active";  // active, inactive, maintenance
  std::string region{};           // empty: none
  bool verify_tls = true;         // of its Hopsworks; false: a self-signed certificate is accepted
  time_point created_at{};
  time_point updated_at{};
};

result<std::vector<cluster>> list_clusters(transaction&);
result<std::optional<cluster>> find_cluster(transaction&, const cluster_id&);
result<std::optional<cluster>> find_cluster_by_name(transaction&, const std::string& name);
/// conflict with field "name" when taken. Touches clusters.
result<done> insert_cluster(transaction&, const cluster&, time_point now);

/// A partial update; only what is set changes. not_found; conflict "name".
struct cluster_patch {
  cluster_id id{};
  std::optional<std::string> name{};
  std::optional<std::string> api_url{};
  std::optional<std::string> api_key_sealed{};
  std::optional<std::string> kubeconfig_sealed{};
  std::optional<std::int64_t> max_users{};
  std::optional<std::string> status{};
  std::optional<std::string> region{};
  std::optional<bool> verify_tls{};
};
result<cluster> update_cluster(transaction&, const cluster_patch&, time_point now);

/// A namespace of a cluster that belongs to a user from now on. Replaces nothing: conflict with
/// field "namespace" when an active project of somebody else has it there; the same user again is
/// fine. Attributes usage booked earlier without an owner, and touches that user's usage.
struct project {
  user_id owner{};
  cluster_id cluster{};
  std::string name{};
  std::string name_space{};
  std::optional<std::int64_t> upstream_id{};
  time_point created_at{}; // read only
};
result<done> assign_project(transaction&, const project&, time_point now);
result<std::vector<project>> projects_of(transaction&, const user_id&);

/// Puts the user on the cluster (user_hopsworks_assignments); the same again is fine. Their account
/// at its Hopsworks follows by itself (hopsworks_accounts.hpp).
result<done> assign_cluster(transaction&, const user_id&, const cluster_id&,
                            const user_id& assigned_by, time_point now);
/// False when they were not on that cluster.
result<bool> unassign_cluster(transaction&, const user_id&, const cluster_id&);
/// The user's cluster; without one they are assigned one now: a team member their owner's, an owner
/// the active cluster with the fewest users that has room (platform.md §4; who may have one at all,
/// the caller knows). unprocessable "Account owner must be assigned to a cluster first" and "No
/// available clusters with capacity".
result<cluster_id> assign_free_cluster(transaction&, const user_id&, time_point now);
result<std::optional<cluster>> cluster_of_user(transaction&, const user_id&);

} // namespace binnacle::persistence
