/// The admins' view of everybody: who they are, what they pay with, where they are, what they used.
/// Nothing of a password, a session or a token.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"
#include "persistence/usage.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct admin_user {
  user_id id{};
  std::string username{}, email{}, name{}; // empty: none
  std::string status{};
  bool is_admin = false;
  std::string plan{};
  std::string account_owner{}, billing_mode{}; // empty: none
  std::string feature_flags{}, metadata{};     // JSON
  std::string registration_ip{};
  std::int64_t login_count = 0;
  std::optional<time_point> last_login_at{};
  time_point created_at{}, updated_at{};
  std::string stripe_customer{}, subscription{}, subscription_status{}; // empty: none
  std::string cluster{}, cluster_name{}, assigned_by{};                 // empty: none
  std::optional<time_point> assigned_at{};
  decimal recent_cost{}; // since the day asked for
};

/// A namespace that is a user's now, or was when it used something.
struct admin_project {
  user_id owner{};
  std::string name_space{}, name{};
  std::optional<std::int64_t> upstream_id{};
  bool active = false; // theirs now
  quantities used{};   // since the day asked for
  decimal cost{};
};

struct admin_user_page {
  std::vector<admin_user> users{};       // newest first
  std::vector<admin_project> projects{}; // of these users, by user
};

/// At most `most` users (0: all) registered before the user `after` (empty: from the newest on),
/// and what they used since that day, by the sums that are billed. Of everybody: for admins; in one
/// snapshot. bad_request with field "cursor": there is no user `after`.
result<admin_user_page> list_admin_users(transaction&, date since, const user_id& after,
                                         std::int64_t most);

} // namespace binnacle::persistence
