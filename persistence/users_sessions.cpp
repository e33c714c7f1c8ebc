#include "persistence/sql.hpp"
#include "persistence/users.hpp"
#include "persistence/users_rows.hpp"

namespace binnacle::persistence {
namespace {

login_session session_of(const pqxx::row& row, int at) {
  login_session out;
  out.digest = raw_of(row[at]);
  out.who = {text_of(row[at + 1])};
  out.surface = text_of(row[at + 2]);
  out.session_version = integer_of(row[at + 3]);
  out.expires_at = time_of(row[at + 4]);
  return out;
}

} // namespace

// A session is live until it expires or its user's session_version moves on.
#define SESSION_COLUMNS "s.digest, s.user_id, s.surface, s.session_version, s.expires_at"

constexpr statement add_session{"insert_login_session", R"sql(
  INSERT INTO sessions (user_id, digest, surface, session_version, expires_at, created_at)
  VALUES ($1, $2, $3, $4, $5, $6)
)sql"};
constexpr statement end_oldest_sessions{"end_oldest_login_sessions", R"sql(
  DELETE FROM sessions WHERE digest IN (
    SELECT digest FROM sessions WHERE user_id = $1
    ORDER BY created_at DESC, digest OFFSET $2)
)sql"};
result<done> insert_login_session(transaction& tx, const login_session& s, time_point now) {
  exec(tx, add_session, s.who, bytes(s.digest), s.surface, s.session_version, s.expires_at, now);
  exec(tx, end_oldest_sessions, s.who, most_login_sessions);
  tx.touch({topic::identity, s.who});
  return done{};
}

constexpr statement session_by_digest{"find_login_session", "SELECT " SESSION_COLUMNS R"sql(
  FROM sessions s JOIN users u ON u.id = s.user_id AND u.session_version = s.session_version
  WHERE s.digest = $1 AND s.expires_at > $2
)sql"};
result<std::optional<login_session>> find_login_session(transaction& tx, const std::string& digest,
                                                        time_point now) {
  auto rows = exec(tx, session_by_digest, bytes(digest), now);
  if (rows.empty()) return std::optional<login_session>{};
  return std::optional{session_of(rows[0], 0)};
}

constexpr statement sessions_of_user{"login_sessions_of", "SELECT " SESSION_COLUMNS R"sql(
  FROM sessions s JOIN users u ON u.id = s.user_id AND u.session_version = s.session_version
  WHERE s.user_id = $1 AND s.expires_at > $2
  ORDER BY s.created_at DESC, s.digest
)sql"};
result<std::vector<login_session>> login_sessions_of(transaction& tx, const user_id& who,
                                                     time_point now) {
  std::vector<login_session> out;
  for (auto row : exec(tx, sessions_of_user, who, now)) out.push_back(session_of(row, 0));
  return out;
}

constexpr statement drop_session{"delete_login_session", R"sql(
  DELETE FROM sessions WHERE user_id = $1 AND digest = $2
)sql"};
result<done> delete_login_session(transaction& tx, const user_id& who, const std::string& digest) {
  if (exec(tx, drop_session, who, bytes(digest)).affected_rows() > 0)
    tx.touch({topic::identity, who});
  return done{};
}

constexpr statement sweep_sessions{"delete_expired_login_sessions",
                                   "DELETE FROM sessions WHERE expires_at <= $1"};
result<std::int64_t> delete_expired_login_sessions(transaction& tx, time_point now) {
  return static_cast<std::int64_t>(exec(tx, sweep_sessions, now).affected_rows());
}

// One row per session, or one without a session.
constexpr statement principal{"load_principal", "SELECT " USER_COLUMNS ", " SESSION_COLUMNS R"sql(
  FROM users u
  LEFT JOIN sessions s ON s.user_id = u.id AND s.session_version = u.session_version
    AND s.expires_at > $2
  WHERE u.id = $1
  ORDER BY s.created_at DESC, s.digest
)sql"};
result<std::optional<principal_record>> load_principal(transaction& tx, const user_id& who,
                                                       time_point now) {
  auto rows = exec(tx, principal, who, now);
  if (rows.empty()) return std::optional<principal_record>{};
  principal_record out{.who = user_of(rows[0], 0)};
  for (auto row : rows)
    if (!row[user_columns].is_null()) out.sessions.push_back(session_of(row, user_columns));
  return std::optional{std::move(out)};
}

} // namespace binnacle::persistence
