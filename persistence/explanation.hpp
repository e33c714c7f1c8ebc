/// Where a charge comes from: a month's days, a day's projects and what was reported to Stripe of
/// it, a project's hours with the prices that were valid; and of credits, which grants paid.
///
/// Somebody's charges are what they used and pay for themselves, and what the members of their
/// account used while they were members. Of a member, for admins: what they used, though another
/// pays. The rows of a level sum to the row above it, to the last decimal; run in a snapshot.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "config/prices.hpp"
#include "persistence/credits.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct charged_amount {
  quantities used{};
  charge cost{};

  bool operator==(const charged_amount&) const = default;
};

struct charged_day {
  date day{};
  charged_amount amount{};
};
struct charged_days {
  charged_amount total{};
  std::vector<charged_day> days{}; // ascending; those with usage
};
/// Days from `from` to `to`, both included.
result<charged_days> charges_between(transaction&, const user_id&, date from, date to);

/// Whose namespace, and where.
struct project_place {
  user_id who{};
  cluster_id cluster{};
  std::string name_space{};

  bool operator==(const project_place&) const = default;
};
struct charged_project {
  project_place place{};
  std::string email{};
  std::string cluster_name{};
  std::string name{};
  charged_amount amount{};
};
/// What was told to Stripe about a user's day (meters.hpp).
struct charged_report {
  user_id who{};
  std::string identifier{};
  std::string meter{};
  decimal amount{}, carried_in{}, value{}, carried_out{};
  std::string state{}; // waiting, sent, delivered, disputed
  std::optional<time_point> delivered_at{};
};
struct charged_projects {
  charged_amount total{};                  // of the day, whatever the page
  std::vector<charged_project> projects{}; // by place
  std::optional<project_place> next{};     // the last one of this page, when there are more
  std::vector<charged_report> reports{};   // of the day, in the order they were made
};
/// A page of at most `most` projects that come after `after`.
result<charged_projects> charges_on(transaction&, const user_id&, date day,
                                    const std::optional<project_place>& after, std::int64_t most);

struct charged_hour {
  project_place place{};
  std::string cluster_name{};
  time_point hour{};
  bool complete = false;
  charged_amount amount{};
  price_list prices{}; // valid in that hour
};
struct charged_hours {
  charged_amount total{};            // of that namespace's day
  std::vector<charged_hour> hours{}; // ascending
};
/// Of all projects with that namespace, which is one but for several clusters. not_found when
/// nothing of it is charged on that day.
result<charged_hours> charges_of(transaction&, const user_id&, date day,
                                 const std::string& name_space);

struct explained_entry {
  credit_entry entry{};
  std::vector<credit_payment> payments{}; // of a use: the lots that paid it
};
/// A user's entries as credit_entries_of gives them, each use with what paid for it.
result<std::vector<explained_entry>> explain_credits(transaction&, const user_id&,
                                                     std::optional<credit_entry_id> before,
                                                     std::int64_t most);

} // namespace binnacle::persistence
