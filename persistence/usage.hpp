/// Booked usage: one row per (cluster, namespace, hour); days and months are sums of those rows.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "config/prices.hpp"
#include "persistence/query.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// What one namespace used in one hour. An empty optional is "unknown", not zero: booking it never
/// replaces a known value.
struct hour_row {
  std::string name_space{};
  std::optional<decimal> cpu_hours{};
  std::optional<decimal> gpu_hours{};
  std::optional<decimal> ram_gb_hours{};
  std::optional<decimal> online_gb_hours{};
  std::optional<decimal> offline_gb_hours{};
  std::optional<decimal> cpu_efficiency{};
  std::optional<decimal> ram_efficiency{};
  std::optional<decimal> upstream_cost{}; // OpenCost's own figure, for comparison only
};

/// One collected hour of one cluster.
struct hour_of_usage {
  time_point hour{};
  bool complete = true; // false: the current, partial hour, or some value was unknown
  std::vector<hour_row> rows{};
};

struct booked_row {
  std::string name_space{};
  user_id owner{}; // empty: nobody's yet
  std::string project_name{};
};

struct booking {
  std::vector<booked_row> rows{}; // one per distinct namespace
  std::int64_t replaced = 0;      // rows that stood there already
};

/// Books whole hours of one cluster. Replaces each (namespace, hour) row; rows of those hours that
/// the new collection does not contain are set to zero (kept, so that a correction shows). Resolves
/// owners through active projects of that cluster (an owner once booked stays). Recomputes the
/// days of every user concerned from the rows and touches their usage. Marks the hours collected.
/// Every hour is priced by the list that was valid when it began. Any order, repetition or
/// splitting of calls gives the same totals, also when prices change in between.
result<booking> book_usage(transaction&, const cluster_id&, const std::vector<hour_of_usage>&,
                           time_point now);

/// Hours in [from, to) that were never collected completely, oldest first, at most `most`.
result<std::vector<time_point>> missing_hours(transaction&, const cluster_id&, time_point from,
                                              time_point to, std::int64_t most);

/// Claims hours for one collector (node and run); those claimed by another whose lease has not
/// run out are left out of the answer. Completed hours are claimed only with `again`.
result<std::vector<time_point>>
claim_hours(transaction&, const cluster_id&, const std::vector<time_point>& hours,
            const std::string& holder, std::chrono::milliseconds lease, bool again, time_point now);
/// Gives claims back, with the reason the hours could not be collected.
result<done> release_hours(transaction&, const cluster_id&, const std::vector<time_point>& hours,
                           const std::string& holder, const std::string& why, time_point now);

/// A user's totals over whole days.
struct usage_totals {
  quantities used{};
  charge cost{};
  decimal online_gb{};        // largest daily snapshot
  decimal offline_gb{};       //
  decimal latest_online_gb{}; // the newest day's snapshot
  decimal latest_offline_gb{};
  decimal max_storage_gb{}; // largest online + offline of a day
  std::optional<time_point> last_update{};

  bool operator==(const usage_totals&) const = default;
};
/// Days from `from` to `to`, both included.
result<usage_totals> usage_between(transaction&, const user_id&, date from, date to);

struct day_row {
  date day{};
  quantities used{};
  charge cost{};
  decimal online_gb{};
  decimal offline_gb{};
  std::optional<time_point> updated_at{};
};
/// Ascending by day.
result<std::vector<day_row>> days_between(transaction&, const user_id&, date from, date to);

struct project_row {
  std::string name{};
  std::string name_space{};
  quantities used{};
  charge cost{};
  decimal online_gb{};
  decimal offline_gb{};
  std::optional<decimal> cpu_efficiency{};
  std::optional<decimal> ram_efficiency{};
  std::optional<time_point> updated_at{};

  bool operator==(const project_row&) const = default;
};
/// A user's projects on one day, by name.
result<std::vector<project_row>> projects_on(transaction&, const user_id&, date day);

/// What GET /api/usage shows, in one row: totals of the month that `today` is in, and today's
/// projects. Nothing is booked for days to come, so the month's totals are those up to today; where
/// a node with a faster clock has begun the next day of the month, that day's projects are today's.
struct month_summary {
  usage_totals totals{};
  std::vector<project_row> today{};
  std::int64_t active_projects = 0; // at Hopsworks, as last seen
};
query<month_summary> month_summary_of(const user_id&, date today);

/// For admins: today's bookings per user and per namespace.
struct health_user_row {
  user_id who{};
  quantities used{};
  charge cost{};
  std::int64_t projects = 0;
  std::optional<time_point> updated_at{};
};
struct health_namespace_row {
  std::string name_space{};
  quantities used{};
  std::vector<std::string> users{};
};
struct usage_health {
  std::optional<time_point> last_collection{};
  std::vector<health_user_row> users{};
  std::vector<health_namespace_row> namespaces{};
  std::vector<std::string> unresolved{}; // namespaces without an owner, last 30 days
};
result<usage_health> usage_health_on(transaction&, date day);

/// Timers: one run at a time over all nodes, by an advisory lock and a lease.
struct timer_run {
  std::string name{};
  std::optional<time_point> last_started{};
  std::optional<time_point> last_finished{};
  std::optional<time_point> next_due{};
  std::string last_outcome{}; // JSON
};
/// Due at every multiple of `every` since 1970, and `offset` later: {24h, 3h} is 03:00 UTC.
struct timer_rhythm {
  std::chrono::milliseconds every{};
  std::chrono::milliseconds offset{};

  time_point next_after(time_point now) const;
};
/// True when this node may run now: due, and nobody else is at it. Sets next_due.
result<bool> claim_timer(transaction&, const std::string& name, const std::string& holder,
                         timer_rhythm rhythm, std::chrono::milliseconds lease, time_point now);
result<done> finish_timer(transaction&, const std::string& name, const std::string& holder,
                          const std::string& outcome_json, time_point now);
result<std::vector<timer_run>> list_timers(transaction&);
/// The database server's clock, for comparing it with ours.
result<time_point> database_now(transaction&);

} // namespace binnacle::persistence
