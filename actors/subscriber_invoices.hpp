/// Invoices of subscribers (assinante.md §9) whose subscription is paid through Stripe: they follow
/// Stripe's, by its id.
///
/// An invoice here is what Stripe's is now, not what an event said of it, so that events may come
/// late, twice and in any order. Drafts are nobody's yet. One in another currency than reais is
/// left out: nothing here says in which currency an amount is.
#pragma once

#include "config/base/errors.hpp"
#include "integrations/stripe/invoices.hpp"
#include "persistence/assinante_invoices.hpp"
#include "persistence/assinante_subscriptions.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>

namespace binnacle {

/// Whether a subscriber's subscription is this one of Stripe's.
result<bool> has_subscriber(persistence::transaction&, const std::string& stripe_subscription);

/// What the subscriber sees of it; nothing of a draft and in other currencies. What is still owed
/// is overdue once its day is over or an attempt to collect it has failed.
std::optional<persistence::assinante::invoice>
shown_to_subscriber(const stripe::bill&, const persistence::assinante::subscription&,
                    time_point now);

/// Stores it as it is now; nothing without a subscriber.
result<done> follow_invoice(persistence::transaction&, const stripe::bill&, time_point now);

} // namespace binnacle
