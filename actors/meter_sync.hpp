/// Reports booked usage to Stripe's meters; persistence/meters.hpp says what is reported.
///
/// One run at a time on a node, and what one node is sending no other sends. A run plans the
/// reports that are due, settles those whose outcome has been unknown for too long, and then sends
/// every open report once, as fast as the Stripe actor lets it. Whether it ends or the process
/// dies, what was not certainly delivered is sent again by a later run under the same identifier.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "persistence/meters.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

struct meter_sync_config {
  std::size_t lanes = 64;         // reports on their way to Stripe at once
  std::int64_t batch = 512;       // reports of one claim
  std::size_t queue = 16;         // runs that may wait
  milliseconds patience{120'000}; // of one report
  milliseconds lease{300'000};
  std::function<void(std::int64_t done, std::int64_t total)> on_progress{}; // in the actor
};

/// What Stripe calls one of our meters.
const std::string& event_name_of(const stripe_settings& stripe, const std::string& meter);

meter_sync_actor spawn_meter_sync(caf::actor_system& system, services& app,
                                  meter_sync_config config = {});

} // namespace binnacle
