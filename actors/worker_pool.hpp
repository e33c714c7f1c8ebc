/// Blocking work off the scheduler's threads: a router with a bounded queue in front of workers
/// that have a thread each. Used twice: `storage` (each worker owns one database connection) and
/// `compute` (no connection).
#pragma once

#include "actors/interfaces.hpp"

#include <atomic>
#include <caf/fwd.hpp>
#include <functional>
#include <memory>
#include <string>

namespace binnacle::persistence {
class database;
}

namespace binnacle {

struct worker_tools {
  std::unique_ptr<persistence::database> db{};
  std::atomic<bool>* database_up = nullptr; // told about the outcome of each job
};

struct pool_config {
  std::string name{}; // for metrics
  std::size_t workers = 1;
  std::size_t queue = 1'000; // jobs that may wait
  std::function<worker_tools()> make_tools = [] { return worker_tools{}; };
  bool detached = true; // false in deterministic tests: workers run on the test scheduler
};

/// Spawns the router, which owns its workers: they end when it ends. A job that throws is logged;
/// its worker goes on.
pool_actor spawn_worker_pool(caf::actor_system& system, pool_config config);

} // namespace binnacle
