/// The account at Stripe of a user who has just logged in, put right: the health checks of
/// platform.md §6.
///
/// Who has no customer here is given the one that Stripe has for their address, if the address is
/// known to be theirs and the customer nobody else's, else a new one. Then what Stripe has of its
/// subscriptions is stored, unless one that bills is known. It may be repeated, and done by several
/// at once: the first link of a customer is the one for ever.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

#include <string>

namespace binnacle {

struct stripe_claim {
  user_id who{};
  std::string subject{};        // at the issuer
  std::string verified_email{}; // lower case; empty: none
};

/// Never fails: what does goes to health_check_failures, as "stripe_customer" or
/// "stripe_subscription", is tried again by the next call and resolved when it succeeds. Leaves
/// `reserve` of the request's time.
task<done> check_stripe_account(context& ctx, stripe_claim claim, seconds reserve);

} // namespace binnacle
