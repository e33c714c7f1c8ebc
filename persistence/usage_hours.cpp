#include "persistence/sql.hpp"
#include "persistence/usage.hpp"

#include <set>

namespace binnacle::persistence {

constexpr statement missing_of_cluster{"missing_hours", R"sql(
  SELECT hour FROM generate_series($2::timestamptz, $3::timestamptz, interval '1 hour') AS hour
  WHERE hour < $3::timestamptz
    AND NOT EXISTS (SELECT FROM collected_hours c
                    WHERE c.cluster_id = $1 AND c.hour = hour.hour AND c.complete)
  ORDER BY hour LIMIT $4
)sql"};
result<std::vector<time_point>> missing_hours(transaction& tx, const cluster_id& cluster,
                                              time_point from, time_point to, std::int64_t most) {
  std::vector<time_point> out;
  auto first = std::chrono::ceil<hours>(from);
  for (auto row : exec(tx, missing_of_cluster, cluster, time_point{first}, to, most))
    out.push_back(time_of(row[0]));
  return out;
}

// Locks rows in the order of the hours, as every claim does.
constexpr statement claim{"claim_hours", R"sql(
  INSERT INTO collected_hours AS c (cluster_id, hour, holder, lease_until)
  SELECT $1, hour, $3, $4 FROM unnest($2::timestamptz[]) AS hour ORDER BY hour
  ON CONFLICT (cluster_id, hour) DO UPDATE
    SET holder = EXCLUDED.holder, lease_until = EXCLUDED.lease_until
    WHERE (c.holder IS NULL OR c.holder = EXCLUDED.holder OR c.lease_until <= $6)
      AND ($5::boolean OR NOT c.complete)
  RETURNING hour
)sql"};
result<std::vector<time_point>> claim_hours(transaction& tx, const cluster_id& cluster,
                                            const std::vector<time_point>& hours,
                                            const std::string& holder,
                                            std::chrono::milliseconds lease, bool again,
                                            time_point now) {
  std::set<time_point> distinct{hours.begin(), hours.end()};
  std::set<time_point> got;
  for (auto row : exec(tx, claim, cluster, array_of(distinct), holder, now + lease, again, now))
    got.insert(time_of(row[0]));
  return std::vector<time_point>{got.begin(), got.end()};
}

constexpr statement release{"release_hours", R"sql(
  UPDATE collected_hours SET holder = NULL, lease_until = NULL, failure = $4
  WHERE cluster_id = $1 AND hour = ANY($2::timestamptz[]) AND holder = $3
)sql"};
result<done> release_hours(transaction& tx, const cluster_id& cluster,
                           const std::vector<time_point>& hours, const std::string& holder,
                           const std::string& why, time_point) {
  exec(tx, release, cluster, array_of(hours), holder, why);
  return done{};
}

} // namespace binnacle::persistence
