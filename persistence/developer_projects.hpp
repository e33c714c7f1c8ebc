/// Developers' projects. developer.md §3, §4. They have nothing to do with the namespaces whose
/// usage is billed, nor with the hub's projects.
///
/// A project that is deleted is gone at once, for everybody; its rows go afterwards, some at a
/// time.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle {

using developer_project_id = id<struct developer_project_tag>; // a ULID

} // namespace binnacle

namespace binnacle::persistence {

/// Per owner; one more is unprocessable.
inline constexpr std::int64_t most_developer_projects = 1'000;

struct developer_project {
  developer_project_id id{};
  std::string name{};
  std::string description{};                    // empty: none
  std::vector<std::string> allowed_origins{};   // empty: every origin
  std::vector<std::string> allowed_providers{}; // how its users may log in
  std::int64_t user_count = 0;                  // those who are blocked included
  std::int64_t api_key_count = 0;               // those that are good
  time_point created_at{};
  time_point updated_at{};
};

/// The newest first.
result<std::vector<developer_project>> developer_projects_of(transaction&, const user_id& owner);
/// not_found "Project not found" when there is none of this id; forbidden when it is another's.
result<developer_project> find_developer_project(transaction&, const user_id& owner,
                                                 const developer_project_id&);

/// The same refusals, for whoever reads something of a project.
result<done> own_developer_project(transaction&, const user_id& owner, const developer_project_id&);
/// The same, for a transaction that changes something of it: they come one after the other, and
/// none after it is deleted.
result<done> hold_developer_project(transaction&, const user_id& owner,
                                    const developer_project_id&);

/// `created_at` is also when it was updated.
result<done> insert_developer_project(transaction&, const user_id& owner, const developer_project&);

/// What is not there stays as it is.
struct developer_project_change {
  std::optional<std::string> name{};
  std::optional<std::string> description{}; // empty: none
  std::optional<std::vector<std::string>> allowed_origins{};
  std::optional<std::vector<std::string>> allowed_providers{};
};
/// Only of a project that is held.
result<done> update_developer_project(transaction&, const developer_project_id&,
                                      const developer_project_change&, time_point now);
/// Likewise. Its API keys are revoked: touches api_keys.
result<done> delete_developer_project(transaction&, const developer_project_id&, time_point now);
/// Removes what is left of deleted projects, at most `most` users; how many rows.
result<std::int64_t> clear_deleted_projects(transaction&, std::int64_t most);

/// The origins whose scripts may read answers about the project; nothing when there is no such
/// project. Asked before it is known who asks.
result<std::optional<std::vector<std::string>>> allowed_origins_of(transaction&,
                                                                   const developer_project_id&);

} // namespace binnacle::persistence
