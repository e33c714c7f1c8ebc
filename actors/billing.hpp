/// The one place where customers and usage subscriptions are made at Stripe: one of each per user.
///
/// Requests of one user at the same moment share one piece of work and its outcome. Two processes
/// converge: what they create carries an idempotency key derived from the user, so that Stripe
/// gives both the same object, and the first link in the database is the one for ever. Whatever
/// ends half-way (a crash, a reset, a database that is gone) is finished by the next request: what
/// Stripe has already is found and adopted before anything is made.
///
/// A fault of Stripe's comes back as stripe.hpp says, with its public text: not configured is
/// errc::internal "stripe_not_configured". What is known already is answered without Stripe.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "integrations/stripe/objects.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/users.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

/// What is known here of a user's account at Stripe.
struct billing_record {
  persistence::user who{};
  std::optional<persistence::stripe_customer> customer{};
  std::optional<persistence::subscription> usage{}; // one that bills, if there is one
  std::int64_t former_customers = 0;                // that were deleted at Stripe
  std::vector<persistence::login_identity> identities{};
  std::vector<std::string> prices{}; // what a usage subscription consists of now
  time_point as_of{};                // by the database's clock: what Stripe is asked next is newer
};
result<billing_record> find_billing_record(persistence::transaction&, const user_id&,
                                           time_point now);

/// After Stripe's subscriptions of a customer have been stored.
struct adopted {
  std::optional<persistence::subscription> usage{}; // one that bills, if there is one
  std::int64_t usage_subscriptions = 0;             // that the user ever had
};
result<adopted> adopt_subscriptions(persistence::transaction&, const user_id&,
                                    const std::vector<stripe::subscription>&, const catalogue&,
                                    time_point as_of, time_point now);

/// What the actor wants of the database.
struct billing_books {
  using tx = persistence::transaction;
  std::function<result<billing_record>(tx&, const user_id&, time_point now)> find =
      find_billing_record;
  std::function<result<persistence::stripe_customer>(tx&, const user_id&,
                                                     const std::string& customer, time_point now)>
      link = persistence::link_stripe_customer;
  std::function<result<adopted>(tx&, const user_id&, const std::vector<stripe::subscription>&,
                                const catalogue&, time_point as_of, time_point now)>
      adopt = adopt_subscriptions;
};

struct billing_config {
  seconds patience{60}; // for one call to Stripe, or one transaction
  billing_books books{};
};

billing_actor spawn_billing(caf::actor_system&, services&, billing_config = {});

} // namespace binnacle
