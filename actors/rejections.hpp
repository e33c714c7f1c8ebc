/// Counts requests over a limit: binnacle_rate_limited_total, by class.
#pragma once

#include "config/limits.hpp"

#include <prometheus/counter.h>

namespace binnacle {

/// The first call makes the counters of all classes, so that each is there before it counts.
prometheus::Counter& rejections(limit_class name);

} // namespace binnacle
