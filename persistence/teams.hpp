/// Teams: an account owner and the members whose usage they pay for, and the invitations to them.
/// Teams are not nested: a member has no members.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct team_person {
  user_id id{};
  std::string email{};
  std::string name{};
  time_point created_at{};
  std::optional<time_point> last_login_at{};
  std::string hopsworks_username{}; // empty: unknown
  std::string status{};
  std::string stripe_customer{}; // empty: none
};
struct team {
  team_person owner{};
  std::vector<team_person> members{}; // the newest first, without deleted users
};
/// The team that the user owns or is a member of. not_found.
result<team> load_team(transaction&, const user_id&);

/// Takes the users' rows, in an order that all take them in: whoever changes a team holds those of
/// its owner and of the member.
result<done> lock_users(transaction&, const std::vector<user_id>&);
result<bool> has_team_members(transaction&, const user_id& owner);

/// Both touch the member's identity, usage and billing, and the owner's identity. The first is for
/// one who is in no team.
result<done> add_team_member(transaction&, const user_id& owner, const user_id& member,
                             time_point now);
/// not_found "Team member not found".
result<done> remove_team_member(transaction&, const user_id& owner, const user_id& member,
                                time_point now);

// -- roles in the owner's projects ---------------------------------------------------------------

/// What a new member was promised and has not been given yet. It stands in health_check_failures
/// (check "team_projects") from the commit of the joining on, so that a crash forgets nothing.
struct promised_roles {
  user_id owner{};
  std::string role{};
};
result<done> promise_roles(transaction&, const user_id& member, time_point now);
result<std::optional<promised_roles>> find_promised_roles(transaction&, const user_id& member);
/// `failure`: empty when they were given.
result<done> settle_promised_roles(transaction&, const user_id& member, const std::string& failure,
                                   time_point now);

// -- invitations ---------------------------------------------------------------------------------

struct team_invite {
  std::string id{}; // a UUID
  user_id owner{};
  std::string email{}; // lower case
  std::string role{};  // Data owner, Data scientist, Observer
  bool auto_assign = true;
  time_point expires_at{};
  time_point created_at{};
};
/// Stores it, without its id, and gives the id; `token_digest` is the SHA-256 of the token.
/// conflict when an open one that has not expired is there for the same address.
result<std::string> insert_invite(transaction&, const team_invite&,
                                  const std::string& token_digest);
/// Those that can still be accepted, the newest first.
result<std::vector<team_invite>> open_invites(transaction&, const user_id& owner, time_point now);
/// Deletes an open invitation of the owner, if there is one of that id; whether there was.
result<bool> delete_invite(transaction&, const user_id& owner, const std::string& id);
result<done> delete_invites_of(transaction&, const user_id& owner);

/// An invitation that has not been accepted, expired or not, and who sent it.
struct found_invite {
  team_invite what{};
  std::string owner_email{};
  std::string owner_name{};
  bool owner_may_invite = false; // active, and in no other team
  bool email_has_account = false;
};
result<std::optional<found_invite>> find_invite(transaction&, const std::string& token_digest);
/// The newest invitation of this address that can still be accepted, if there is one.
result<std::optional<team_invite>> open_invite_for(transaction&, const std::string& email,
                                                   time_point now);
/// Found by its token, for a transaction that is going to accept it: whoever else wants to waits.
result<std::optional<team_invite>> lock_invite(transaction&, const std::string& token_digest);
/// Likewise, by its id.
result<std::optional<team_invite>> lock_invite_of_id(transaction&, const std::string& id);
result<done> accept_invite(transaction&, const std::string& id, const user_id& by, time_point now);

} // namespace binnacle::persistence
