/// The whole service: everything that runs, in the order it starts; it stops in reverse.
#pragma once

#include "actors/services.hpp"
#include "config/base/errors.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace binnacle::http {

struct service_options {
  const clock* time = &system_clock_source();
  /// Receives a collection's progress, in hours.
  std::function<void(std::int64_t done, std::int64_t total)> on_progress{};
  bool listen = true; // false: actors only, for commands that need them
  bool timers = true;
};

/// Blocks SIGINT, SIGTERM and SIGHUP in this thread and those it starts. Call first of all: a
/// signal during start-up then waits until `service::start` can stop what has been started by then.
void hold_stop_signals();

class service {
public:
  /// Threads, keys, actors, listener. The database must be there and migrated.
  static result<std::unique_ptr<service>> start(settings config, service_options options = {});
  /// Stops at once if `stop` was not called.
  ~service();

  /// Graceful stop: readiness false, no new connections, requests in flight answered, windows
  /// saved, actors ended. Returns the number of connections that had to be cut off.
  std::size_t stop();
  /// Blocks until SIGINT, SIGTERM or SIGHUP, or until an actor has given up; true for a signal.
  bool wait();

  std::uint16_t port() const;
  services& app();
  caf::actor_system& system();

private:
  service();
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

} // namespace binnacle::http
