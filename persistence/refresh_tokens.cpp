#include "persistence/refresh_tokens.hpp"

#include "persistence/sql.hpp"
#include "persistence/teams.hpp"
#include "persistence/users_rows.hpp"

namespace binnacle::persistence {

constexpr statement add_token{"insert_refresh_token", R"sql(
  INSERT INTO refresh_tokens (digest, family, user_id, session_version, issued_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6)
)sql"};
result<done> insert_refresh_token(transaction& tx, const user_id& who, std::int64_t session_version,
                                  const refresh_token& first, time_point now) {
  exec(tx, add_token, bytes(first.digest), make_ulid(now), who, session_version, now,
       first.expires_at);
  return done{};
}

constexpr statement find_token{"find_refresh_token", R"sql(
  SELECT family, session_version, used_at FROM refresh_tokens
  WHERE digest = $1 AND user_id = $2 AND expires_at > $3 AND revoked_at IS NULL
)sql"};
constexpr statement use_token{"use_refresh_token", R"sql(
  UPDATE refresh_tokens SET used_at = $2, successor = $3 WHERE digest = $1
)sql"};
// The last one that was used has the newest's text.
constexpr statement newest_token{"newest_refresh_token", R"sql(
  SELECT successor FROM refresh_tokens WHERE family = $1 AND used_at IS NOT NULL
  ORDER BY used_at DESC, issued_at DESC LIMIT 1
)sql"};
constexpr statement revoke_family{"revoke_refresh_family", R"sql(
  UPDATE refresh_tokens SET revoked_at = $2, successor = NULL
  WHERE family = $1 AND revoked_at IS NULL
)sql"};
result<refreshed> use_refresh_token(transaction& tx, const user_id& who, const std::string& digest,
                                    const refresh_token& successor, const std::string& sealed,
                                    seconds interval, time_point now) {
  // All that happens to a user's tokens happens one after the other.
  if (auto locked = lock_users(tx, {who}); !locked) return locked.error();
  refreshed out;
  auto owner = find_user(tx, who);
  if (!owner) return owner.error();
  if (!*owner || (*owner)->status != "active") return out;
  auto rows = exec(tx, find_token, bytes(digest), who, now);
  if (rows.empty() || integer_of(rows[0][1]) != (*owner)->session_version) return out;
  auto family = text_of(rows[0][0]);
  auto used_at = maybe_time(rows[0][2]);
  if (!used_at) {
    exec(tx, use_token, bytes(digest), now, sealed);
    exec(tx, add_token, bytes(successor.digest), family, who, (*owner)->session_version, now,
         successor.expires_at);
    out.what = refreshing::rotated;
  } else if (now - *used_at < interval) {
    out.newest = text_of(exec(tx, newest_token, family)[0][0]);
    out.what = out.newest.empty() ? refreshing::refused : refreshing::repeated;
  } else {
    exec(tx, revoke_family, family, now);
    out.what = refreshing::reused;
  }
  out.who = std::move(*owner);
  return out;
}

constexpr statement family_of_token{"family_of_refresh_token", R"sql(
  SELECT family FROM refresh_tokens WHERE digest = $1 AND user_id = $2
)sql"};
result<done> revoke_refresh_family(transaction& tx, const user_id& who, const std::string& digest,
                                   time_point now) {
  if (auto locked = lock_users(tx, {who}); !locked) return locked;
  auto rows = exec(tx, family_of_token, bytes(digest), who);
  if (!rows.empty()) exec(tx, revoke_family, text_of(rows[0][0]), now);
  return done{};
}

constexpr statement forget_sealed{"forget_sealed_refresh_tokens", R"sql(
  UPDATE refresh_tokens SET successor = NULL WHERE used_at <= $1 AND successor IS NOT NULL
)sql"};
constexpr statement sweep_tokens{"delete_expired_refresh_tokens",
                                 "DELETE FROM refresh_tokens WHERE expires_at <= $1"};
result<std::int64_t> delete_expired_refresh_tokens(transaction& tx, time_point sealed_before,
                                                   time_point now) {
  exec(tx, forget_sealed, sealed_before);
  return static_cast<std::int64_t>(exec(tx, sweep_tokens, now).affected_rows());
}

} // namespace binnacle::persistence
