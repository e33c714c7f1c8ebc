/// What of the booked usage goes to Stripe's meters: an outbox of reports (meter events).
///
/// A report is made once for each usage row (user and day), meter and revision of that row, under
/// the identifier "{usage row}:{meter}:{revision}". It adds what the day amounts to now and earlier
/// reports of the day did not: a correction is a report of its own, and may be negative. What is
/// less than the meter's smallest step is carried to the payer's next report of that meter, so that
/// over time nothing is rounded away:
///
///     carried_in + amount = value + carried_out,   0 <= carried_out < one step
///
/// Amounts: compute_credits in hundredths of a credit, reported whole; storage in GB-months of the
/// day, GB-hours ÷ 24 ÷ days of the month, reported with 6 decimals (contract, decision 14).
/// Reported are whole days (UTC) of the past 35, of users who do not pay in advance and whose usage
/// subscription is active, trialing or past due; a member's usage is paid by the owner of their
/// account. Not reported are days before the one on which a payer ceased to pay in advance. All
/// other usage waits.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// Stripe takes no event that is older.
inline constexpr std::chrono::days meter_horizon{35};
/// Stripe forgets identifiers after 24 hours: a report whose outcome is unknown is repeated until
/// then, with a margin, and settled by what Stripe has counted from then on.
inline constexpr std::chrono::hours meter_repetition{22};

enum class report_state : std::uint8_t {
  waiting,   // not sent, or certainly not taken
  sent,      // taken or not: unknown
  delivered, // taken, or nothing to send
  disputed,  // Stripe's count fits neither; a person must look
};
std::string_view name_of(report_state);

struct meter_report {
  std::string identifier{};
  std::string meter{}; // compute_credits, storage_online_gb, storage_offline_gb
  std::int64_t revision = 0;
  user_id who{};
  user_id payer{};
  std::string customer{};
  date day{};
  decimal amount{}, carried_in{}, value{}, carried_out{};
  report_state state = report_state::waiting;
  std::int64_t attempts = 0;
  std::string failure{};
  std::optional<time_point> first_sent_at{};
  std::optional<time_point> delivered_at{};
};

/// Makes and returns the reports of up to `limit` usage rows that are due and have none. Call again
/// until there are none. One planner at a time, over all nodes.
result<std::vector<meter_report>> plan_meter_reports(transaction&, std::int64_t limit,
                                                     time_point now);

/// Takes up to `limit` open reports to send them: from now on their outcome counts as unknown.
/// Each is taken at most once after `run_began`, and by nobody else until `lease` is over.
result<std::vector<meter_report>> claim_meter_reports(transaction&, const std::string& holder,
                                                      std::chrono::milliseconds lease,
                                                      std::int64_t limit, time_point run_began,
                                                      time_point now);

/// How sending ended: `waiting` (certainly not taken, try again), `sent` (unknown) or `delivered`.
struct report_outcome {
  std::string identifier{};
  report_state state = report_state::sent;
  std::string failure{};
};
/// Stores outcomes and marks the days that are wholly reported. What was delivered stays so. What
/// was sent before this attempt with an unknown outcome stays `sent`, even when this attempt was
/// certainly not taken: an earlier one may have been.
result<done> finish_meter_reports(transaction&, const std::vector<report_outcome>&, time_point now);

/// One customer's day and meter with reports whose outcome has been unknown for too long to repeat
/// them, and none that may be repeated or is being sent. Stripe has counted `delivered` there, or
/// more if it took some of `unknown`.
struct unsettled_day {
  std::string customer{};
  std::string meter{};
  date day{};
  decimal delivered{};
  std::vector<meter_report> unknown{};
};
result<std::vector<unsettled_day>> unsettled_meter_days(transaction&, std::int64_t limit,
                                                        time_point now);
/// Decides about them by what Stripe has counted since they were read: all taken (delivered), none
/// (waiting), or disputed. Decides nothing (sent) when any report of the day was sent or delivered
/// meanwhile, as what was counted may be that.
result<report_state> settle_meter_day(transaction&, const unsettled_day&, decimal counted,
                                      time_point now);

/// Those that a person must look at.
result<std::vector<meter_report>> disputed_reports(transaction&);
/// What that person has found out: Stripe has it, or has not and it is sent anew. not_found when no
/// such report is disputed.
result<done> decide_disputed_report(transaction&, const std::string& identifier, bool taken,
                                    time_point now);

/// The whole outbox, for metrics and admins.
struct meter_backlog {
  std::int64_t unplanned = 0; // usage rows that are due
  std::int64_t waiting = 0;
  std::int64_t unknown = 0;
  std::int64_t disputed = 0;
  std::int64_t too_late = 0; // open or unplanned, and older than Stripe takes
};
result<meter_backlog> load_meter_backlog(transaction&, time_point now);

/// The reports of a user's days, both included, oldest first.
result<std::vector<meter_report>> meter_reports_of(transaction&, const user_id&, date from,
                                                   date to);

} // namespace binnacle::persistence
