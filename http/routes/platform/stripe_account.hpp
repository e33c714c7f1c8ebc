/// What GET /api/billing shows of the customer's account at Stripe.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/base/json.hpp"

#include <string>

namespace binnacle::http {

struct stripe_account {
  json::array invoices{};
  json::value payment_method{}; // or null
  bool has_payment_method = false;
};

/// Empty for no customer, and for whatever Stripe does not say within three seconds: a statement is
/// worth having without it. Changes nothing at Stripe. platform.md §2.
task<stripe_account> read_stripe_account(context& ctx, std::string customer);

} // namespace binnacle::http
