#include "actors/subscription_rules.hpp"

#include "config/credits.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/credits.hpp"
#include "persistence/hub_news.hpp"
#include "persistence/prices.hpp"
#include "persistence/referrals.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

namespace binnacle {
namespace {

using persistence::transaction;

constexpr std::array<std::string_view, 3> plans{"pro", "premium", "enterprise"};
/// A paused subscription was a trial, and keeps what the trial gave.
constexpr std::array<std::string_view, 4> giving{"active", "trialing", "past_due", "paused"};
constexpr std::array<std::string_view, 3> ended{"canceled", "unpaid", "incomplete_expired"};

bool is_one_of(const auto& known, std::string_view text) {
  return std::ranges::find(known, text) != known.end();
}

std::string note_of(const stripe::metadata& notes, const std::string& key) {
  auto at = notes.find(key);
  return at == notes.end() ? std::string{} : at->second;
}

result<std::string> kind_of(transaction& tx, const stripe::subscription& s,
                            const catalogue& offers) {
  if (auto noted = note_of(s.notes, "kind"); noted == "plan" || noted == "usage") return noted;
  std::vector<std::string> prices;
  for (const auto& item : s.items) {
    if (!offers.plan_of(item.price).empty()) return "plan";
    prices.push_back(item.price);
  }
  auto usage = persistence::bills_usage(tx, prices);
  if (!usage) return usage.error();
  return *usage ? "usage" : "plan";
}

/// Empty: none that we sell.
std::string plan_of(const stripe::subscription& s, const catalogue& offers) {
  for (const auto& item : s.items)
    if (auto plan = offers.plan_of(item.price); is_one_of(plans, plan)) return plan;
  auto noted = note_of(s.notes, "plan");
  return is_one_of(plans, noted) ? noted : std::string{};
}

/// What the subscriptions that there are say about the plan; nothing: they leave it alone.
std::optional<std::string> plan_by(const std::vector<persistence::subscription>& known) {
  const persistence::subscription* giver = nullptr;
  auto any_ended = false;
  for (const auto& s : known) {
    if (s.kind != "plan" || s.plan.empty()) continue;
    any_ended = any_ended || is_one_of(ended, s.status);
    if (!is_one_of(giving, s.status)) continue;
    if (!giver || std::tie(giver->created_at, giver->id) < std::tie(s.created_at, s.id)) giver = &s;
  }
  if (giver) return giver->plan;
  if (any_ended) return "free";
  return {};
}

std::optional<std::int64_t> pack_of(const stripe::checkout_session& s) {
  auto noted = note_of(s.notes, "pack");
  for (auto pack : credit_packs)
    if (noted == std::to_string(pack)) return pack;
  return {};
}

/// Once when a subscription gives a plan, and once when it ends.
result<done> tell_of_plan(transaction& tx, const persistence::subscription& s, time_point now) {
  auto begun = is_one_of(giving, s.status);
  if (!begun && !is_one_of(ended, s.status)) return done{};
  return persistence::notify_user(
      tx, s.who,
      {.source = "subscription:" + s.id + (begun ? ":" + s.plan : ":ended"),
       .type = "billing",
       .title = begun ? "Subscription active" : "Subscription ended",
       .message =
           "Your subscription to the plan " + s.plan + (begun ? " is active" : " has ended")},
      now);
}

} // namespace

std::string source_of(const stripe::checkout_session& s) { return "checkout:" + s.id; }

result<done> apply_subscription(transaction& tx, const user_id& who, const stripe::subscription& s,
                                const catalogue& offers, time_point as_of, time_point now) {
  // Two subscriptions of one user that change at once must see each other.
  if (auto held = persistence::hold_account(tx, who); !held) return held;
  auto kind = kind_of(tx, s, offers);
  if (!kind) return kind.error();
  persistence::subscription row{.id = s.id,
                                .who = who,
                                .customer = s.customer,
                                .kind = *kind,
                                .plan = *kind == "plan" ? plan_of(s, offers) : "",
                                .status = s.status,
                                .current_period_end = s.current_period_end,
                                .cancel_at_period_end = s.cancel_at_period_end,
                                .as_of = as_of,
                                .created_at = s.created,
                                .updated_at = now};
  auto stored = persistence::upsert_subscription(tx, row, now);
  if (!stored) return stored.error();
  if (*kind != "plan") return done{};
  if (*stored && !row.plan.empty())
    if (auto told = tell_of_plan(tx, row, now); !told) return told;
  auto known = persistence::subscriptions_of(tx, who);
  if (!known) return known.error();
  auto plan = plan_by(*known);
  return plan ? persistence::set_plan(tx, who, *plan, now) : done{};
}

result<done> apply_credit_purchase(transaction& tx, const user_id& who,
                                   const stripe::checkout_session& s, time_point now) {
  if (!buys_credits(s)) return done{};
  auto pack = pack_of(s);
  if (!pack)
    return fault{errc::unprocessable, "Unknown pack of credits", "pack", "checkout " + s.id};
  persistence::credit_grant grant{.source = source_of(s),
                                  .tenths = *pack * tenths_per_credit,
                                  .expires_at = pack_expiry(s.created),
                                  .occurred_at = s.created};
  auto booked = persistence::grant_credits(tx, who, grant, now);
  if (!booked) return booked.error();
  return persistence::notify_user(
      tx, who,
      {.source = grant.source,
       .type = "billing",
       .title = "Credits added",
       .message = std::to_string(*pack) + " credits were added to your account"},
      now);
}

bool buys_credits(const stripe::checkout_session& s) {
  return s.mode == "payment" && note_of(s.notes, "purpose") == "credits" &&
         s.payment_status == "paid";
}

result<done> apply_reversals(transaction& tx, const stripe::checkout_session& s,
                             std::vector<stripe::reversal> all, time_point now) {
  auto pack = pack_of(s);
  auto paid = s.amount_total.value_or(0);
  if (!buys_credits(s) || !pack || paid <= 0) return done{};
  auto who = persistence::checkout_holder(tx, source_of(s));
  if (!who) return who.error();
  if (who->empty()) return done{};
  auto share_of = [&](std::int64_t money) {
    return *pack * tenths_per_credit * std::min(money, paid) / paid;
  };
  std::ranges::sort(all, {}, [](const auto& r) { return std::tie(r.created, r.id); });
  std::int64_t back = 0; // of the money, so far
  for (const auto& r : all) {
    auto source = "stripe:" + r.id;
    if (!r.stands) {
      if (auto given = persistence::restore_grant(tx, *who, source, now); !given) return given;
      continue;
    }
    auto before = share_of(back);
    back += r.amount;
    persistence::grant_revocation taken{source_of(s), source, share_of(back) - before};
    if (taken.tenths == 0) continue;
    if (auto booked = persistence::revoke_grant(tx, *who, taken, now); !booked)
      return booked.error();
  }
  // Without any, it is not known that there are none: an event of the purchase may come last.
  if (all.empty()) return done{};
  return persistence::reconsider_referral(tx, source_of(s), back >= paid - back, now);
}

user_id user_of(const stripe::checkout_session& s) {
  return {s.client_reference_id.empty() ? note_of(s.notes, "userId") : s.client_reference_id};
}

} // namespace binnacle
