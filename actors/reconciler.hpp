/// Compares the books with themselves and, when asked to, with what OpenCost and Stripe say.
///
/// One comparison runs at a time, in many short transactions, so that it keeps nobody from booking.
/// What an upstream could not tell is listed as incomplete; it is no difference. Each comparison of
/// all users sets the gauges binnacle_reconciliation_differences and
/// binnacle_reconciliation_last_run_seconds.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/opencost.hpp"
#include "actors/services.hpp"
#include "persistence/reconciliation.hpp"

#include <caf/fwd.hpp>
#include <functional>
#include <string>
#include <vector>

namespace binnacle {

/// So many days at once.
inline constexpr std::chrono::days most_days_reconciled{92};
/// Without a range: so many days, up to and with yesterday. Older days are not reported to Stripe.
inline constexpr std::chrono::days days_reconciled{35};

struct books_report {
  date from{}, to{}; // both included
  user_id who{};     // empty: all
  bool stripe = false;
  bool opencost = false;
  persistence::reconciliation found{};
  std::vector<std::string> incomplete{}; // what could not be compared, and why

  bool agrees() const { return found.differences() == 0 && incomplete.empty(); }
};

/// The request for days from `from` to `to`, both included; without either, the usual ones.
/// bad_request, naming the field, for days that are not over or too many.
result<reconcile_books> plan_reconciliation(std::optional<date> from, std::optional<date> to,
                                            time_point now);

struct reconciler_config {
  std::size_t queue = 4;          // comparisons that may wait
  std::size_t lanes = 16;         // questions to Stripe at once
  milliseconds patience{120'000}; // of one question to Stripe

  // For deterministic tests.
  std::function<opencost_actor(caf::actor_system&, const services&, opencost_target)> opencost =
      [](caf::actor_system& system, const services& app, opencost_target target) {
        return spawn_opencost(system, app, std::move(target));
      };
};

reconciler_actor spawn_reconciler(caf::actor_system& system, services& app,
                                  reconciler_config config = {});

} // namespace binnacle
