#include "persistence/teams.hpp"

#include "persistence/health_checks.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {

#define ROLES_CHECK "team_projects" // of health_check_failures

namespace {

team_person person_of(const pqxx::row& row) {
  return {.id = {text_of(row[0])},
          .email = text_of(row[1]),
          .name = text_of(row[2]),
          .created_at = time_of(row[3]),
          .last_login_at = maybe_time(row[4]),
          .hopsworks_username = text_of(row[5]),
          .status = text_of(row[6]),
          .stripe_customer = text_of(row[7])};
}

void touch_team(transaction& tx, const user_id& owner, const user_id& member) {
  for (auto what : {topic::identity, topic::usage, topic::billing}) tx.touch({what, member});
  tx.touch({topic::identity, owner}); // who watches the team
}

} // namespace

// The owner first.
constexpr statement team_of{"load_team", R"sql(
  SELECT p.id, p.email, p.name, p.created_at, p.last_login_at, a.hopsworks_username, p.status,
         c.customer_id
  FROM users asking
  JOIN users p ON p.id = coalesce(asking.account_owner_id, asking.id)
    OR (p.account_owner_id = coalesce(asking.account_owner_id, asking.id) AND p.status <> 'deleted')
  LEFT JOIN user_hopsworks_assignments a ON a.user_id = p.id
  LEFT JOIN stripe_customers c ON c.user_id = p.id
  WHERE asking.id = $1
  ORDER BY p.account_owner_id IS NULL DESC, p.created_at DESC, p.id
)sql"};
result<team> load_team(transaction& tx, const user_id& who) {
  team out;
  auto rows = exec(tx, team_of, who);
  if (rows.empty()) return missing("User not found");
  for (auto row : rows)
    if (out.owner.id.empty())
      out.owner = person_of(row);
    else
      out.members.push_back(person_of(row));
  return out;
}

// NO KEY: rows that refer to these users may be inserted meanwhile.
constexpr statement take_users{"lock_users", R"sql(
  SELECT FROM users WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE
)sql"};
result<done> lock_users(transaction& tx, const std::vector<user_id>& who) {
  array_param ids;
  for (const auto& id : who) ids.add(std::string_view{id.value});
  exec(tx, take_users, ids);
  return done{};
}

constexpr statement any_member{"has_team_members", R"sql(
  SELECT EXISTS (SELECT FROM users WHERE account_owner_id = $1)
)sql"};
result<bool> has_team_members(transaction& tx, const user_id& owner) {
  return truth_of(exec(tx, any_member, owner)[0][0]);
}

constexpr statement join_owner{"add_team_member", R"sql(
  UPDATE users SET account_owner_id = $1, updated_at = $3
  WHERE id = $2 AND account_owner_id IS NULL
)sql"};
result<done> add_team_member(transaction& tx, const user_id& owner, const user_id& member,
                             time_point now) {
  if (exec(tx, join_owner, owner, member, now).affected_rows() == 0)
    return fault{errc::conflict, "The user is in a team", {}, {}};
  touch_team(tx, owner, member);
  return done{};
}

constexpr statement leave_owner{"remove_team_member", R"sql(
  UPDATE users SET account_owner_id = NULL, updated_at = $3 WHERE id = $2 AND account_owner_id = $1
)sql"};
result<done> remove_team_member(transaction& tx, const user_id& owner, const user_id& member,
                                time_point now) {
  if (exec(tx, leave_owner, owner, member, now).affected_rows() == 0)
    return missing("Team member not found");
  touch_team(tx, owner, member);
  return resolve_health_failure(tx, member, ROLES_CHECK, "No member any more", now);
}

// -- roles in the owner's projects ---------------------------------------------------------------

result<done> promise_roles(transaction& tx, const user_id& member, time_point now) {
  return note_health_failure(tx, member, ROLES_CHECK, "The roles have not been given yet", now);
}

constexpr statement find_promise{"find_promised_roles", R"sql(
  SELECT i.account_owner_id, i.project_role
  FROM users u JOIN team_invites i
    ON i.accepted_by_user_id = u.id AND i.account_owner_id = u.account_owner_id
  WHERE u.id = $1 AND EXISTS (
    SELECT FROM health_check_failures f
    WHERE f.user_id = u.id AND f.resolved_at IS NULL AND f.check_type = ')sql" ROLES_CHECK R"sql(')
  ORDER BY i.accepted_at DESC LIMIT 1
)sql"};
result<std::optional<promised_roles>> find_promised_roles(transaction& tx, const user_id& member) {
  auto rows = exec(tx, find_promise, member);
  if (rows.empty()) return std::optional<promised_roles>{};
  return std::optional{promised_roles{{text_of(rows[0][0])}, text_of(rows[0][1])}};
}

result<done> settle_promised_roles(transaction& tx, const user_id& member,
                                   const std::string& failure, time_point now) {
  if (failure.empty()) return resolve_health_failure(tx, member, ROLES_CHECK, "Given", now);
  return note_health_failure(tx, member, ROLES_CHECK, failure, now);
}

// -- invitations ---------------------------------------------------------------------------------

#define INVITE_COLUMNS                                                                             \
  "i.id, i.account_owner_id, i.email, i.project_role, i.auto_assign_projects, i.expires_at, "      \
  "i.created_at"

namespace {

constexpr int invite_columns = 7;

team_invite invite_of(const pqxx::row& row) {
  return {.id = text_of(row[0]),
          .owner = {text_of(row[1])},
          .email = text_of(row[2]),
          .role = text_of(row[3]),
          .auto_assign = truth_of(row[4]),
          .expires_at = time_of(row[5]),
          .created_at = time_of(row[6])};
}

} // namespace

