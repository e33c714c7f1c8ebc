#include "persistence/api_keys.hpp"

#include "persistence/sql.hpp"

#include <sstream>

namespace binnacle::persistence {
namespace {

/// Scopes hold no space (RFC 6749 §3.3).
std::vector<std::string> words_of(cell c) {
  std::istringstream from{text_of(c)};
  std::vector<std::string> out;
  for (std::string word; from >> word;) out.push_back(std::move(word));
  return out;
}

fault no_project() { return missing("Project not found"); }
fault no_key() { return missing("API key not found"); }
fault not_yours() { return {errc::forbidden, "You don't own this project", {}, {}}; }

#define KEY_COLUMNS                                                                                \
  "k.id, k.name, k.client_id, k.secret_last, array_to_string(k.scopes, ' ') AS scopes, "           \
  "k.previous_until, k.revoked_at, k.last_used_at, k.created_at"

api_key key_of(const pqxx::row& row, int at) {
  return {.id = text_of(row[at]),
          .name = text_of(row[at + 1]),
          .client_id = text_of(row[at + 2]),
          .secret_last = text_of(row[at + 3]),
          .scopes = words_of(row[at + 4]),
          .previous_until = maybe_time(row[at + 5]),
          .revoked_at = maybe_time(row[at + 6]),
          .last_used_at = maybe_time(row[at + 7]),
          .created_at = time_of(row[at + 8])};
}

} // namespace

// One row at least where there is the project.
constexpr statement keys_of_project{"list_api_keys", "SELECT p.owner_id = $2, " KEY_COLUMNS R"sql(
  FROM developer_projects p LEFT JOIN project_api_keys k ON k.project_id = p.id
  WHERE p.id = $1 AND p.deleted_at IS NULL
  ORDER BY k.created_at DESC, k.id DESC
)sql"};
result<std::vector<api_key>> list_api_keys(transaction& tx, const user_id& owner,
                                           const developer_project_id& project) {
  auto rows = exec(tx, keys_of_project, project, owner);
  if (rows.empty()) return no_project();
  if (!truth_of(rows[0][0])) return not_yours();
  std::vector<api_key> out;
  for (auto row : rows)
    if (!row[1].is_null()) out.push_back(key_of(row, 1));
  return out;
}

constexpr statement active_keys{"count_active_api_keys", R"sql(
  SELECT count(*) FROM project_api_keys WHERE project_id = $1 AND status = 'active'
)sql"};
constexpr statement add_key{"insert_api_key", R"sql(
  INSERT INTO project_api_keys (id, project_id, name, client_id, secret_digest, secret_last, scopes,
                                created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7::text[], $8)
)sql"};
result<done> insert_api_key(transaction& tx, const user_id& owner,
                            const developer_project_id& project, const api_key& k,
                            const hashed_secret& s) {
  if (auto mine = hold_developer_project(tx, owner, project); !mine) return mine;
  if (integer_of(exec(tx, active_keys, project)[0][0]) >= most_active_api_keys)
    return fault{errc::conflict, "The project has too many active API keys", {}, {}};
  exec(tx, add_key, k.id, project, k.name, k.client_id, bytes(s.digest), s.last, array_of(k.scopes),
       k.created_at);
  tx.touch({topic::api_keys, owner});
  return done{};
}

constexpr statement key_state{"lock_api_key", "SELECT " KEY_COLUMNS R"sql(
  FROM project_api_keys k WHERE k.project_id = $1 AND k.id = $2 FOR NO KEY UPDATE
)sql"};
constexpr statement revoke_key{"revoke_api_key", R"sql(
  UPDATE project_api_keys SET status = 'revoked', revoked_at = $2 WHERE id = $1
)sql"};
result<api_key> revoke_api_key(transaction& tx, const user_id& owner,
                               const developer_project_id& project, const std::string& key,
                               time_point now) {
  if (auto mine = hold_developer_project(tx, owner, project); !mine) return mine.error();
  auto rows = exec(tx, key_state, project, key);
  if (rows.empty()) return no_key();
  auto out = key_of(rows[0], 0);
  if (out.revoked_at) return out;
  out.revoked_at = std::chrono::floor<seconds>(now);
  exec(tx, revoke_key, key, *out.revoked_at);
  tx.touch({topic::api_keys, owner});
  return out;
}

constexpr statement rotate_key{"rotate_api_key", R"sql(
  UPDATE project_api_keys
  SET previous_digest = CASE WHEN $4 > $5::timestamptz THEN secret_digest END,
      previous_until = CASE WHEN $4 > $5::timestamptz THEN $4::timestamptz END,
      secret_digest = $2, secret_last = $3
  WHERE id = $1
)sql"};
result<api_key> rotate_api_key(transaction& tx, const user_id& owner,
                               const developer_project_id& project, const std::string& key,
                               const hashed_secret& fresh, time_point previous_until,
                               time_point now) {
  if (auto mine = hold_developer_project(tx, owner, project); !mine) return mine.error();
  auto rows = exec(tx, key_state, project, key);
  if (rows.empty()) return no_key();
  auto out = key_of(rows[0], 0);
  if (out.revoked_at) return fault{errc::conflict, "API key has been revoked", {}, {}};
  exec(tx, rotate_key, key, bytes(fresh.digest), fresh.last, previous_until, now);
  out.secret_last = fresh.last;
  out.previous_until = previous_until > now ? std::optional{previous_until} : std::nullopt;
  tx.touch({topic::api_keys, owner});
  return out;
}

constexpr statement verifiable{"find_verifiable_keys", R"sql(
  SELECT k.id, k.project_id, p.owner_id, k.name, k.client_id, k.secret_digest, k.previous_digest,
         k.previous_until, array_to_string(k.scopes, ' ') AS scopes, k.last_used_at
  FROM project_api_keys k
  JOIN developer_projects p ON p.id = k.project_id AND p.deleted_at IS NULL
  JOIN users u ON u.id = p.owner_id AND u.status = 'active'
  WHERE k.client_id = ANY ($1::text[]) AND k.status = 'active'
)sql"};
result<std::vector<verifiable_key>>
find_verifiable_keys(transaction& tx, const std::vector<std::string>& client_ids) {
  std::vector<verifiable_key> out;
  for (auto row : exec(tx, verifiable, array_of(client_ids)))
    out.push_back({.id = text_of(row[0]),
                   .project = {text_of(row[1])},
                   .owner = {text_of(row[2])},
                   .name = text_of(row[3]),
                   .client_id = text_of(row[4]),
                   .digest = raw_of(row[5]),
                   .previous_digest = raw_of(row[6]),
                   .previous_until = maybe_time(row[7]).value_or(time_point{}),
                   .scopes = words_of(row[8]),
                   .last_used_at = maybe_time(row[9])});
  return out;
}

// Locked in order: two nodes that note the same keys wait for each other, once.
constexpr statement note_uses{"note_key_uses", R"sql(
  WITH noted AS (
    SELECT k.id, g.at
    FROM unnest($1::text[], $2::timestamptz[]) AS g (id, at) JOIN project_api_keys k ON k.id = g.id
    WHERE k.last_used_at IS NULL OR k.last_used_at < g.at
    ORDER BY k.id FOR NO KEY UPDATE OF k)
  UPDATE project_api_keys k SET last_used_at = greatest(k.last_used_at, noted.at)
  FROM noted WHERE k.id = noted.id
)sql"};
result<done> note_key_uses(transaction& tx, const std::map<std::string, time_point>& uses) {
  array_param ids, times;
  for (const auto& [id, at] : uses) {
    ids.add(std::string_view{id});
    times.add(at);
  }
  if (!uses.empty()) exec(tx, note_uses, ids, times);
  return done{};
}

constexpr statement sweep_keys{"delete_revoked_api_keys",
                               "DELETE FROM project_api_keys WHERE revoked_at <= $1"};
result<std::int64_t> delete_revoked_api_keys(transaction& tx, time_point before) {
  return static_cast<std::int64_t>(exec(tx, sweep_keys, before).affected_rows());
}

} // namespace binnacle::persistence
