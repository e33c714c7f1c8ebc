/// Users, the identities that log in as them, and their cookie sessions.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct user {
  user_id id{};
  std::string username{}; // empty: none
  std::string email{};    // lower case; empty: none
  std::string name{};
  std::string password_hash{}; // empty: none
  std::int64_t session_version = 0;
  bool is_admin = false;
  std::string status = "active"; // active, suspended, deleted
  user_id account_owner{};       // empty: not a team member
  std::string billing_mode{};    // prepaid, postpaid or empty
  bool prepaid_enabled = false;  // feature_flags.prepaid_enabled
  time_point created_at{};
  std::string plan =
      "free"; // free, pro, premium, enterprise; set_plan (billing_accounts.hpp) changes it
  bool email_claimed = false; // nobody vouches that the address is theirs
};

/// Of one user at a time; a further login ends the oldest.
constexpr std::int64_t most_login_sessions = 100;

/// A cookie session: the cookie's value is 256 random bits, only its SHA-256 is stored.
struct login_session {
  std::string digest{}; // 32 raw bytes
  user_id who{};
  std::string surface{};
  std::int64_t session_version = 0; // must equal the user's
  time_point expires_at{};
};

result<std::optional<user>> find_user(transaction&, const user_id&);
result<std::optional<user>> find_user_by_username(transaction&, const std::string& username);
result<std::optional<user>> find_user_by_email(transaction&, const std::string& email);
result<bool> any_user(transaction&);

/// Inserts; conflict with field "username" or "email" when taken. Touches identity.
result<done> insert_user(transaction&, const user&);
/// The first user becomes admin, exactly one caller wins under concurrency: takes an advisory lock
/// and re-checks. conflict when a user exists.
result<done> insert_first_admin(transaction&, const user&);

/// The user of a verified token subject. First sight links by verified email only: to the user
/// with that email, else to a new user. One who had only claimed it loses it then, and keeps the
/// rest. Race-free (two first requests give one user).
struct external_identity {
  std::string issuer{};
  std::string subject{};
  std::string email{}; // lower case; empty: none
  bool email_verified = false;
  std::string name{};
  bool keep_email_if_free = false; // also unverified, as claimed, unless somebody has it
};
result<user_id> resolve_identity(transaction&, const external_identity&, const user_id& fresh_id,
                                 time_point now);

/// What logs in as a user, the oldest first.
struct login_identity {
  std::string issuer{};
  std::string subject{};
};
result<std::vector<login_identity>> identities_of(transaction&, const user_id&);

/// Stores the new hash and raises session_version, which ends every cookie and token of the user.
result<done> change_password(transaction&, const user_id&, const std::string& new_hash,
                             time_point now);
/// Replaces the hash without ending sessions (bcrypt -> argon2id at a login), only if it is still
/// `old_hash`.
result<done> upgrade_password_hash(transaction&, const user_id&, const std::string& old_hash,
                                   const std::string& new_hash);
result<done> make_admin(transaction&, const user_id&, time_point now);
result<done> record_login(transaction&, const user_id&, time_point now);

/// Ends the user's oldest beyond `most_login_sessions`. After record_login, which has the logins of
/// one user wait for each other. Touches identity.
result<done> insert_login_session(transaction&, const login_session&, time_point now);
result<std::optional<login_session>> find_login_session(transaction&, const std::string& digest,
                                                        time_point now);
/// The user's live sessions, newest first.
result<std::vector<login_session>> login_sessions_of(transaction&, const user_id&, time_point now);
result<done> delete_login_session(transaction&, const user_id&, const std::string& digest);
result<std::int64_t> delete_expired_login_sessions(transaction&, time_point now);

/// What a session actor needs to start, in one statement.
struct principal_record {
  user who{};
  std::vector<login_session> sessions{};
};
result<std::optional<principal_record>> load_principal(transaction&, const user_id&,
                                                       time_point now);

/// users.metadata.corporate_ref, the HubSpot deal a user signed up for; empty: none.
result<std::string> corporate_ref_of(transaction&, const user_id&);
/// Has the deal pay for the user from now on (prepaid); whether it does. Not for who has a deal
/// already, is a team member or has a living subscription for usage. Touches identity and billing.
result<bool> take_up_deal(transaction&, const user_id&, const std::string& ref, time_point now);

/// One row of the audit log. `detail` is JSON without secrets.
struct audit_entry {
  user_id actor{};
  std::string action{}; // USER_LOGIN, CLUSTER_CREATED, …
  std::string target{};
  std::string detail = "{}";
  std::string address{};
};
result<done> write_audit(transaction&, const audit_entry&, time_point now);

} // namespace binnacle::persistence
