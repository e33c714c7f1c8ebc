/// A creator's projects and tasks, as the hub's dashboard shows them. hub.md §12. They have nothing
/// to do with the namespaces whose usage is billed.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

struct hub_project {
  std::string id{};
  std::string title{};
  std::string description{};
  std::string status{};      // active, completed, archived
  std::int64_t progress = 0; // percent of its tasks that are done; 0 without any
  time_point updated_at{};
};

/// Per user; one more is unprocessable.
inline constexpr std::int64_t most_hub_projects = 1'000;
inline constexpr std::int64_t most_hub_tasks = 10'000;

/// The one changed last first.
result<std::vector<hub_project>> hub_projects_of(transaction&, const user_id&);
result<done> add_hub_project(transaction&, const user_id&, const std::string& id,
                             const std::string& title, time_point now);
/// In the project that was changed last, which is changed by it; in none when there is none.
result<done> add_hub_task(transaction&, const user_id&, const std::string& id,
                          const std::string& title, time_point now);

struct hub_counts {
  std::int64_t projects = 0;
  std::int64_t tasks = 0;
  std::int64_t team = 0; // the account's owner and its members, without who was deleted
};
result<hub_counts> count_for_hub(transaction&, const user_id&);

} // namespace binnacle::persistence
