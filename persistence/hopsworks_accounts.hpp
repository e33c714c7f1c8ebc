/// Users' accounts at the Hopsworks of their clusters: what they should be, and the outbox of those
/// that may differ from it.
///
/// A row of the outbox comes by triggers (migration 0016) in the transaction that puts a user on a
/// cluster or changes their status, billing mode, team or usage subscription. It says only *that*
/// something changed: what the account should be is read when it is brought in line.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/clusters.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// The account as last seen; `id` is empty until it was seen once.
struct hopsworks_account {
  std::optional<std::int64_t> id{};
  std::string username{};
  std::int64_t active_projects = 0;

  bool operator==(const hopsworks_account&) const = default;
};

/// A user of a cluster, and what their account there should be (platform.md §4 and §6).
struct hopsworks_holder {
  user_id who{};
  user_id account_owner{}; // empty: not a team member
  std::string email{};
  std::string name{};
  std::string subject{}; // at the issuer that they log in with; their id if there is none
  std::string issuer{};  // empty: none
  bool active = true;    // may use it; else it is to be deactivated
  bool entitled = false; // to projects of their own: prepaid, or a living usage subscription
  cluster where{};
  hopsworks_account known{};
};

/// Nothing for somebody who is on no cluster. not_found: no such user.
result<std::optional<hopsworks_holder>> find_hopsworks_holder(transaction&, const user_id&);

/// Stores what was seen of the account, unless the user is on another cluster by now. Touches usage
/// when the number of projects changed, and identity when the name did.
result<done> store_hopsworks_account(transaction&, const user_id&, const cluster_id&,
                                     const hopsworks_account&);

// -- the outbox ----------------------------------------------------------------------------------

struct held_account {
  user_id who{};
  std::int64_t revision = 0;
  std::int64_t attempt = 0; // 1 is the first
  std::string holder{};
};

/// Those that are due, of clusters with an API key; nobody else gets them for `lease`.
result<std::vector<held_account>> hold_accounts(transaction&, const std::string& holder,
                                                milliseconds lease, std::int64_t most,
                                                time_point now);
/// In line, as it was read after it had been held; what changed since makes it due again. Heals the
/// failure noted of it.
result<done> finish_account(transaction&, const held_account&, time_point now);
/// Due again at `again`; by a change since, at once.
result<done> fail_account(transaction&, const held_account&, const std::string& why,
                          time_point again);
/// Rows that wait, for the metrics.
result<std::int64_t> count_accounts(transaction&);

// -- roles in projects ---------------------------------------------------------------------------

struct project_role {
  user_id member{};
  user_id account_owner{}; // empty: not given by an owner
  cluster_id cluster{};
  std::int64_t project_id = 0;
  std::string project_name{};
  std::string role{};
  std::string failure{}; // why Hopsworks does not have it (yet); empty: it has
  user_id added_by{};
};
/// Replaces what stood for the member and project.
result<done> store_project_role(transaction&, const project_role&, time_point now);
/// By project name.
result<std::vector<project_role>> project_roles_of(transaction&, const user_id& member);

} // namespace binnacle::persistence
