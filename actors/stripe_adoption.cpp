#include "actors/stripe_adoption.hpp"

#include "actors/billing.hpp"
#include "actors/stripe.hpp"
#include "config/base/log.hpp"
#include "persistence/health_checks.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle {
namespace {

using stripe::customer;
using stripe::subscription;

/// Stripe's largest page; nobody has more subscriptions.
constexpr int page = 100;

/// What the checks came to; those that were not made, or have nothing to do, are no faults.
struct findings {
  result<done> customer = done{};
  result<done> subscription = done{};
};

result<done> note(persistence::transaction& tx, const user_id& who, const char* check,
                  const result<done>& outcome, time_point now) {
  if (outcome)
    return persistence::resolve_health_failure(tx, who, check, "Found in order at a login", now);
  return persistence::note_health_failure(tx, who, check, to_string(outcome.error()), now);
}

result<done> note_findings(persistence::transaction& tx, const user_id& who, const findings& all,
                           time_point now) {
  if (auto noted = note(tx, who, "stripe_customer", all.customer, now); !noted) return noted;
  if (!all.customer) return done{}; // whose subscriptions nobody could look at
  return note(tx, who, "stripe_subscription", all.subscription, now);
}

/// The checks of one login.
struct checks {
  context& ctx;
  const stripe_claim& claim;
  seconds reserve;

  template <class T>
  auto asked(stripe::call what, result<T> (*read)(std::string_view)) {
    return ctx.start_stripe(ctx.patience() - reserve, std::move(what), read);
  }
  auto subscriptions_at_stripe(const std::string& of) {
    return asked(stripe::list_subscriptions(of, "all", page), stripe::read_subscriptions);
  }

  bool is_anothers(const customer& c) const {
    auto note = c.notes.find("user_id");
    return c.deleted || (note != c.notes.end() && note->second != claim.who.value &&
                         note->second != claim.subject);
  }

  /// Those that may be the user's: first of all those with a subscription that lives.
  task<result<std::vector<std::string>>> candidates() {
    std::vector<std::string> living;
    std::vector<std::string> others;
    if (claim.verified_email.empty()) co_return living;
    auto found =
        co_await asked(stripe::list_customers(claim.verified_email), stripe::read_customers);
    if (!found) co_return found.error();
    std::erase_if(found->data, [this](const customer& c) { return is_anothers(c); });
    for (const auto& c : found->data) {
      auto has = co_await subscriptions_at_stripe(c.id);
      if (!has) co_return has.error();
      auto lives = [](const subscription& s) { return !s.ended_at && s.status != "incomplete"; };
      (std::ranges::any_of(has->data, lives) ? living : others).push_back(c.id);
    }
    living.insert(living.end(), others.begin(), others.end());
    co_return living;
  }

  /// The user's customer here, or an empty text when one was made, which has nothing to adopt.
  task<result<std::string>> customer_of(const billing_record& known) {
    if (known.customer) co_return known.customer->id;
    auto found = co_await candidates();
    if (!found) co_return found.error();
    for (const auto& id : *found) {
      auto linked = co_await ctx.write(persistence::link_stripe_customer, claim.who, id, ctx.now());
      if (linked) co_return linked->id;
      // Another user's after all, or deleted at Stripe meanwhile.
      if (linked.error().code != errc::conflict && linked.error().code != errc::gone)
        co_return linked.error();
    }
    ensure_customer wanted{claim.who};
    auto made = co_await ctx.ask<customer_account>(ctx.app.billing, wanted, reserve);
    if (!made) co_return made.error();
    co_return std::string{};
  }

  task<result<done>> adopt_subscriptions_of(const std::string& of, time_point as_of) {
    auto found = co_await subscriptions_at_stripe(of);
    if (!found) co_return found.error();
    if (found->data.empty()) co_return done{};
    auto kept = co_await ctx.settle(adopt_subscriptions, claim.who, std::move(found->data),
                                    ctx.app.offers, as_of, ctx.now());
    if (!kept) co_return kept.error();
    co_return done{};
  }

  task<result<done>> make() {
    auto known = co_await ctx.snapshot(find_billing_record, claim.who, ctx.now());
    if (!known) co_return known.error();
    findings out;
    auto of = co_await customer_of(*known);
    if (!of)
      out.customer = of.error();
    else if (!known->usage && !of->empty())
      out.subscription = co_await adopt_subscriptions_of(*of, known->as_of);
    co_return co_await ctx.settle(note_findings, claim.who, out, ctx.now());
  }
};

} // namespace

task<done> check_stripe_account(context& ctx, stripe_claim claim, seconds reserve) {
  checks all{ctx, claim, reserve};
  auto made = co_await all.make();
  if (!made)
    log::warn("account at Stripe not checked",
              {{"user", claim.who.value}, {"why", to_string(made.error())}});
  co_return done{};
}

} // namespace binnacle
