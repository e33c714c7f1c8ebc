#include "actors/event_effects.hpp"

#include "actors/subscription_rules.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/clusters.hpp"
#include "persistence/hub_news.hpp"
#include "persistence/referrals.hpp"
#include "persistence/suspensions.hpp"
#include "persistence/users.hpp"

#include <algorithm>

namespace binnacle {
namespace {

using persistence::transaction;

bool is_over(std::string_view status) {
  return status == "canceled" || status == "incomplete_expired";
}

/// A user whose subscriptions for usage have all ended, or who pays afterwards and has nothing left
/// to pay with, is suspended; others are not. Looks only at what is stored, so that the last event
/// leaves the same as any other order would.
result<done> review_standing(transaction& tx, const user_id& who,
                             std::optional<time_point> method_added, time_point now) {
  auto known = persistence::subscriptions_of(tx, who);
  if (!known) return known.error();
  std::erase_if(*known, [](const auto& s) { return s.kind != "usage"; });
  auto unbilled =
      !known->empty() && std::ranges::all_of(*known, [](auto& s) { return is_over(s.status); });
  auto lost = persistence::has_lost_method(tx, who);
  if (!lost) return lost.error();
  auto user = persistence::find_user(tx, who);
  if (!user) return user.error();
  auto postpaid = *user && (*user)->billing_mode == "postpaid";
  if (unbilled || (*lost && postpaid)) return persistence::suspend_for_billing(tx, who, now);
  return persistence::lift_suspension(tx, who, method_added, now);
}

/// A known user's id, or none: metadata may name anybody.
result<user_id> existing(transaction& tx, const user_id& named) {
  if (named.empty()) return user_id{};
  auto found = persistence::find_user(tx, named);
  if (!found) return found.error();
  return *found ? named : user_id{};
}

result<user_id> subscriber_of(transaction& tx, const stripe::subscription& s) {
  auto who = persistence::user_of_customer(tx, s.customer);
  if (!who || !who->empty()) return who;
  auto known = persistence::find_subscription(tx, s.id);
  if (!known) return known.error();
  return *known ? (*known)->who : user_id{};
}

result<done> reward_referrer_of(transaction& tx, const user_id& payer, const std::string& payment,
                                const event_setting& in) {
  if (in.referral_reward == 0) return done{};
  return persistence::reward_referral(tx, payer, payment, in.referral_reward, in.now);
}

/// What was bought, apart from what follows from that it was paid.
result<done> apply_bought(transaction& tx, const user_id& buyer, const stripe::checkout_session& s,
                          const event_setting& in) {
  if (s.mode == "payment") return apply_credit_purchase(tx, buyer, s, in.now);
  if (!s.customer.empty()) {
    auto linked = persistence::link_stripe_customer(tx, buyer, s.customer, in.now);
    if (!linked && linked.error().code != errc::gone) return linked.error();
  }
  if (!s.subscription) return done{};
  return apply_subscription(tx, buyer, *s.subscription, in.offers, in.as_of, in.now);
}

} // namespace

event_effect effect_of(std::string_view type) {
  if (type == "checkout.session.completed" || type == "checkout.session.async_payment_succeeded")
    return event_effect::purchase;
  if (type == "charge.refunded" || type == "charge.refund.updated" || type.starts_with("refund.") ||
      type.starts_with("charge.dispute."))
    return event_effect::reversal;
  if (type == "customer.deleted") return event_effect::customer_gone;
  if (type.starts_with("customer.subscription.")) return event_effect::subscription;
  if (type == "payment_method.attached" || type == "payment_method.detached")
    return event_effect::payment_means;
  if (type == "invoice.payment_failed" || type == "invoice.payment_succeeded" ||
      type == "invoice.finalized" || type == "invoice.overdue" || type == "invoice.paid" ||
      type == "invoice.marked_uncollectible" || type == "invoice.voided")
    return event_effect::invoice;
  return event_effect::none;
}

result<done> give_cluster(transaction& tx, const user_id& who, time_point now) {
  auto given = persistence::assign_free_cluster(tx, who, now);
  if (!given && given.error().code != errc::unprocessable) return given.error();
  return done{};
}

result<user_id> buyer_of(transaction& tx, const stripe::checkout_session& s) {
  auto named = existing(tx, user_of(s));
  if (!named || !named->empty()) return named;
  if (s.customer_email.empty()) return user_id{};
  auto found = persistence::find_user_by_email(tx, s.customer_email);
  if (!found) return found.error();
  return *found && !(*found)->email_claimed ? (*found)->id : user_id{};
}

result<done> apply_purchase(transaction& tx, const user_id& buyer,
                            const stripe::checkout_session& s, const event_setting& in) {
  if (auto applied = apply_bought(tx, buyer, s, in); !applied) return applied;
  return s.payment_status == "paid" ? reward_referrer_of(tx, buyer, source_of(s), in) : done{};
}

result<done> apply_subscription_state(transaction& tx, const stripe::subscription& s,
                                      const event_setting& in) {
  auto who = subscriber_of(tx, s);
  if (!who) return who.error();
  if (who->empty()) return done{};
  auto applied = apply_subscription(tx, *who, s, in.offers, in.as_of, in.now);
  if (!applied) return applied;
  auto known = persistence::find_subscription(tx, s.id);
  if (!known) return known.error();
  if (*known && (*known)->kind == "usage" && !is_over((*known)->status))
    if (auto given = give_cluster(tx, *who, in.now); !given) return given;
  return review_standing(tx, *who, {}, in.now);
}

result<done> apply_payment_means(transaction& tx, const payment_means& means,
                                 const event_setting& in) {
  auto who = persistence::user_of_customer(tx, means.customer);
  if (!who) return who.error();
  if (who->empty()) return done{};
  auto lost = persistence::note_lost_method(tx, *who, means.has_method, means.lost_one);
  if (!lost) return lost;
  auto noted = persistence::set_payment_method(tx, *who, means.has_method);
  if (!noted) return noted;
  // Whoever brings a card is welcome again, whatever it was (platform.md §6). Other news of the
  // cards they have had before is no reason.
  auto added = means.has_method ? means.added_at : std::nullopt;
  return review_standing(tx, *who, added, in.now);
}

result<done> apply_customer_gone(transaction& tx, const std::string& customer,
                                 const event_setting& in) {
  payment_means nothing{
      .customer = customer, .has_method = false, .lost_one = true, .added_at = {}};
  if (auto applied = apply_payment_means(tx, nothing, in); !applied) return applied;
  return persistence::unlink_stripe_customer(tx, customer, in.now);
}

result<done> apply_invoice(transaction& tx, const stripe::invoice& invoice,
                           const event_setting& in) {
  auto who = persistence::user_of_customer(tx, invoice.customer);
  if (!who) return who.error();
  if (who->empty()) return done{};
  tx.touch({persistence::topic::billing, *who});
  if (invoice.status == "open")
    return persistence::notify_user(tx, *who,
                                    {.source = "invoice:" + invoice.id,
                                     .type = "billing",
                                     .title = "Payment failed",
                                     .message = "An invoice could not be paid: please check your "
                                                "payment method"},
                                    in.now);
  auto paid = invoice.status == "paid" && invoice.amount_paid > 0;
  return paid ? reward_referrer_of(tx, *who, "invoice:" + invoice.id, in) : done{};
}

bool starts_subscription(const std::string& billing_mode,
                         const std::vector<stripe::subscription>& of_customer,
                         const stripe::checkout_session& session) {
  if (billing_mode == "prepaid") return false;
  return std::ranges::none_of(of_customer, [&](const stripe::subscription& s) {
    return !is_over(s.status) || s.created >= session.created ||
           s.ended_at.value_or(s.created) >= session.created;
  });
}

} // namespace binnacle
