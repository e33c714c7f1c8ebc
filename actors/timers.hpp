/// Runs the schedules: the collection of usage, the sweep of expired rows, the removal of objects
/// that nothing refers to any more.
///
/// Each run is claimed in the database, so that one node of many does it; a node that dies during a
/// run loses its claim after a while. Nodes look at different moments (jitter). At its start a node
/// collects right away what was missed while nothing ran. A database that is down is tried again
/// within seconds. When the runs were and will be is in the table `timers`, and in the metrics
/// binnacle_timer_last_run_seconds and binnacle_timer_next_run_seconds, which every node shows.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "persistence/avatars.hpp"
#include "persistence/usage.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

/// What the timers want of the database: functions of persistence/.
struct timer_books {
  using tx = persistence::transaction;
  std::function<result<bool>(tx&, const std::string& name, const std::string& holder,
                             persistence::timer_rhythm rhythm, milliseconds lease, time_point now)>
      claim = persistence::claim_timer;
  std::function<result<done>(tx&, const std::string& name, const std::string& holder,
                             const std::string& outcome, time_point now)>
      finish = persistence::finish_timer;
  std::function<result<std::vector<persistence::timer_run>>(tx&)> list = persistence::list_timers;
  /// Deletes login sessions, rate-limit windows and kept answers that have expired; how many rows.
  std::function<result<std::int64_t>(tx&, time_point now)> sweep;

  std::function<result<std::vector<persistence::unwanted_object>>(
      tx&, milliseconds lease, std::int64_t most, time_point now)>
      hold_unwanted = persistence::hold_unwanted_objects;
  std::function<result<done>(tx&, const persistence::stored_object&)> forget_unwanted =
      persistence::forget_unwanted_object;

  timer_books();
};

struct timers_config {
  // For deterministic tests.
  timer_books books{};
  std::function<double()> random{}; // in [0, 1), for the jitter
};

timers_actor spawn_timers(caf::actor_system& system, services& app, timers_config config = {});

} // namespace binnacle
