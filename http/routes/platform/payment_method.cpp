#include "actors/admission.hpp"
#include "http/routes/checkout.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {

/// Ours: the contract wants a payment method to be set up through Checkout and names no route.
task<result<response>> post_payment_method(context& ctx) {
  auto who = ctx.who().id;
  if (!ctx.who().account_owner.empty())
    co_return fault{errc::forbidden, "Only account owners can manage billing", {}, {}};
  if (!ctx.app.config.stripe.configured()) co_return stripe_not_configured();
  ensure_customer asked{who};
  auto customer = co_await ctx.ask<customer_account>(ctx.app.billing, asked);
  if (!customer) co_return stripe_failed(customer.error(), errc::upstream_failed);
  auto billing =
      platform_origin(ctx.req, ctx.app.config) + "/dashboard?tab=billing&payment_method=";
  stripe::checkout_order order{.mode = "setup",
                               .success_url = billing + "added",
                               .cancel_url = billing + "canceled",
                               .customer = customer->id,
                               .client_reference_id = who.value,
                               .notes = {{"userId", who.value}},
                               .payment_method_types = {"card"}};
  auto call = stripe::create_checkout(order, occasion(ctx, "setup"));
  auto made = co_await ctx.stripe(std::move(call), stripe::read_checkout);
  if (!made) co_return stripe_failed(made.error(), errc::upstream_failed);
  co_return written({{"url", made->url}});
}

} // namespace binnacle::http
