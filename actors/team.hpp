/// Teams: inviting, joining, leaving. platform.md §3.
///
/// The changes of one team are made one after another here, so that many at once hold one storage
/// worker and not all; that they are right when two nodes make them is the database's work (row
/// locks of the people concerned). A token is given out once and stored as its SHA-256; the mail
/// with it goes through the outbox, in the transaction of the invitation.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "config/base/errors.hpp"
#include "persistence/teams.hpp"

#include <array>
#include <caf/fwd.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle {

constexpr hours invite_life{7 * 24};
constexpr std::array<std::string_view, 3> project_roles{"Data owner", "Data scientist", "Observer"};

struct invitation_request {
  user_id by{};
  std::string email{}; // is_email, lower case
  std::string role{};  // one of project_roles
  bool auto_assign = true;
  std::string link_base{}; // scheme://host[:port]
  std::string address{};   // the client's, for the audit log
};
struct invitation {
  persistence::team_invite what{};
  std::string url{};
};
/// `made` is a fault for who is no account owner (forbidden) or gone (not_found), over the limit of
/// the owner (rate_limited), and when the address has an account or an open invitation
/// (bad_request). Attempts of owners count whatever comes of them: they tell who has an account.
struct invitation_outcome {
  result<invitation> made{fault{}};
  std::optional<limit_report> limit{}; // platform_team_invite, of the owner
};

struct joining_request {
  user_id who{};
  std::string token{};
  std::string address{};
};
struct joining {
  user_id owner{};
  bool cluster_assigned = false;
  std::string warning{};                     // empty: none
  std::vector<std::string> projects{};       // roles were given in these
  std::vector<std::string> project_errors{}; // "project: why"
};
/// Faults: not_found, gone, forbidden (another's invitation), bad_request (in a team, or has one).
struct joining_outcome {
  result<joining> made{fault{}};
};

// -- the rules, inside a transaction
// ---------------------------------------------------------------

/// Counts an attempt to invite, in the database, so that all nodes count together.
result<limit_report> count_invitation(persistence::transaction&, const user_id& owner,
                                      const rate_limit&, time_point now);
/// What joining did, but for the roles in projects.
struct joined {
  user_id owner{};
  bool cluster_assigned = false;
  std::string role{};
  bool auto_assign = false;
};
result<joined> join_by_invite(persistence::transaction&, const joining_request&, time_point now);
/// For a new user whose issuer vouches for the address: joins by the newest open invitation of it,
/// if there is one. Roles that come with it are promised (teams.hpp): give_promised_roles.
result<std::optional<joined>> join_if_invited(persistence::transaction&, const user_id& who,
                                              const std::string& email, const std::string& address,
                                              time_point now);

/// not_found "Team member not found".
result<done> take_out_of_team(persistence::transaction&, const remove_member&, time_point now);

/// What the actor wants of the database for what is done to members.
struct team_books {
  using tx = persistence::transaction;
  std::function<result<std::optional<persistence::found_invite>>(tx&, const std::string& digest)>
      find_invite = persistence::find_invite;
  std::function<result<joined>(tx&, const joining_request&, time_point now)> join = join_by_invite;
  std::function<result<done>(tx&, const remove_member&, time_point now)> remove = take_out_of_team;
  std::function<result<std::optional<persistence::promised_roles>>(tx&, const user_id&)>
      find_promised_roles = persistence::find_promised_roles;
  std::function<result<done>(tx&, const user_id&, const std::string& failure, time_point now)>
      settle_promised_roles = persistence::settle_promised_roles;
};

struct team_config {
  team_books books{}; // for deterministic tests
};

team_actor spawn_team(caf::actor_system&, services&, team_config = {});

} // namespace binnacle
