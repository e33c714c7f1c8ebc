#include "persistence/hopsworks_accounts.hpp"

#include "persistence/health_checks.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement holder_of_account{"find_hopsworks_holder", R"sql(
  SELECT u.account_owner_id, coalesce(u.email, ''), u.name, i.subject, i.issuer,
         u.status = 'active',
         u.account_owner_id IS NULL AND (
           coalesce(u.billing_mode, '') = 'prepaid' OR EXISTS (
             SELECT FROM subscriptions s WHERE s.user_id = u.id AND s.kind = 'usage'
               AND s.status IN ('active', 'trialing', 'past_due'))),
         a.cluster_id, a.hopsworks_user_id, a.hopsworks_username, a.active_projects
  FROM users u
  LEFT JOIN user_hopsworks_assignments a ON a.user_id = u.id
  LEFT JOIN LATERAL (
    SELECT subject, issuer FROM identities WHERE user_id = u.id ORDER BY created_at, issuer LIMIT 1
  ) i ON true
  WHERE u.id = $1
)sql"};
result<std::optional<hopsworks_holder>> find_hopsworks_holder(transaction& tx, const user_id& who) {
  auto found = exec(tx, holder_of_account, who);
  if (found.empty()) return missing("User not found");
  const auto& row = found[0];
  if (row[7].is_null()) return std::optional<hopsworks_holder>{};
  auto where = find_cluster(tx, {text_of(row[7])});
  if (!where) return where.error();
  hopsworks_holder out{.who = who,
                       .account_owner = {text_of(row[0])},
                       .email = text_of(row[1]),
                       .name = text_of(row[2]),
                       .subject = row[3].is_null() ? who.value : text_of(row[3]),
                       .issuer = text_of(row[4]),
                       .active = truth_of(row[5]),
                       .entitled = truth_of(row[6]),
                       .where = where->value_or(cluster{}),
                       .known = {optional_of<std::int64_t>(row[8], integer_of), text_of(row[9]),
                                 integer_of(row[10])}};
  return std::optional{std::move(out)};
}

constexpr statement store_account{"store_hopsworks_account", R"sql(
  UPDATE user_hopsworks_assignments a
  SET hopsworks_user_id = $3, hopsworks_username = $4, active_projects = $5
  FROM user_hopsworks_assignments before
  WHERE a.user_id = $1 AND a.cluster_id = $2 AND before.user_id = a.user_id
    AND (a.hopsworks_user_id, a.hopsworks_username, a.active_projects) IS DISTINCT FROM ($3, $4, $5)
  RETURNING before.active_projects <> $5, before.hopsworks_username <> $4
)sql"};
result<done> store_hopsworks_account(transaction& tx, const user_id& who, const cluster_id& where,
                                     const hopsworks_account& seen) {
  for (auto row :
       exec(tx, store_account, who, where, seen.id, seen.username, seen.active_projects)) {
    if (truth_of(row[0])) tx.touch({topic::usage, who});
    if (truth_of(row[1])) tx.touch({topic::identity, who});
  }
  return done{};
}

// -- the outbox ----------------------------------------------------------------------------------

constexpr statement hold_due_accounts{"hold_accounts", R"sql(
  WITH due AS MATERIALIZED (
    SELECT o.user_id FROM hopsworks_outbox o
    JOIN user_hopsworks_assignments a ON a.user_id = o.user_id
    JOIN clusters c ON c.id = a.cluster_id
    WHERE o.next_attempt_at <= $4 AND c.api_key_sealed <> ''
    ORDER BY o.next_attempt_at LIMIT $3 FOR UPDATE OF o SKIP LOCKED)
  UPDATE hopsworks_outbox o
  SET holder = $1, attempts = attempts + 1, next_attempt_at = $2
  FROM due WHERE o.user_id = due.user_id
  RETURNING o.user_id, o.revision, o.attempts
)sql"};
result<std::vector<held_account>> hold_accounts(transaction& tx, const std::string& holder,
                                                milliseconds lease, std::int64_t most,
                                                time_point now) {
  std::vector<held_account> out;
  for (auto row : exec(tx, hold_due_accounts, holder, now + lease, most, now))
    out.push_back({{text_of(row[0])}, integer_of(row[1]), integer_of(row[2]), holder});
  return out;
}

constexpr statement settle_account{"finish_account", R"sql(
  DELETE FROM hopsworks_outbox
  WHERE user_id = $1 AND holder = $2 AND attempts = $3 AND revision = $4
)sql"};
constexpr statement release_account{"release_account", R"sql(
  UPDATE hopsworks_outbox
  SET holder = NULL, last_error = nullif($5, ''),
    attempts = CASE WHEN revision = $4 THEN attempts ELSE 0 END,
    next_attempt_at = CASE WHEN revision = $4 THEN $6::timestamptz ELSE '-infinity' END
  WHERE user_id = $1 AND holder = $2 AND attempts = $3
)sql"};
constexpr const char* account_check = "hopsworks_user";

result<done> finish_account(transaction& tx, const held_account& a, time_point now) {
  if (exec(tx, settle_account, a.who, a.holder, a.attempt, a.revision).affected_rows() == 0)
    exec(tx, release_account, a.who, a.holder, a.attempt, a.revision, "", now);
  return resolve_health_failure(tx, a.who, account_check, "The account is in line", now);
}

result<done> fail_account(transaction& tx, const held_account& a, const std::string& why,
                          time_point again) {
  exec(tx, release_account, a.who, a.holder, a.attempt, a.revision, why, again);
  return done{};
}

constexpr statement accounts_waiting{"count_accounts", "SELECT count(*) FROM hopsworks_outbox"};
result<std::int64_t> count_accounts(transaction& tx) {
  return integer_of(exec(tx, accounts_waiting)[0][0]);
}

// -- roles in projects ---------------------------------------------------------------------------

constexpr statement put_role{"store_project_role", R"sql(
  INSERT INTO project_member_roles (member_id, account_owner_id, cluster_id, project_id,
    project_name, role, synced_to_hopsworks, last_sync_at, sync_error, added_by, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7 = '', $9, nullif($7, ''), $8, $9)
  ON CONFLICT (member_id, cluster_id, project_id) DO UPDATE SET
    account_owner_id = EXCLUDED.account_owner_id, project_name = EXCLUDED.project_name,
    role = EXCLUDED.role, synced_to_hopsworks = EXCLUDED.synced_to_hopsworks,
    last_sync_at = EXCLUDED.last_sync_at, sync_error = EXCLUDED.sync_error,
    added_by = EXCLUDED.added_by
)sql"};
result<done> store_project_role(transaction& tx, const project_role& r, time_point now) {
  exec(tx, put_role, r.member, or_null(r.account_owner), r.cluster, r.project_id, r.project_name,
       r.role, r.failure, r.added_by, now);
  return done{};
}

constexpr statement roles_of_member{"project_roles_of", R"sql(
  SELECT account_owner_id, cluster_id, project_id, project_name, role, sync_error, added_by
  FROM project_member_roles WHERE member_id = $1 ORDER BY project_name, project_id
)sql"};
result<std::vector<project_role>> project_roles_of(transaction& tx, const user_id& member) {
  std::vector<project_role> out;
  for (auto row : exec(tx, roles_of_member, member))
    out.push_back({.member = member,
                   .account_owner = {text_of(row[0])},
                   .cluster = {text_of(row[1])},
                   .project_id = integer_of(row[2]),
                   .project_name = text_of(row[3]),
                   .role = text_of(row[4]),
                   .failure = text_of(row[5]),
                   .added_by = {text_of(row[6])}});
  return out;
}

} // namespace binnacle::persistence
