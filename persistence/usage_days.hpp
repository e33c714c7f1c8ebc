/// Private to this folder: the days derived from booked hours.
#pragma once

#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <set>
#include <string>

namespace binnacle::persistence {

/// Makes this transaction the only one that changes usage, until it ends. A day is a sum over rows
/// of several clusters, which two concurrent bookings could not see of each other; alone, the sum
/// is exact and no deadlock is possible. A booking of 2,400 rows holds it for some 20 ms.
void lock_usage(transaction& tx);

/// Recomputes the days of everybody who owns something in that cluster on them, and touches their
/// usage. With `only`, of that namespace's owners.
void recompute_days(transaction& tx, const cluster_id& cluster, const std::set<date>& days,
                    const std::optional<std::string>& only, time_point now);

} // namespace binnacle::persistence
