#include "persistence/usage_days.hpp"

#include "persistence/sql.hpp"
#include "persistence/usage_months.hpp"

namespace binnacle::persistence {

constexpr statement one_booking{"one_booking_at_a_time", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.usage', 0))
)sql"};
void lock_usage(transaction& tx) { exec(tx, one_booking); }

// Reads the cluster's days from $2 until before $3 by the primary key, then the few rows that hold
// the snapshots: a maximum per group is much cheaper than an ordered aggregate. The bounds are
// plain parameters so that even a plan made for any values reads no more than that.
constexpr statement project_days{"project_days", R"sql(
  WITH sums AS (
    SELECT h.user_id, (h.hour AT TIME ZONE 'UTC')::date AS day, h.namespace,
      sum(h.cpu_hours) AS cpu, sum(h.gpu_hours) AS gpu, sum(h.ram_gb_hours) AS ram,
      sum(h.online_gb_hours) AS online, sum(h.offline_gb_hours) AS offline,
      avg(h.cpu_efficiency) AS cpu_efficiency, avg(h.ram_efficiency) AS ram_efficiency,
      sum(h.upstream_cost) AS upstream, sum(h.credits) AS credits,
      sum(h.compute_cost) AS compute, sum(h.storage_cost) AS storage,
      coalesce(max(h.hour) FILTER (WHERE h.online_gb_hours IS NOT NULL AND h.complete),
               max(h.hour) FILTER (WHERE h.online_gb_hours IS NOT NULL)) AS online_at,
      coalesce(max(h.hour) FILTER (WHERE h.offline_gb_hours IS NOT NULL AND h.complete),
               max(h.hour) FILTER (WHERE h.offline_gb_hours IS NOT NULL)) AS offline_at
    FROM usage_hourly h
    WHERE h.cluster_id = $1 AND h.hour >= $2 AND h.hour < $3 AND h.user_id IS NOT NULL
      AND ($5::text IS NULL OR h.namespace = $5)
    GROUP BY h.user_id, day, h.namespace
  )
  INSERT INTO usage_project_daily (
    user_id, day, cluster_id, namespace, cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours,
    offline_gb_hours, online_gb, offline_gb, cpu_efficiency, ram_efficiency, upstream_cost,
    credits, compute_cost, storage_cost, updated_at)
  SELECT s.user_id, s.day, $1, s.namespace, coalesce(s.cpu, 0), coalesce(s.gpu, 0),
    coalesce(s.ram, 0), coalesce(s.online, 0), coalesce(s.offline, 0),
    coalesce((SELECT h.online_gb_hours FROM usage_hourly h
              WHERE h.cluster_id = $1 AND h.hour = s.online_at AND h.namespace = s.namespace), 0),
    coalesce((SELECT h.offline_gb_hours FROM usage_hourly h
              WHERE h.cluster_id = $1 AND h.hour = s.offline_at AND h.namespace = s.namespace), 0),
    s.cpu_efficiency, s.ram_efficiency, coalesce(s.upstream, 0), s.credits, s.compute, s.storage,
    $4
  FROM sums s
  ON CONFLICT (user_id, day, cluster_id, namespace) DO UPDATE SET
    cpu_hours = EXCLUDED.cpu_hours, gpu_hours = EXCLUDED.gpu_hours,
    ram_gb_hours = EXCLUDED.ram_gb_hours, online_gb_hours = EXCLUDED.online_gb_hours,
    offline_gb_hours = EXCLUDED.offline_gb_hours, online_gb = EXCLUDED.online_gb,
    offline_gb = EXCLUDED.offline_gb, cpu_efficiency = EXCLUDED.cpu_efficiency,
    ram_efficiency = EXCLUDED.ram_efficiency, upstream_cost = EXCLUDED.upstream_cost,
    credits = EXCLUDED.credits, compute_cost = EXCLUDED.compute_cost,
    storage_cost = EXCLUDED.storage_cost, updated_at = EXCLUDED.updated_at
  RETURNING user_id, day
)sql"};

// The revision moves only when something that is billed does.
constexpr statement user_days{"user_days", R"sql(
  INSERT INTO usage_daily AS old (
    user_id, day, account_owner_id, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
    opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb,
    offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
  SELECT u.id, p.day, u.account_owner_id, sum(p.cpu_hours), sum(p.gpu_hours), sum(p.ram_gb_hours),
    sum(p.upstream_cost), sum(p.online_gb_hours), sum(p.offline_gb_hours), sum(p.online_gb),
    sum(p.offline_gb), sum(p.credits), sum(p.compute_cost), sum(p.storage_cost), $3, $3
  FROM unnest($1::text[], $2::date[]) AS d(user_id, day)
  JOIN usage_project_daily p ON p.user_id = d.user_id AND p.day = d.day
  JOIN users u ON u.id = d.user_id
  GROUP BY u.id, p.day
  ON CONFLICT (user_id, day) DO UPDATE SET
    opencost_cpu_hours = EXCLUDED.opencost_cpu_hours,
    opencost_gpu_hours = EXCLUDED.opencost_gpu_hours,
    opencost_ram_gb_hours = EXCLUDED.opencost_ram_gb_hours,
    opencost_total_cost = EXCLUDED.opencost_total_cost,
    online_storage_gb_hours = EXCLUDED.online_storage_gb_hours,
    offline_storage_gb_hours = EXCLUDED.offline_storage_gb_hours,
    online_storage_gb = EXCLUDED.online_storage_gb,
    offline_storage_gb = EXCLUDED.offline_storage_gb,
    total_credits = EXCLUDED.total_credits,
    compute_cost = EXCLUDED.compute_cost,
    storage_cost = EXCLUDED.storage_cost,
    updated_at = EXCLUDED.updated_at,
    (revision, reported_to_stripe) = (
      SELECT old.revision + changed::int, old.reported_to_stripe AND NOT changed
      FROM (SELECT (old.total_credits, old.compute_cost, old.storage_cost, old.online_storage_gb,
                    old.offline_storage_gb, old.online_storage_gb_hours,
                    old.offline_storage_gb_hours)
              IS DISTINCT FROM
                   (EXCLUDED.total_credits, EXCLUDED.compute_cost, EXCLUDED.storage_cost,
                    EXCLUDED.online_storage_gb, EXCLUDED.offline_storage_gb,
                    EXCLUDED.online_storage_gb_hours, EXCLUDED.offline_storage_gb_hours))
           AS _(changed))
)sql"};

namespace {

/// The first day of the run of consecutive days that begins at `first`, that is not in it.
std::set<date>::const_iterator end_of_run(const std::set<date>& days,
                                          std::set<date>::const_iterator first) {
  auto next = std::chrono::sys_days{*first};
  while (first != days.end() && std::chrono::sys_days{*first} == next) {
    ++first;
    next += std::chrono::days{1};
  }
  return first;
}

} // namespace

void recompute_days(transaction& tx, const cluster_id& cluster, const std::set<date>& days,
                    const std::optional<std::string>& only, time_point now) {
  std::set<std::pair<std::string, std::string>> concerned;
  for (auto first = days.begin(); first != days.end();) {
    auto end = end_of_run(days, first);
    auto until = start_of(*std::prev(end)) + std::chrono::days{1};
    for (auto row : exec(tx, project_days, cluster, start_of(*first), until, now, only))
      concerned.emplace(text_of(row[0]), text_of(row[1]));
    first = end;
  }
  if (concerned.empty()) return;

  array_param users, their_days;
  for (const auto& [who, day] : concerned) {
    users.add(std::string_view{who});
    their_days.add(std::string_view{day});
    tx.touch({topic::usage, user_id{who}});
  }
  exec(tx, user_days, users, their_days, now);
  recompute_months(tx, concerned);
}

} // namespace binnacle::persistence