constexpr statement make_room{"delete_expired_invite", R"sql(
  DELETE FROM team_invites
  WHERE account_owner_id = $1 AND email = $2 AND accepted_at IS NULL AND expires_at <= $3
)sql"};
constexpr statement add_invite{"insert_invite", R"sql(
  INSERT INTO team_invites (account_owner_id, email, token_digest, project_role,
                            auto_assign_projects, expires_at, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (account_owner_id, email) WHERE accepted_at IS NULL DO NOTHING
  RETURNING id
)sql"};
result<std::string> insert_invite(transaction& tx, const team_invite& i,
                                  const std::string& token_digest) {
  exec(tx, make_room, i.owner, i.email, i.created_at);
  auto rows = exec(tx, add_invite, i.owner, i.email, bytes(token_digest), i.role, i.auto_assign,
                   i.expires_at, i.created_at);
  if (rows.empty()) return fault{errc::conflict, "Invite already sent to this email", "email", {}};
  return text_of(rows[0][0]);
}

constexpr statement invites_of{"open_invites", "SELECT " INVITE_COLUMNS R"sql(
  FROM team_invites i
  WHERE i.account_owner_id = $1 AND i.accepted_at IS NULL AND i.expires_at > $2
  ORDER BY i.created_at DESC, i.id
)sql"};
result<std::vector<team_invite>> open_invites(transaction& tx, const user_id& owner,
                                              time_point now) {
  std::vector<team_invite> out;
  for (auto row : exec(tx, invites_of, owner, now)) out.push_back(invite_of(row));
  return out;
}

constexpr statement take_back{"delete_invite", R"sql(
  DELETE FROM team_invites
  WHERE account_owner_id = $1 AND id::text = lower($2) AND accepted_at IS NULL
)sql"};
result<bool> delete_invite(transaction& tx, const user_id& owner, const std::string& id) {
  return exec(tx, take_back, owner, id).affected_rows() > 0;
}

constexpr statement take_all_back{"delete_invites_of", R"sql(
  DELETE FROM team_invites WHERE account_owner_id = $1 AND accepted_at IS NULL
)sql"};
result<done> delete_invites_of(transaction& tx, const user_id& owner) {
  exec(tx, take_all_back, owner);
  return done{};
}

constexpr statement invite_by_token{"find_invite", "SELECT " INVITE_COLUMNS R"sql(,
         o.email, o.name, o.status = 'active' AND o.account_owner_id IS NULL,
         EXISTS (SELECT FROM users u WHERE u.email = i.email)
  FROM team_invites i JOIN users o ON o.id = i.account_owner_id
  WHERE i.token_digest = $1 AND i.accepted_at IS NULL
)sql"};
result<std::optional<found_invite>> find_invite(transaction& tx, const std::string& token_digest) {
  auto rows = exec(tx, invite_by_token, bytes(token_digest));
  if (rows.empty()) return std::optional<found_invite>{};
  auto row = rows[0];
  return std::optional{found_invite{.what = invite_of(row),
                                    .owner_email = text_of(row[invite_columns]),
                                    .owner_name = text_of(row[invite_columns + 1]),
                                    .owner_may_invite = truth_of(row[invite_columns + 2]),
                                    .email_has_account = truth_of(row[invite_columns + 3])}};
}

constexpr statement invite_by_email{"open_invite_for", "SELECT " INVITE_COLUMNS R"sql(
  FROM team_invites i JOIN users o ON o.id = i.account_owner_id
  WHERE i.email = $1 AND i.accepted_at IS NULL AND i.expires_at > $2
    AND o.status = 'active' AND o.account_owner_id IS NULL
  ORDER BY i.created_at DESC, i.id LIMIT 1
)sql"};
result<std::optional<team_invite>> open_invite_for(transaction& tx, const std::string& email,
                                                   time_point now) {
  auto rows = exec(tx, invite_by_email, email, now);
  if (rows.empty()) return std::optional<team_invite>{};
  return std::optional{invite_of(rows[0])};
}

constexpr statement take_invite_of_id{"lock_invite_of_id", "SELECT " INVITE_COLUMNS R"sql(
  FROM team_invites i WHERE i.id::text = $1 AND i.accepted_at IS NULL FOR UPDATE
)sql"};
result<std::optional<team_invite>> lock_invite_of_id(transaction& tx, const std::string& id) {
  auto rows = exec(tx, take_invite_of_id, id);
  if (rows.empty()) return std::optional<team_invite>{};
  return std::optional{invite_of(rows[0])};
}

constexpr statement take_invite{"lock_invite", "SELECT " INVITE_COLUMNS R"sql(
  FROM team_invites i WHERE i.token_digest = $1 AND i.accepted_at IS NULL FOR UPDATE
)sql"};
result<std::optional<team_invite>> lock_invite(transaction& tx, const std::string& token_digest) {
  auto rows = exec(tx, take_invite, bytes(token_digest));
  if (rows.empty()) return std::optional<team_invite>{};
  return std::optional{invite_of(rows[0])};
}

constexpr statement mark_accepted{"accept_invite", R"sql(
  UPDATE team_invites SET accepted_at = $3, accepted_by_user_id = $2
  WHERE id::text = $1 AND accepted_at IS NULL
)sql"};
result<done> accept_invite(transaction& tx, const std::string& id, const user_id& by,
                           time_point now) {
  if (exec(tx, mark_accepted, id, by, now).affected_rows() == 0)
    return missing("Invite not found or already used");
  return done{};
}

} // namespace binnacle::persistence
