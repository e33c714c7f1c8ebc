/// What has happened to a user, for the hub's dashboard: notifications, and what they did
/// themselves. hub.md §12.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

struct hub_notification {
  std::int64_t id = 0;
  std::string source{}; // "checkout:cs_1": a user is told once of each
  std::string type{};   // billing, referral
  std::string title{};
  std::string message{};
  bool read = false;
  time_point created_at{};
};
/// Tells the user, unless they were told of this source before. `id`, `read` and `created_at` are
/// ignored.
result<done> notify_user(transaction&, const user_id&, const hub_notification&, time_point now);
/// The ten newest, newest first.
result<std::vector<hub_notification>> notifications_of(transaction&, const user_id&);

struct activity {
  std::int64_t id = 0;
  std::string action{}; // as in the audit log: USER_LOGIN, project_created, …
  time_point at{};
};
/// The ten last things that the user did, newest first, from the audit log.
result<std::vector<activity>> activity_of(transaction&, const user_id&);

} // namespace binnacle::persistence
