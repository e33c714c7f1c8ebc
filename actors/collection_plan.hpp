/// What to collect, and what a collected hour is worth: the pure part of the usage collector.
#pragma once

#include "actors/messages.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "integrations/opencost.hpp"
#include "persistence/usage.hpp"

#include <optional>
#include <vector>

namespace binnacle {

/// Whole hours [from, to), and whether the present, partial hour is collected as well.
struct collection_range {
  time_point from{};
  time_point to{};
  bool present_hour = false;
};

/// The range of a request. Without one: the hours of the last `backfill_hours`, and the present
/// hour as far as it has come. bad_request for what is not whole hours, empty, longer than a year,
/// or not over yet.
result<collection_range> plan_collection(const collect_usage& what, time_point now,
                                         std::int64_t backfill_hours);

/// The hours of a range, newest first: one that OpenCost cannot answer for never stands in the way
/// of newer ones.
std::vector<time_point> hours_newest_first(time_point from, time_point to);

/// One hour to ask for; shorter for the present one.
struct hour_window {
  time_point hour{};
  time_point to{};

  bool whole() const { return to == hour + hours{1}; }
};
hour_window window_of(time_point hour, time_point now);

/// GB are 2^30 bytes. Storage that OpenCost sees is in persistent volumes, which is online storage;
/// nothing reports offline storage in this version, so it stays unknown.
persistence::hour_row to_hour_row(const integrations::allocation& a);

/// The hour as it is booked: complete when it is a whole hour in which everything that is billed is
/// known.
persistence::hour_of_usage to_hour_of_usage(const hour_window& window,
                                            const integrations::allocation_set& set);

} // namespace binnacle
