#include "persistence/project_users.hpp"

#include "persistence/sql.hpp"

#include <charconv>

namespace binnacle::persistence {
namespace {

#define PROJECT_USER_COLUMNS                                                                       \
  "u.id, u.email, u.name, u.last_auth_provider, u.login_count, u.created_at, u.last_login_at, "    \
  "u.blocked_at"

project_user user_of_project(const pqxx::row& row, int at = 0) {
  return {.id = {text_of(row[at])},
          .email = text_of(row[at + 1]),
          .name = text_of(row[at + 2]),
          .last_auth_provider = text_of(row[at + 3]),
          .login_count = integer_of(row[at + 4]),
          .created_at = time_of(row[at + 5]),
          .last_login_at = maybe_time(row[at + 6]),
          .blocked_at = maybe_time(row[at + 7])};
}

std::uint64_t moment_of(cell c) {
  std::string_view text{c.text};
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

} // namespace

constexpr statement add_user{"insert_project_user", R"sql(
  INSERT INTO project_users (id, project_id, email, name, created_at) VALUES ($2, $1, $3, $4, $5)
)sql"};
result<done> insert_project_user(transaction& tx, const developer_project_id& project,
                                 const project_user& u) {
  return refusing(
      {{"project_users_email", "email", "The project has a user with this email address"}},
      [&] { exec(tx, add_user, project, u.id, u.email, u.name, u.created_at); });
}

constexpr statement set_blocked{"block_project_user", R"sql(
  UPDATE project_users u SET blocked_at = CASE WHEN $3::boolean THEN coalesce(u.blocked_at, $4) END
  WHERE u.project_id = $1 AND u.id = $2
  RETURNING )sql" PROJECT_USER_COLUMNS};
result<project_user> block_project_user(transaction& tx, const developer_project_id& project,
                                        const project_user_id& who, bool blocked, time_point now) {
  auto rows = exec(tx, set_blocked, project, who, blocked, now);
  if (rows.empty()) return missing("User not found");
  return user_of_project(rows[0]);
}

#define BLOCKED_USERS                                                                              \
  "FROM project_users u WHERE u.project_id = $1 AND u.blocked_at IS NOT NULL "                     \
  "AND ($2 = '' OR position($2 IN u.email) > 0)"
constexpr statement count_blocked{"count_blocked_users", "SELECT count(*) " BLOCKED_USERS};
constexpr statement page_of_blocked{"blocked_project_users",
                                    "SELECT " PROJECT_USER_COLUMNS " " BLOCKED_USERS R"sql(
  ORDER BY u.blocked_at DESC, u.id OFFSET $3 LIMIT $4
)sql"};
result<blocked_users> blocked_project_users(transaction& tx, const developer_project_id& project,
                                            const std::string& contains, std::int64_t skip,
                                            std::int64_t limit) {
  blocked_users out;
  out.total = integer_of(exec(tx, count_blocked, project, contains)[0][0]);
  for (auto row : exec(tx, page_of_blocked, project, contains, skip, limit))
    out.users.push_back(user_of_project(row));
  return out;
}

constexpr statement drop_user{"delete_project_user", R"sql(
  DELETE FROM project_users WHERE project_id = $1 AND id = $2
)sql"};
result<done> delete_project_user(transaction& tx, const developer_project_id& project,
                                 const project_user_id& who) {
  if (exec(tx, drop_user, project, who).affected_rows() == 0) return missing("User not found");
  return done{};
}

constexpr statement lets_in{"project_lets_in", R"sql(
  SELECT $2 = ANY (allowed_providers) FROM developer_projects WHERE id = $1 AND deleted_at IS NULL
)sql"};
// One person, whose address may have become that of another row: the row they logged in with first.
constexpr statement note_login{"record_project_login", R"sql(
  UPDATE project_users SET user_id = $2, last_login_at = $5, last_auth_provider = $4,
    login_count = login_count + 1
  WHERE blocked_at IS NULL AND id = (
    SELECT id FROM project_users WHERE project_id = $1 AND (user_id = $2
      OR (user_id IS NULL AND email = $3))
    ORDER BY user_id NULLS LAST, id LIMIT 1)
)sql"};
result<done> record_project_login(transaction& tx, const developer_project_id& project,
                                  const project_login& by, time_point now) {
  auto refused = [](const char* text) { return fault{errc::forbidden, text, {}, {}}; };
  auto found = exec(tx, lets_in, project, by.provider);
  if (found.empty()) return missing("Project not found");
  if (!truth_of(found[0][0])) return refused("The project does not accept this kind of login");
  if (exec(tx, note_login, project, by.who, by.email, by.provider, now).affected_rows() == 0)
    return refused("You are no user of this project");
  return done{};
}

// -- all of them ---------------------------------------------------------------------------------

// The moment in every row, and in one of its own when there is nothing else.
constexpr statement changes_of{"project_users_changed",
                               "SELECT pg_snapshot_xmin(pg_current_snapshot()), c.*\n"
                               "FROM (VALUES (1)) one LEFT JOIN (\n"
                               "  SELECT " PROJECT_USER_COLUMNS R"sql(
    FROM project_users u WHERE u.project_id = $1 AND u.changed_in >= $2::xid8
    UNION ALL
    SELECT r.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM project_users_removed r WHERE r.project_id = $1 AND r.changed_in >= $2::xid8
    LIMIT $3
  ) c ON true
)sql"};
result<project_user_changes> project_users_changed(transaction& tx,
                                                   const developer_project_id& project,
                                                   std::uint64_t since, std::int64_t most) {
  auto rows = exec(tx, changes_of, project, since, most + 1);
  project_user_changes out;
  out.as_of = moment_of(rows[0][0]);
  out.too_many = static_cast<std::int64_t>(rows.size()) > most;
  if (out.too_many || cell{rows[0][1]}.is_null()) return out;
  for (auto row : rows)
    if (cell{row[2]}.is_null())
      out.removed.push_back({text_of(row[1])});
    else
      out.changed.push_back(user_of_project(row, 1));
  return out;
}

constexpr statement moment{"project_users_moment", R"sql(
  SELECT pg_snapshot_xmin(pg_current_snapshot())
)sql"};
// A cursor: a million rows at once would be in memory twice.
constexpr statement open_users{
    "open_project_users",
    "DECLARE all_project_users NO SCROLL CURSOR FOR SELECT " PROJECT_USER_COLUMNS
    R"sql(
  FROM project_users u WHERE u.project_id = $1 AND u.blocked_at IS NULL
  ORDER BY u.last_login_at DESC NULLS LAST, u.id
)sql"};
constexpr statement fetch_users{"fetch_project_users", "FETCH 20000 FROM all_project_users"};
constexpr statement close_users{"close_project_users", "CLOSE all_project_users"};
result<std::uint64_t> read_project_users(transaction& tx, const developer_project_id& project,
                                         const std::function<void(project_user&&)>& take) {
  auto as_of = moment_of(exec(tx, moment)[0][0]);
  exec(tx, open_users, project);
  for (auto rows = exec(tx, fetch_users); !rows.empty(); rows = exec(tx, fetch_users))
    for (auto row : rows) take(user_of_project(row));
  exec(tx, close_users);
  return as_of;
}

constexpr statement sweep_removed{"forget_removed_users", R"sql(
  DELETE FROM project_users_removed WHERE removed_at < $1
)sql"};
result<std::int64_t> forget_removed_users(transaction& tx, time_point before) {
  return static_cast<std::int64_t>(exec(tx, sweep_removed, before).affected_rows());
}

} // namespace binnacle::persistence
