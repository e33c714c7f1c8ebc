#include "persistence/hub_projects.hpp"

#include "persistence/billing_accounts.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement projects_of{"hub_projects_of", R"sql(
  SELECT p.id, p.title, p.description, p.status,
    coalesce(100 * count(t.done_at) / nullif(count(t.id), 0), 0), p.updated_at
  FROM hub_projects p LEFT JOIN hub_tasks t ON t.project_id = p.id
  WHERE p.user_id = $1
  GROUP BY p.id
  ORDER BY p.updated_at DESC, p.id DESC
)sql"};
result<std::vector<hub_project>> hub_projects_of(transaction& tx, const user_id& who) {
  std::vector<hub_project> out;
  for (auto row : exec(tx, projects_of, who))
    out.push_back({.id = text_of(row[0]),
                   .title = text_of(row[1]),
                   .description = text_of(row[2]),
                   .status = text_of(row[3]),
                   .progress = integer_of(row[4]),
                   .updated_at = time_of(row[5])});
  return out;
}

namespace {

fault too_many(const char* of_what) {
  return {errc::unprocessable, std::string{"There are too many "} + of_what, {}, {}};
}

} // namespace

constexpr statement add_project{"add_hub_project", R"sql(
  INSERT INTO hub_projects (id, user_id, title, created_at, updated_at)
  SELECT $2, $1, $3, $4, $4
  WHERE (SELECT count(*) FROM hub_projects WHERE user_id = $1) < $5
)sql"};
result<done> add_hub_project(transaction& tx, const user_id& who, const std::string& id,
                             const std::string& title, time_point now) {
  if (auto held = hold_account(tx, who); !held) return held; // counted one at a time
  auto added = exec(tx, add_project, who, id, title, now, most_hub_projects);
  if (added.affected_rows() == 0) return too_many("projects");
  return done{};
}

constexpr statement add_task{"add_hub_task", R"sql(
  WITH changed AS (
    UPDATE hub_projects SET updated_at = $4
    WHERE id = (SELECT id FROM hub_projects WHERE user_id = $1 AND status = 'active'
                ORDER BY updated_at DESC, id DESC LIMIT 1)
    RETURNING id)
  INSERT INTO hub_tasks (id, user_id, project_id, title, created_at)
  SELECT $2, $1, (SELECT id FROM changed), $3, $4
  WHERE (SELECT count(*) FROM hub_tasks WHERE user_id = $1) < $5
)sql"};
result<done> add_hub_task(transaction& tx, const user_id& who, const std::string& id,
                          const std::string& title, time_point now) {
  if (auto held = hold_account(tx, who); !held) return held;
  auto added = exec(tx, add_task, who, id, title, now, most_hub_tasks);
  if (added.affected_rows() == 0) return too_many("tasks");
  return done{};
}

constexpr statement counts{"count_for_hub", R"sql(
  SELECT (SELECT count(*) FROM hub_projects WHERE user_id = u.id),
    (SELECT count(*) FROM hub_tasks WHERE user_id = u.id),
    (SELECT count(*) FROM users m
     WHERE coalesce(u.account_owner_id, u.id) IN (m.id, m.account_owner_id)
       AND m.status <> 'deleted')
  FROM users u WHERE u.id = $1
)sql"};
result<hub_counts> count_for_hub(transaction& tx, const user_id& who) {
  auto rows = exec(tx, counts, who);
  if (rows.empty()) return missing("User not found");
  return hub_counts{integer_of(rows[0][0]), integer_of(rows[0][1]), integer_of(rows[0][2])};
}

} // namespace binnacle::persistence
