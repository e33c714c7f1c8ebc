#include "persistence/logins.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement forget_expired_logins{"forget_expired_logins",
                                          "DELETE FROM spent_logins WHERE expires_at <= $1"};
constexpr statement add_spent_login{"spend_login", R"sql(
  INSERT INTO spent_logins (digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING
)sql"};
result<bool> spend_login(transaction& tx, const std::string& digest, time_point expires_at,
                         time_point now) {
  exec(tx, forget_expired_logins, now);
  return exec(tx, add_spent_login, bytes(digest), expires_at).affected_rows() > 0;
}

} // namespace binnacle::persistence
