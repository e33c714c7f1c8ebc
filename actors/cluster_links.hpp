/// The OpenCost actors of the clusters: one each, spawned when it is first wanted, replaced when
/// the cluster's kubeconfig has changed, stopped when the cluster is gone or their owner ends. One
/// that has died is spawned anew the next time it is wanted. Used by one actor.
#pragma once

#include "actors/opencost.hpp"
#include "persistence/clusters.hpp"

#include <caf/actor_addr.hpp>
#include <caf/local_actor.hpp>
#include <functional>
#include <map>
#include <vector>

namespace binnacle {

class cluster_links {
public:
  using factory =
      std::function<opencost_actor(caf::actor_system&, const services&, opencost_target)>;

  cluster_links(const services& app, factory spawn) : app_{app}, spawn_{std::move(spawn)} {}
  cluster_links(const cluster_links&) = delete;
  cluster_links& operator=(const cluster_links&) = delete;
  ~cluster_links();

  /// `owner` monitors what is spawned, and tells by `forget` what it hears. A kubeconfig that
  /// cannot be opened or read is a fault whose text is for an admin.
  result<opencost_actor> open(caf::local_actor& owner, const persistence::cluster& cluster);
  void forget(const caf::actor_addr& dead);
  void keep_only(const std::vector<persistence::cluster>& clusters);

private:
  struct link {
    std::string sealed{}; // the kubeconfig it was made from
    std::shared_ptr<std::atomic<bool>> cancelled{};
    opencost_actor actor{};
  };
  static void stop(const link& l);

  const services& app_;
  factory spawn_;
  std::map<cluster_id, link> links_{};
};

} // namespace binnacle
