#include "persistence/admin_users.hpp"

#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence {
namespace {

admin_user admin_user_of(const pqxx::row& row) {
  return {.id = {text_of(row[0])},
          .username = text_of(row[1]),
          .email = text_of(row[2]),
          .name = text_of(row[3]),
          .status = text_of(row[4]),
          .is_admin = truth_of(row[5]),
          .plan = text_of(row[6]),
          .account_owner = text_of(row[7]),
          .billing_mode = text_of(row[8]),
          .feature_flags = text_of(row[9]),
          .metadata = text_of(row[10]),
          .registration_ip = text_of(row[11]),
          .login_count = integer_of(row[12]),
          .last_login_at = maybe_time(row[13]),
          .created_at = time_of(row[14]),
          .updated_at = time_of(row[15]),
          .stripe_customer = text_of(row[16]),
          .subscription = text_of(row[17]),
          .subscription_status = text_of(row[18]),
          .cluster = text_of(row[19]),
          .cluster_name = text_of(row[20]),
          .assigned_by = text_of(row[21]),
          .assigned_at = maybe_time(row[22]),
          .recent_cost = decimal_of(row[23])};
}

admin_project admin_project_of(const pqxx::row& row) {
  admin_project out;
  out.owner = {text_of(row[0])};
  out.name_space = text_of(row[1]);
  out.name = text_of(row[2]);
  out.upstream_id = optional_of<std::int64_t>(row[3], integer_of);
  out.active = truth_of(row[4]);
  out.used.cpu_hours = decimal_of(row[5]);
  out.used.gpu_hours = decimal_of(row[6]);
  out.used.ram_gb_hours = decimal_of(row[7]);
  out.cost = decimal_of(row[8]);
  return out;
}

} // namespace

constexpr statement admin_users{"admin_users", R"sql(
  SELECT u.id, u.username, u.email, u.name, u.status, u.is_admin, u.plan, u.account_owner_id,
    u.billing_mode, u.feature_flags::text, u.metadata::text, u.registration_ip, u.login_count,
    u.last_login_at, u.created_at, u.updated_at, c.customer_id, s.id, s.status,
    a.cluster_id, k.name, a.assigned_by, a.assigned_at,
    (SELECT sum(d.total_cost) FROM usage_daily d WHERE d.user_id = u.id AND d.day >= $1)
  FROM users u
  LEFT JOIN stripe_customers c ON c.user_id = u.id
  LEFT JOIN LATERAL (
    SELECT id, status FROM subscriptions
    WHERE user_id = u.id AND kind = 'usage' ORDER BY updated_at DESC, id LIMIT 1) s ON true
  LEFT JOIN user_hopsworks_assignments a ON a.user_id = u.id
  LEFT JOIN clusters k ON k.id = a.cluster_id
  WHERE $2::text IS NULL
    OR (u.created_at, u.id) < (SELECT created_at, id FROM users WHERE id = $2)
  ORDER BY u.created_at DESC, u.id DESC
  LIMIT $3
)sql"};
constexpr statement admin_projects{"admin_projects", R"sql(
  SELECT coalesce(p.user_id, d.user_id) AS owner, coalesce(p.namespace, d.namespace) AS namespace,
    coalesce(p.name, d.namespace), p.upstream_id, coalesce(p.status = 'active', false),
    coalesce(d.cpu, 0), coalesce(d.gpu, 0), coalesce(d.ram, 0), coalesce(d.cost, 0)
  FROM (SELECT * FROM user_projects WHERE user_id = ANY($2::text[])) p
  FULL JOIN (
    SELECT user_id, cluster_id, namespace, sum(cpu_hours) AS cpu, sum(gpu_hours) AS gpu,
      sum(ram_gb_hours) AS ram, sum(compute_cost + storage_cost) AS cost
    FROM usage_project_daily WHERE day >= $1 AND user_id = ANY($2::text[])
    GROUP BY user_id, cluster_id, namespace) d
    ON d.user_id = p.user_id AND d.cluster_id = p.cluster_id AND d.namespace = p.namespace
  WHERE p.status = 'active' OR d.user_id IS NOT NULL
  ORDER BY owner, namespace
)sql"};
result<admin_user_page> list_admin_users(transaction& tx, date since, const user_id& after,
                                         std::int64_t most) {
  if (!after.empty()) {
    auto there = find_user(tx, after);
    if (!there) return there.error();
    if (!*there) return bad_field("cursor", "cursor must be one that was given out");
  }
  admin_user_page out;
  auto limit = most > 0 ? std::optional{most} : std::nullopt;
  array_param ids;
  for (auto row : exec(tx, admin_users, since, or_null(after), limit)) {
    out.users.push_back(admin_user_of(row));
    ids.add(out.users.back().id.value);
  }
  for (auto row : exec(tx, admin_projects, since, ids))
    out.projects.push_back(admin_project_of(row));
  return out;
}

} // namespace binnacle::persistence
