/// The books compared with themselves: each layer with what it is made of, to the last decimal.
///
///   usage_hourly         its quantities at the prices of its hour
///   usage_project_daily  the sum of its hours
///   usage_daily          the sum of its projects
///   usage_monthly        the sum of its days
///   meter_reports        what their days amount to; along a payer's reports nothing is lost
///   credits              verify_ledger
///
/// and, with what the callers have been told by them, with OpenCost and Stripe. Everything here
/// reads only and belongs in a snapshot, so that a booking made meanwhile is seen whole or not at
/// all; a day, a month or a hundred ledgers is one transaction. An empty user means all users.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/clusters.hpp"
#include "persistence/transaction.hpp"
#include "persistence/usage.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::persistence {

enum class comparison : std::uint8_t {
  opencost,        // usage_hourly with what OpenCost says
  hour_price,      // costs of usage_hourly with its quantities at its hour's prices
  project_day,     // usage_project_daily with its hours
  day,             // usage_daily with its projects
  month,           // usage_monthly with its days
  meter_amount,    // meter_reports with the day they report
  meter_remainder, // what a report carries on with what the one before it left
  stripe,          // what Stripe counts with the reports it has taken
  ledger,          // the ledger of credits with itself
  count_
};
inline constexpr auto comparison_count = static_cast<std::size_t>(comparison::count_);
std::string_view name_of(comparison);

/// A row that is not what another one says it should be.
struct difference {
  comparison check = comparison::hour_price;
  user_id who{};             // empty: nobody's
  std::optional<date> day{}; // of a month: its first
  std::string cluster{};     // name
  std::string name_space{};
  std::optional<time_point> hour{};
  std::string meter{};
  std::string identifier{}; // of a meter report
  std::string what{};       // the column that differs, or a sentence
  std::string expected{};
  std::string against{}; // where `expected` is from
  std::string actual{};

  bool operator==(const difference&) const = default;
};

/// What was compared and what was found. Keeps the first `most_shown` differences, counts all.
class reconciliation {
public:
  static constexpr std::size_t most_shown = 500;

  void add(difference d);
  void compared(comparison what, std::int64_t rows) { rows_[index(what)] += rows; }
  reconciliation& operator+=(const reconciliation& other);

  std::int64_t rows(comparison c) const { return rows_[index(c)]; }
  std::int64_t differences(comparison c) const { return differences_[index(c)]; }
  std::int64_t differences() const;
  const std::vector<difference>& shown() const { return shown_; }

private:
  static std::size_t index(comparison c) { return static_cast<std::size_t>(c); }

  std::array<std::int64_t, comparison_count> rows_{};
  std::array<std::int64_t, comparison_count> differences_{};
  std::vector<difference> shown_{};
};

/// Hours with their prices, projects with hours, the users' day with projects.
result<reconciliation> reconcile_day(transaction&, const user_id&, date day);
/// The month that `day` is in with its days, all of them.
result<reconciliation> reconcile_month(transaction&, const user_id&, date day);
/// The reports of days from `from` to `to`, both included, made for that user or paid by them.
result<reconciliation> reconcile_meters(transaction&, const user_id&, date from, date to);
/// The ledger of one user.
result<reconciliation> reconcile_ledger(transaction&, const user_id&);
/// Up to `limit` ledgers of users who come after `after`.
struct ledgers_reconciled {
  reconciliation found{};
  user_id last{}; // empty: there was none left
};
result<ledgers_reconciled> reconcile_ledgers(transaction&, const user_id& after,
                                             std::int64_t limit);

/// Whole hours of a cluster as OpenCost tells them. A value that it does not know is not compared.
result<reconciliation> reconcile_hours(transaction&, const user_id&, const cluster&,
                                       const std::vector<hour_of_usage>& told);

/// What Stripe must have counted of one customer, meter and day.
struct delivered_day {
  std::string customer{};
  user_id payer{};
  std::string meter{};
  date day{};
  decimal value{};
  bool unsettled = false; // a report's outcome is not known yet, so the count may be higher
};
/// Of the customers who pay for that user, by customer, meter and day.
result<std::vector<delivered_day>> delivered_days(transaction&, const user_id&, date from, date to);

} // namespace binnacle::persistence
