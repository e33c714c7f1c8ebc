#include "config/credits.hpp"
#include "http/routes/hub/envelope.hpp"
#include "http/routes/hub/handlers.hpp"
#include "persistence/allowance.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/credits.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

struct billing_summary {
  std::optional<persistence::subscription> newest{};
  std::int64_t balance = 0; // tenths
  std::int64_t used = 0;    // tenths
  std::optional<time_point> next_expiry{};
};

result<billing_summary> load_summary(persistence::transaction& tx, const user_id& who,
                                     time_point now) {
  auto newest = persistence::telling_subscription(tx, who, "plan");
  if (!newest) return newest.error();
  auto balance = persistence::credit_balance(tx, who, now);
  if (!balance) return balance.error();
  auto used = persistence::allowance_used(tx, who, now);
  if (!used) return used.error();
  auto expiry = persistence::next_credit_expiry(tx, who, now);
  if (!expiry) return expiry.error();
  return billing_summary{std::move(*newest), *balance, *used, *expiry};
}

/// Credits a month, by plan (hub.md §2).
std::int64_t monthly_limit(std::string_view plan) {
  if (plan == "pro") return 300;
  if (plan == "premium") return 1'000;
  if (plan == "enterprise") return 4'000;
  return 30;
}

std::int64_t unix_ms(time_point t) {
  return std::chrono::floor<milliseconds>(t.time_since_epoch()).count();
}

/// 2025-11-13 10:00:00
std::string sql_text(time_point t) {
  auto out = format_iso_s(t);
  out[10] = ' ';
  out.pop_back();
  return out;
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

json::object to_json(const billing_summary& s, const persistence::user& who, time_point now) {
  const auto* active = s.newest && persistence::is_active(*s.newest) ? &*s.newest : nullptr;
  auto plan = active && !active->plan.empty() ? active->plan : who.plan;
  auto period_end = active ? active->current_period_end : std::nullopt;
  json::value seconds_of_end, synced;
  if (period_end) seconds_of_end = unix_seconds(*period_end);
  if (s.newest) synced = sql_text(s.newest->updated_at);
  auto ends =
      period_end ? unix_seconds(*period_end) * 1'000 : unix_ms(start_of_next_month(now)) - 1;
  return {{"plan", plan},
          {"status", active ? active->status : "inactive"},
          {"subscriptionId", text_or_null(active ? active->id : "")},
          {"currentPeriodEnd", std::move(seconds_of_end)},
          {"cancelAtPeriodEnd", active && active->cancel_at_period_end},
          {"lastSyncedAt", std::move(synced)},
          {"creditsRemaining", s.balance / tenths_per_credit},
          {"monthlyLimit", monthly_limit(plan)},
          {"monthlyUsed", *decimal::parse(format_credits(s.used))},
          {"periodEndsAt", ends}};
}

} // namespace

task<result<response>> get_billing_summary(context& ctx) {
  auto now = ctx.now();
  auto summary = co_await ctx.snapshot(load_summary, ctx.who().id, now);
  if (!summary) co_return not_loaded(summary.error());
  auto out = json_reply(in_envelope(to_json(*summary, ctx.who(), now)));
  // A new month has a new allowance, and credits end.
  out.valid_until =
      std::min(start_of_next_month(now), summary->next_expiry.value_or(time_point::max()));
  co_return out;
}

} // namespace binnacle::http
