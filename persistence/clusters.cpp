#include "persistence/clusters.hpp"

#include "persistence/sql.hpp"
#include "persistence/usage_days.hpp"
#include "persistence/usage_months.hpp"

namespace binnacle::persistence {

#define CLUSTER_COLUMNS                                                                            \
  "c.id, c.name, c.api_url, c.api_key_sealed, c.kubeconfig_sealed, c.max_users, "                  \
  "(SELECT count(*) FROM user_hopsworks_assignments a WHERE a.cluster_id = c.id), c.status, "      \
  "c.region, c.verify_tls, c.created_at, c.updated_at"

namespace {

cluster cluster_of(const pqxx::row& row) {
  return {
      .id = {text_of(row[0])},
      .name = text_of(row[1]),
      .api_url = text_of(row[2]),
      .api_key_sealed = text_of(row[3]),
      .kubeconfig_sealed = text_of(row[4]),
      .max_users = integer_of(row[5]),
      .current_users = integer_of(row[6]),
      .status = text_of(row[7]),
      .region = text_of(row[8]),
      .verify_tls = truth_of(row[9]),
      .created_at = time_of(row[10]),
      .updated_at = time_of(row[11]),
  };
}

std::optional<cluster> first_cluster(const pqxx::result& rows) {
  if (rows.empty()) return {};
  return cluster_of(rows[0]);
}

constexpr std::initializer_list<taken> name_is_unique{
    {"clusters_name_key", "name", "This name is taken"},
    {"clusters_pkey", "id", "This cluster exists"},
};

} // namespace

constexpr statement every_cluster{"list_clusters",
                                  "SELECT " CLUSTER_COLUMNS " FROM clusters c ORDER BY c.name"};
result<std::vector<cluster>> list_clusters(transaction& tx) {
  std::vector<cluster> out;
  for (auto row : exec(tx, every_cluster)) out.push_back(cluster_of(row));
  return out;
}

constexpr statement cluster_by_id{"find_cluster",
                                  "SELECT " CLUSTER_COLUMNS " FROM clusters c WHERE c.id = $1"};
result<std::optional<cluster>> find_cluster(transaction& tx, const cluster_id& which) {
  return first_cluster(exec(tx, cluster_by_id, which));
}

constexpr statement cluster_by_name{"find_cluster_by_name",
                                    "SELECT " CLUSTER_COLUMNS " FROM clusters c WHERE c.name = $1"};
result<std::optional<cluster>> find_cluster_by_name(transaction& tx, const std::string& name) {
  return first_cluster(exec(tx, cluster_by_name, name));
}

constexpr statement add_cluster{"insert_cluster", R"sql(
  INSERT INTO clusters (id, name, api_url, api_key_sealed, kubeconfig_sealed, max_users, status,
                        region, verify_tls, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
)sql"};
result<done> insert_cluster(transaction& tx, const cluster& c, time_point now) {
  auto inserted = refusing(name_is_unique, [&] {
    exec(tx, add_cluster, c.id, c.name, c.api_url, c.api_key_sealed, c.kubeconfig_sealed,
         c.max_users, c.status, c.region, c.verify_tls, now);
  });
  if (inserted) tx.touch({topic::clusters, {}});
  return inserted;
}

constexpr statement patch_cluster{"update_cluster", R"sql(
  UPDATE clusters SET
    name = coalesce($2, name), api_url = coalesce($3, api_url),
    api_key_sealed = coalesce($4, api_key_sealed),
    kubeconfig_sealed = coalesce($5, kubeconfig_sealed), max_users = coalesce($6, max_users),
    status = coalesce($7, status), region = coalesce($8, region),
    verify_tls = coalesce($9, verify_tls), updated_at = $10
  WHERE id = $1
)sql"};
result<cluster> update_cluster(transaction& tx, const cluster_patch& p, time_point now) {
  std::optional<cluster> changed;
  auto updated = refusing(name_is_unique, [&] {
    exec(tx, patch_cluster, p.id, p.name, p.api_url, p.api_key_sealed, p.kubeconfig_sealed,
         p.max_users, p.status, p.region, p.verify_tls, now);
    changed = first_cluster(exec(tx, cluster_by_id, p.id));
  });
  if (!updated) return updated.error();
  if (!changed) return missing("Cluster not found");
  tx.touch({topic::clusters, {}});
  return std::move(*changed);
}

constexpr statement owner_and_cluster_exist{"owner_and_cluster_exist", R"sql(
  SELECT EXISTS (SELECT FROM users WHERE id = $1), EXISTS (SELECT FROM clusters WHERE id = $2)
)sql"};

namespace {

/// The foreign keys would stop it too, but without telling which of the two is missing.
result<done> both_exist(transaction& tx, const user_id& who, const cluster_id& where) {
  auto rows = exec(tx, owner_and_cluster_exist, who, where);
  if (!truth_of(rows[0][0])) return missing("User not found");
  if (!truth_of(rows[0][1])) return missing("Cluster not found");
  return done{};
}

} // namespace

constexpr statement own_namespace{"assign_project", R"sql(
  INSERT INTO user_projects AS p (user_id, cluster_id, namespace, name, upstream_id, status,
                                  last_seen_at, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, 'active', $6, $6, $6)
  ON CONFLICT (cluster_id, namespace, user_id) DO UPDATE SET
    name = EXCLUDED.name, upstream_id = coalesce(EXCLUDED.upstream_id, p.upstream_id),
    status = 'active', last_seen_at = EXCLUDED.last_seen_at, updated_at = EXCLUDED.updated_at
)sql"};
constexpr statement attribute_usage{"attribute_usage", R"sql(
  UPDATE usage_hourly SET user_id = $1, updated_at = $4
  WHERE cluster_id = $2 AND namespace = $3 AND user_id IS NULL
  RETURNING hour::date
)sql"};
result<done> assign_project(transaction& tx, const project& p, time_point now) {
  // Against a booking that looked for an owner just before this one appeared.
  lock_usage(tx);
  if (auto ready = both_exist(tx, p.owner, p.cluster); !ready) return ready;
  auto assigned = refusing(
      {{"user_projects_one_owner", "namespace", "This namespace belongs to another user"}}, [&] {
        exec(tx, own_namespace, p.owner, p.cluster, p.name_space, p.name, p.upstream_id, now);
      });
  if (!assigned) return assigned;
  std::set<date> days;
  for (auto row : exec(tx, attribute_usage, p.owner, p.cluster, p.name_space, now))
    days.insert(day_of(row[0]));
  recompute_days(tx, p.cluster, days, p.name_space, now);
  recompute_months(tx, p.owner); // they show the project's name
  tx.touch({topic::usage, p.owner});
  return done{};
}

constexpr statement projects_of_user{"projects_of", R"sql(
  SELECT user_id, cluster_id, name, namespace, upstream_id, created_at FROM user_projects
  WHERE user_id = $1 AND status = 'active' ORDER BY name, cluster_id, namespace
)sql"};
result<std::vector<project>> projects_of(transaction& tx, const user_id& who) {
  std::vector<project> out;
  for (auto row : exec(tx, projects_of_user, who))
    out.push_back({{text_of(row[0])},
                   {text_of(row[1])},
                   text_of(row[2]),
                   text_of(row[3]),
                   optional_of<std::int64_t>(row[4], integer_of),
                   time_of(row[5])});
  return out;
}

constexpr statement put_on_cluster{"assign_cluster", R"sql(
  INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_by, assigned_at)
  VALUES ($1, $2, $3, $4)
  ON CONFLICT (user_id) DO UPDATE SET
    cluster_id = EXCLUDED.cluster_id, assigned_by = EXCLUDED.assigned_by,
    assigned_at = EXCLUDED.assigned_at, hopsworks_user_id = NULL, hopsworks_username = '',
    active_projects = 0
    WHERE user_hopsworks_assignments.cluster_id <> EXCLUDED.cluster_id
)sql"};
result<done> assign_cluster(transaction& tx, const user_id& who, const cluster_id& where,
                            const user_id& assigned_by, time_point now) {
  if (auto ready = both_exist(tx, who, where); !ready) return ready;
  if (exec(tx, put_on_cluster, who, where, assigned_by, now).affected_rows() > 0) {
    tx.touch({topic::clusters, {}}); // the count of users
    tx.touch({topic::usage, who});
  }
  return done{};
}

constexpr statement take_off_cluster{"unassign_cluster", R"sql(
  DELETE FROM user_hopsworks_assignments WHERE user_id = $1 AND cluster_id = $2
)sql"};
result<bool> unassign_cluster(transaction& tx, const user_id& who, const cluster_id& where) {
  if (exec(tx, take_off_cluster, who, where).affected_rows() == 0) return false;
  tx.touch({topic::clusters, {}}); // the count of users
  tx.touch({topic::usage, who});
  return true;
}

// Those who look for room take turns, so that no cluster gets more users than it has room for.
constexpr statement turn_of_assignment{
    "turn_of_assignment", "SELECT pg_advisory_xact_lock(hashtextextended('binnacle.clusters', 0))"};
constexpr statement assignment_of{"assignment_of", R"sql(
  SELECT u.account_owner_id, mine.cluster_id, owners.cluster_id
  FROM users u
  LEFT JOIN user_hopsworks_assignments mine ON mine.user_id = u.id
  LEFT JOIN user_hopsworks_assignments owners ON owners.user_id = u.account_owner_id
  WHERE u.id = $1
)sql"};
constexpr statement freest_cluster{"freest_cluster", R"sql(
  SELECT c.id FROM clusters c
  CROSS JOIN LATERAL (
    SELECT count(*) AS users FROM user_hopsworks_assignments a WHERE a.cluster_id = c.id) n
  WHERE c.status = 'active' AND n.users < c.max_users
  ORDER BY n.users, c.created_at, c.id LIMIT 1
)sql"};
result<cluster_id> assign_free_cluster(transaction& tx, const user_id& who, time_point now) {
  auto refuse = [](const char* why) { return fault{errc::unprocessable, why, {}, {}}; };
  exec(tx, turn_of_assignment);
  auto found = exec(tx, assignment_of, who);
  if (found.empty()) return missing("User not found");
  cluster_id mine{text_of(found[0][1])};
  if (!mine.empty()) return mine;
  if (!text_of(found[0][0]).empty()) {
    mine.value = text_of(found[0][2]);
    if (mine.empty()) return refuse("Account owner must be assigned to a cluster first");
  } else {
    auto freest = exec(tx, freest_cluster);
    if (freest.empty()) return refuse("No available clusters with capacity");
    mine.value = text_of(freest[0][0]);
  }
  if (auto put = assign_cluster(tx, who, mine, user_id{}, now); !put) return put.error();
  return mine;
}

constexpr statement users_cluster{"cluster_of_user", "SELECT " CLUSTER_COLUMNS R"sql(
  FROM user_hopsworks_assignments mine JOIN clusters c ON c.id = mine.cluster_id
  WHERE mine.user_id = $1
)sql"};
result<std::optional<cluster>> cluster_of_user(transaction& tx, const user_id& who) {
  return first_cluster(exec(tx, users_cluster, who));
}

} // namespace binnacle::persistence
