/// Asks a cluster's OpenCost once, for an admin who wants to know whether it answers.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "integrations/opencost.hpp"
#include "persistence/clusters.hpp"

namespace binnacle::http {

/// Blocks a compute worker for at most 15 s. A fault's public text says what to do about it;
/// upstream_failed also when OpenCost has no data for the window.
task<result<integrations::allocation_set>> probe_opencost(context& ctx, persistence::cluster which,
                                                          time_point from, time_point to);

} // namespace binnacle::http
