/// What Stripe's events do here: the rules, without a call to Stripe.
///
/// An event is only a hint that an object has changed. What is done follows from what the object is
/// now, so that events may come late, twice and in any order. Each function runs in a transaction
/// of its caller and may be repeated. hub.md §10 and platform.md §6 say what has to come out.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "config/catalogue.hpp"
#include "integrations/stripe/objects.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle {

/// What an event may change here, by its type; for most that Stripe sends: nothing.
enum class event_effect : std::uint8_t {
  none,
  purchase,
  reversal, // of a payment: refunds and disputes
  subscription,
  payment_means,
  invoice,
  customer_gone
};
event_effect effect_of(std::string_view type);

/// When and in whose light an event is applied.
struct event_setting {
  catalogue offers{};
  time_point as_of{}; // of what was read from Stripe
  time_point now{};
  std::int64_t referral_reward = 0; // tenths of a credit; 0: none
};

/// Who a finished checkout is for: whom it names, else whose email it has; empty: nobody yet.
result<user_id> buyer_of(persistence::transaction&, const stripe::checkout_session&);

/// A checkout in mode payment or subscription: credits, or a customer and a subscription. One that
/// was paid is a payment, as is a paid invoice: at the first, whoever referred the user is
/// rewarded.
result<done> apply_purchase(persistence::transaction&, const user_id& buyer,
                            const stripe::checkout_session&, const event_setting&);

/// A subscription as it is now. That of a customer we do not know changes nothing: the checkout
/// that makes them known brings it along. One for usage that lives brings a cluster. A user whose
/// usage subscriptions have all ended is suspended.
result<done> apply_subscription_state(persistence::transaction&, const stripe::subscription&,
                                      const event_setting&);

/// What there is to pay with, after a payment method was attached, detached, or set up.
struct payment_means {
  std::string customer{};
  bool has_method = false;
  bool lost_one = false;                // the event says that one was detached
  std::optional<time_point> added_at{}; // when it says that one was attached or set up
};
/// A postpaid user left without a payment method is suspended; one who has one is active again,
/// unless their usage subscriptions have all ended: then nothing would bill them. What others than
/// billing have suspended, only a method lifts that was added after it.
result<done> apply_payment_means(persistence::transaction&, const payment_means&,
                                 const event_setting&);

/// Whoever pays for usage gets a cluster, unless they have one. That all are full is for admins to
/// see, and no reason for an event to fail.
result<done> give_cluster(persistence::transaction&, const user_id&, time_point now);

/// A customer was deleted: nothing is left to pay with, and the user may get another customer.
result<done> apply_customer_gone(persistence::transaction&, const std::string& customer,
                                 const event_setting&);

/// An invoice was paid or not: the subscription's own event says what follows for it. Of one that
/// could not be paid the user is notified.
result<done> apply_invoice(persistence::transaction&, const stripe::invoice&, const event_setting&);

/// Whether a finished setup of a payment method is to start a usage subscription: the user pays
/// afterwards, none lives, and none lived when, or was made since, the session was made.
bool starts_subscription(const std::string& billing_mode,
                         const std::vector<stripe::subscription>& of_customer,
                         const stripe::checkout_session&);

} // namespace binnacle
