#include "persistence/registrations.hpp"

#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence {

constexpr statement register_user{"register_user", R"sql(
  UPDATE users SET registration_ip = $2, billing_mode = 'postpaid' WHERE id = $1
)sql"};
constexpr statement leave_paying_to_owner{"leave_paying_to_owner", R"sql(
  UPDATE users SET billing_mode = NULL WHERE id = $1
)sql"};
result<done> stop_paying(transaction& tx, const user_id& who) {
  exec(tx, leave_paying_to_owner, who);
  tx.touch({topic::billing, who});
  return done{};
}

constexpr statement note_login{"note_reported_login", R"sql(
  UPDATE users SET last_login_at = $2, login_count = $3, updated_at = $2,
    name = CASE WHEN name = '' THEN $4 ELSE name END
  WHERE id = $1
  RETURNING status, account_owner_id IS NULL
)sql"};
result<noted_login> record_reported_login(transaction& tx, const reported_login& login,
                                          const user_id& fresh_id, time_point now) {
  external_identity who{.issuer = login.issuer,
                        .subject = login.subject,
                        .email = login.email,
                        .email_verified = login.email_verified,
                        .name = login.name,
                        .keep_email_if_free = !login.email_refuted};
  auto resolved = resolve_identity(tx, who, fresh_id, now);
  if (!resolved) return resolved.error();
  noted_login out{.who = *resolved, .fresh = *resolved == fresh_id};
  if (out.fresh) exec(tx, register_user, out.who, login.address);
  auto row = exec(tx, note_login, out.who, now, login.logins, login.name);
  if (row.empty()) return missing("User not found");
  out.pays = text_of(row[0][0]) != "deleted" && truth_of(row[0][1]);
  tx.touch({topic::identity, out.who});
  return out;
}

} // namespace binnacle::persistence
