#include "actors/cluster_links.hpp"

#include "integrations/vault.hpp"

#include <algorithm>
#include <caf/send.hpp>

namespace binnacle {

cluster_links::~cluster_links() {
  for (const auto& [id, l] : links_) stop(l);
}

void cluster_links::stop(const link& l) {
  *l.cancelled = true; // ends a call that would keep it from reading its mailbox
  caf::anon_send_exit(l.actor, caf::exit_reason::user_shutdown);
}

result<opencost_actor> cluster_links::open(caf::local_actor& owner,
                                           const persistence::cluster& cluster) {
  auto known = links_.find(cluster.id);
  if (known != links_.end()) {
    if (known->second.sealed == cluster.kubeconfig_sealed) return known->second.actor;
    stop(known->second);
    links_.erase(known);
  }
  auto kubeconfig = app_.vault->unseal(cluster.kubeconfig_sealed, "kubeconfig:" + cluster.id.value);
  if (!kubeconfig) return kubeconfig.error();
  auto access = integrations::parse_kubeconfig(kubeconfig->reveal());
  if (!access) return access.error();

  opencost_target target{.id = cluster.id, .name = cluster.name, .access = std::move(*access)};
  link fresh{cluster.kubeconfig_sealed, target.cancelled, {}};
  fresh.actor = spawn_(owner.system(), app_, std::move(target));
  owner.monitor(fresh.actor);
  return links_.emplace(cluster.id, std::move(fresh)).first->second.actor;
}

void cluster_links::forget(const caf::actor_addr& dead) {
  std::erase_if(links_, [&](const auto& l) { return l.second.actor.address() == dead; });
}

void cluster_links::keep_only(const std::vector<persistence::cluster>& clusters) {
  std::erase_if(links_, [&](const auto& l) {
    auto kept = std::ranges::find(clusters, l.first, &persistence::cluster::id) != clusters.end();
    if (!kept) stop(l.second);
    return !kept;
  });
}

} // namespace binnacle
