/// The people who use a developer's project: known to it by their addresses, and to nobody else.
/// developer.md §5. Whoever calls has seen to it that the project is the asking owner's
/// (`own_developer_project`, `hold_developer_project`).
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/developer_projects.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace binnacle {

using project_user_id = id<struct project_user_tag>; // a ULID

} // namespace binnacle

namespace binnacle::persistence {

struct project_user {
  project_user_id id{};
  std::string email{}; // lower case
  std::string name{};
  std::string last_auth_provider{}; // email, google, …; empty: has not logged in
  std::int64_t login_count = 0;
  time_point created_at{}; // since when they use this project
  std::optional<time_point> last_login_at{};
  std::optional<time_point> blocked_at{};
};

/// conflict with field "email" when the project has a user of this address.
result<done> insert_project_user(transaction&, const developer_project_id&, const project_user&);
/// Blocks from `now` on, or since when it was; or lets in again. not_found "User not found".
result<project_user> block_project_user(transaction&, const developer_project_id&,
                                        const project_user_id&, bool blocked, time_point now);
/// not_found "User not found".
result<done> delete_project_user(transaction&, const developer_project_id&, const project_user_id&);

struct blocked_users {
  std::vector<project_user> users{}; // who was blocked last first
  std::int64_t total = 0;            // of all pages
};
/// Those whose address contains a text, or all. Needs a snapshot.
result<blocked_users> blocked_project_users(transaction&, const developer_project_id&,
                                            const std::string& contains, std::int64_t skip,
                                            std::int64_t limit);

/// Notes a login of one of our users to a project, whom it knows by `email` or from an earlier one.
/// forbidden when it does not, has blocked them, or does not let in by that provider; not_found.
struct project_login {
  user_id who{};
  std::string email{}; // lower case; empty: none
  std::string provider{};
};
result<done> record_project_login(transaction&, const developer_project_id&, const project_login&,
                                  time_point now);

// -- all of them ---------------------------------------------------------------------------------

/// All that a project's users were at a moment, or what became of them since an earlier one.
/// `as_of` is the moment: what was committed before it is in it, and all that is committed
/// afterwards is among the changes since it; some of what was committed before may be, too.
struct project_user_changes {
  std::uint64_t as_of = 0;
  bool too_many = false;                  // more than `most`: read all anew
  std::vector<project_user> changed{};    // added, blocked, logged in, …
  std::vector<project_user_id> removed{}; // rows that are gone
};
result<project_user_changes> project_users_changed(transaction&, const developer_project_id&,
                                                   std::uint64_t since, std::int64_t most);
/// Those who are not blocked, one after the other: whoever logged in last comes first, whoever
/// never did comes last, by id where that is the same. Gives the moment. Needs a snapshot.
result<std::uint64_t> read_project_users(transaction&, const developer_project_id&,
                                         const std::function<void(project_user&&)>& take);
/// Removals that nobody needs to hear of any more.
result<std::int64_t> forget_removed_users(transaction&, time_point before);

} // namespace binnacle::persistence
