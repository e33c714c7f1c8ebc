#include "persistence/developer_projects.hpp"

#include "persistence/billing_accounts.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {
namespace {

/// Neither origins nor providers contain line ends.
std::vector<std::string> lines_of(cell c) {
  std::vector<std::string> out;
  std::string_view rest = c.is_null() ? "" : c.text;
  while (!rest.empty()) {
    auto end = rest.find('\n');
    out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  return out;
}

developer_project project_of(const pqxx::row& row) {
  return {.id = {text_of(row[0])},
          .name = text_of(row[1]),
          .description = text_of(row[2]),
          .allowed_origins = lines_of(row[3]),
          .allowed_providers = lines_of(row[4]),
          .user_count = integer_of(row[5]),
          .api_key_count = integer_of(row[6]),
          .created_at = time_of(row[7]),
          .updated_at = time_of(row[8])};
}

result<done> owned_by(const user_id& owner, const pqxx::result& found) {
  if (found.empty()) return missing("Project not found");
  if (text_of(found[0][0]) != owner.value)
    return fault{errc::forbidden, "You don't own this project", {}, {}};
  return done{};
}

} // namespace

#define PROJECT_COLUMNS                                                                            \
  "p.id, p.name, p.description, array_to_string(p.allowed_origins, E'\\n'), "                      \
  "array_to_string(p.allowed_providers, E'\\n'), p.user_count, "                                   \
  "(SELECT count(*) FROM project_api_keys k WHERE k.project_id = p.id AND k.status = 'active'), "  \
  "p.created_at, p.updated_at"

constexpr statement projects_of{"developer_projects_of", "SELECT " PROJECT_COLUMNS R"sql(
  FROM developer_projects p
  WHERE p.owner_id = $1 AND p.deleted_at IS NULL
  ORDER BY p.created_at DESC, p.id DESC
)sql"};
result<std::vector<developer_project>> developer_projects_of(transaction& tx,
                                                             const user_id& owner) {
  std::vector<developer_project> out;
  for (auto row : exec(tx, projects_of, owner)) out.push_back(project_of(row));
  return out;
}

constexpr statement one_project{"find_developer_project", "SELECT " PROJECT_COLUMNS R"sql(,
    p.owner_id
  FROM developer_projects p
  WHERE p.id = $1 AND p.deleted_at IS NULL
)sql"};
result<developer_project> find_developer_project(transaction& tx, const user_id& owner,
                                                 const developer_project_id& id) {
  auto found = exec(tx, one_project, id);
  if (found.empty()) return missing("Project not found");
  if (text_of(found[0]["owner_id"]) != owner.value)
    return fault{errc::forbidden, "You don't own this project", {}, {}};
  return project_of(found[0]);
}

constexpr statement owner_of{"own_developer_project", R"sql(
  SELECT owner_id FROM developer_projects WHERE id = $1 AND deleted_at IS NULL
)sql"};
result<done> own_developer_project(transaction& tx, const user_id& owner,
                                   const developer_project_id& id) {
  return owned_by(owner, exec(tx, owner_of, id));
}

constexpr statement hold_project{"hold_developer_project", R"sql(
  SELECT owner_id FROM developer_projects WHERE id = $1 AND deleted_at IS NULL
  FOR NO KEY UPDATE
)sql"};
result<done> hold_developer_project(transaction& tx, const user_id& owner,
                                    const developer_project_id& id) {
  return owned_by(owner, exec(tx, hold_project, id));
}

constexpr statement add_project{"insert_developer_project", R"sql(
  INSERT INTO developer_projects (id, owner_id, name, description, allowed_origins,
                                  allowed_providers, created_at, updated_at)
  SELECT $2, $1, $3, $4, $5, $6, $7, $7
  WHERE (SELECT count(*) FROM developer_projects WHERE owner_id = $1 AND deleted_at IS NULL) < $8
)sql"};
result<done> insert_developer_project(transaction& tx, const user_id& owner,
                                      const developer_project& p) {
  if (auto held = hold_account(tx, owner); !held) return held; // counted one at a time
  auto added = exec(tx, add_project, owner, p.id, p.name, or_null(p.description),
                    array_of(p.allowed_origins), array_of(p.allowed_providers), p.created_at,
                    most_developer_projects);
  if (added.affected_rows() == 0)
    return fault{errc::unprocessable, "There are too many projects", {}, {}};
  return done{};
}

constexpr statement change_project{"update_developer_project", R"sql(
  UPDATE developer_projects SET
    name = coalesce($2, name),
    description = nullif(coalesce($3, description), ''),
    allowed_origins = coalesce($4, allowed_origins),
    allowed_providers = coalesce($5, allowed_providers),
    updated_at = $6
  WHERE id = $1
)sql"};
result<done> update_developer_project(transaction& tx, const developer_project_id& id,
                                      const developer_project_change& c, time_point now) {
  auto array_or_null = [](const std::optional<std::vector<std::string>>& texts) {
    return texts ? array_of(*texts) : param{nullptr};
  };
  exec(tx, change_project, id, c.name, c.description, array_or_null(c.allowed_origins),
       array_or_null(c.allowed_providers), now);
  return done{};
}

constexpr statement drop_project{"delete_developer_project", R"sql(
  UPDATE developer_projects SET deleted_at = $2, updated_at = $2 WHERE id = $1
  RETURNING owner_id
)sql"};
constexpr statement revoke_keys{"revoke_keys_of_project", R"sql(
  UPDATE project_api_keys SET status = 'revoked', revoked_at = $2
  WHERE project_id = $1 AND status = 'active'
)sql"};
result<done> delete_developer_project(transaction& tx, const developer_project_id& id,
                                      time_point now) {
  auto dropped = exec(tx, drop_project, id, now);
  exec(tx, revoke_keys, id, now);
  for (auto row : dropped) tx.touch({topic::api_keys, {text_of(row[0])}});
  return done{};
}

constexpr statement clear_users{"clear_users_of_deleted_projects", R"sql(
  DELETE FROM project_users WHERE id IN (
    SELECT u.id FROM developer_projects p JOIN project_users u ON u.project_id = p.id
    WHERE p.deleted_at IS NOT NULL LIMIT $1)
)sql"};
constexpr statement clear_projects{"clear_deleted_projects", R"sql(
  DELETE FROM developer_projects p
  WHERE p.deleted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM project_users u WHERE u.project_id = p.id)
)sql"};
result<std::int64_t> clear_deleted_projects(transaction& tx, std::int64_t most) {
  auto users = exec(tx, clear_users, most).affected_rows();
  return static_cast<std::int64_t>(users + exec(tx, clear_projects).affected_rows());
}

constexpr statement origins_of{"allowed_origins_of", R"sql(
  SELECT array_to_string(allowed_origins, E'\n') FROM developer_projects
  WHERE id = $1 AND deleted_at IS NULL
)sql"};
result<std::optional<std::vector<std::string>>> allowed_origins_of(transaction& tx,
                                                                   const developer_project_id& id) {
  auto found = exec(tx, origins_of, id);
  if (found.empty()) return std::optional<std::vector<std::string>>{};
  return std::optional{lines_of(found[0][0])};
}

} // namespace binnacle::persistence
