/// One cluster's OpenCost: calls it one at a time, repeats what is worth repeating, and leaves an
/// upstream alone that fails again and again.
///
/// Every query is answered: with a set, or with the reason why there is none. Between two attempts
/// the actor waits by a message to itself, so it can be stopped at any time; what still waits then
/// is answered as a failure. After `tolerance` failed queries in a row the circuit is open: queries
/// fail at once for `rest`, then one of them, tried once, decides whether it closes.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "config/base/ids.hpp"
#include "integrations/http_client.hpp"
#include "integrations/kubeconfig.hpp"

#include <atomic>
#include <caf/fwd.hpp>
#include <functional>
#include <memory>
#include <string>

namespace binnacle {

/// The cluster to ask, and a flag that ends a call in flight when somebody raises it.
struct opencost_target {
  cluster_id id{};
  std::string name{};
  integrations::kube_access access{};
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

struct opencost_config {
  std::chrono::milliseconds deadline{30'000}; // of one call
  integrations::retry_policy retry{};
  std::size_t queue = 64; // queries that may wait
  int tolerance = 5;
  seconds rest{60};

  // For deterministic tests.
  bool detached = true;
  std::function<result<integrations::http_answer>(const integrations::http_call&)> send{};
  std::function<double()> random{}; // in [0, 1)
};

/// The longest that one query may take with this configuration: all calls and all waits.
caf::timespan longest_query(const opencost_config& config);
/// What the service's settings say.
opencost_config opencost_config_of(const collector_settings& settings);

/// Blocking, on a thread of its own.
opencost_actor spawn_opencost(caf::actor_system& system, opencost_target target,
                              opencost_config config);
opencost_actor spawn_opencost(caf::actor_system& system, const services& app,
                              opencost_target target);

} // namespace binnacle
