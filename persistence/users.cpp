#include "persistence/users.hpp"

#include "config/base/text.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/sql.hpp"
#include "persistence/users_rows.hpp"

namespace binnacle::persistence {

user user_of(const pqxx::row& row, int at) {
  return {
      .id = {text_of(row[at])},
      .username = text_of(row[at + 1]),
      .email = text_of(row[at + 2]),
      .name = text_of(row[at + 3]),
      .password_hash = text_of(row[at + 4]),
      .session_version = integer_of(row[at + 5]),
      .is_admin = truth_of(row[at + 6]),
      .status = text_of(row[at + 7]),
      .account_owner = {text_of(row[at + 8])},
      .billing_mode = text_of(row[at + 9]),
      .prepaid_enabled = truth_of(row[at + 10]),
      .created_at = time_of(row[at + 11]),
      .plan = text_of(row[at + 12]),
      .email_claimed = truth_of(row[at + 13]),
  };
}

namespace {

std::optional<user> first_user(const pqxx::result& rows) {
  if (rows.empty()) return {};
  return user_of(rows[0], 0);
}

} // namespace

constexpr statement user_by_id{"find_user", "SELECT " USER_COLUMNS " FROM users u WHERE u.id = $1"};
result<std::optional<user>> find_user(transaction& tx, const user_id& who) {
  return first_user(exec(tx, user_by_id, who));
}

constexpr statement user_by_username{"find_user_by_username",
                                     "SELECT " USER_COLUMNS " FROM users u WHERE u.username = $1"};
result<std::optional<user>> find_user_by_username(transaction& tx, const std::string& username) {
  return first_user(exec(tx, user_by_username, username));
}

constexpr statement user_by_email{"find_user_by_email",
                                  "SELECT " USER_COLUMNS " FROM users u WHERE u.email = $1"};
result<std::optional<user>> find_user_by_email(transaction& tx, const std::string& email) {
  return first_user(exec(tx, user_by_email, lower_case(email)));
}

constexpr statement users_exist{"any_user", "SELECT EXISTS (SELECT FROM users)"};
result<bool> any_user(transaction& tx) { return truth_of(exec(tx, users_exist)[0][0]); }

constexpr statement add_user{"insert_user", R"sql(
  INSERT INTO users (id, username, email, name, password_hash, session_version, is_admin, status,
                     account_owner_id, billing_mode, feature_flags, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
          jsonb_build_object('prepaid_enabled', $11::boolean), $12, $12)
)sql"};
result<done> insert_user(transaction& tx, const user& u) {
  auto inserted = refusing(
      {
          {"users_username_key", "username", "This username is taken"},
          {"users_email_key", "email", "This email address is taken"},
          {"users_pkey", "id", "This user exists"},
      },
      [&] {
        exec(tx, add_user, u.id, or_null(u.username), or_null(lower_case(u.email)), u.name,
             or_null(u.password_hash), u.session_version, u.is_admin, u.status,
             or_null(u.account_owner), or_null(u.billing_mode), u.prepaid_enabled, u.created_at);
      });
  if (inserted) tx.touch({topic::identity, u.id});
  return inserted;
}

constexpr statement one_setup_at_a_time{"one_setup_at_a_time", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.setup', 0))
)sql"};
result<done> insert_first_admin(transaction& tx, const user& u) {
  // The lock is a statement of its own: the next one sees what the previous holder committed.
  exec(tx, one_setup_at_a_time);
  if (truth_of(exec(tx, users_exist)[0][0]))
    return fault{errc::conflict, "Setup is already complete", {}, {}};
  auto admin = u;
  admin.is_admin = true;
  return insert_user(tx, admin);
}

constexpr statement new_password{"change_password", R"sql(
  UPDATE users SET password_hash = $2, session_version = session_version + 1, updated_at = $3
  WHERE id = $1
)sql"};
constexpr statement end_sessions{"end_sessions", "DELETE FROM sessions WHERE user_id = $1"};
result<done> change_password(transaction& tx, const user_id& who, const std::string& new_hash,
                             time_point now) {
  if (exec(tx, new_password, who, new_hash, now).affected_rows() == 0)
    return missing("User not found");
  exec(tx, end_sessions, who);
  tx.touch({topic::identity, who});
  return done{};
}

constexpr statement better_hash{"upgrade_password_hash", R"sql(
  UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2
)sql"};
result<done> upgrade_password_hash(transaction& tx, const user_id& who, const std::string& old_hash,
                                   const std::string& new_hash) {
  if (exec(tx, better_hash, who, old_hash, new_hash).affected_rows() > 0)
    tx.touch({topic::identity, who});
  return done{};
}

constexpr statement promote{"make_admin", R"sql(
  UPDATE users SET is_admin = true, updated_at = $2 WHERE id = $1
)sql"};
result<done> make_admin(transaction& tx, const user_id& who, time_point now) {
  if (exec(tx, promote, who, now).affected_rows() == 0) return missing("User not found");
  tx.touch({topic::identity, who});
  return done{};
}

constexpr statement logged_in{"record_login", R"sql(
  UPDATE users SET last_login_at = $2, login_count = login_count + 1 WHERE id = $1
)sql"};
result<done> record_login(transaction& tx, const user_id& who, time_point now) {
  if (exec(tx, logged_in, who, now).affected_rows() == 0) return missing("User not found");
  return done{};
}

constexpr statement corporate_ref{"corporate_ref_of", R"sql(
  SELECT metadata->>'corporate_ref' FROM users WHERE id = $1
)sql"};
result<std::string> corporate_ref_of(transaction& tx, const user_id& who) {
  auto rows = exec(tx, corporate_ref, who);
  return rows.empty() ? std::string{} : text_of(rows[0][0]);
}

constexpr statement sign_up_for_deal{"take_up_deal", R"sql(
  UPDATE users u SET metadata = metadata || jsonb_build_object('corporate_ref', $2::text)
  WHERE id = $1 AND status = 'active' AND account_owner_id IS NULL
    AND coalesce(metadata->>'corporate_ref', '') = '' AND NOT EXISTS (
      SELECT FROM subscriptions s WHERE s.user_id = u.id AND s.kind = 'usage'
        AND s.status IN ('active', 'trialing', 'past_due'))
)sql"};
result<bool> take_up_deal(transaction& tx, const user_id& who, const std::string& ref,
                          time_point now) {
  if (exec(tx, sign_up_for_deal, who, ref).affected_rows() == 0) return false;
  if (auto set = set_prepaid(tx, who, true, now); !set) return set.error();
  return true;
}

// The transaction has its number before the row has its id: a row of a smaller id that is still to
// come is then of a transaction that runs (list_audit).
constexpr statement add_audit{"write_audit", R"sql(
  WITH own AS MATERIALIZED (SELECT pg_current_xact_id() AS xid)
  INSERT INTO audit_log (actor, action, target, detail, address, at, written_by)
  SELECT $1::text, $2, $3, $4::jsonb, $5, $6::timestamptz, xid FROM own
)sql"};
result<done> write_audit(transaction& tx, const audit_entry& e, time_point now) {
  exec(tx, add_audit, or_null(e.actor), e.action, e.target, e.detail, e.address, now);
  return done{};
}

} // namespace binnacle::persistence
