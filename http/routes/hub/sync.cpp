#include "actors/admission.hpp"
#include "actors/subscription_rules.hpp"
#include "config/base/log.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/replies.hpp"
#include "http/routes/return_to.hpp"
#include "persistence/billing_accounts.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>
#include <cctype>

namespace binnacle::http {
namespace {

response sent_to(std::string location) {
  auto out = redirect(std::move(location));
  out.headers.emplace_back("X-XSS-Protection", "1; mode=block");
  return out;
}

/// The third shape of an error on this surface (hub.md §5).
response sync_failed(const fault& why) {
  auto out = json_reply({{"error", true}, {"message", "sync_error"}}, 500, caching::no_store);
  out.log_detail = to_string(why);
  return out;
}

/// Whether a session that names no user is this one's: by the email it was paid with, if it has
/// one.
bool is_email_of(const stripe::checkout_session& session, const persistence::user& who) {
  auto lower = [](unsigned char c) { return static_cast<char>(std::tolower(c)); };
  auto paid_by = session.customer_email;
  std::ranges::transform(paid_by, paid_by.begin(), lower);
  return paid_by.empty() || paid_by == who.email;
}

/// Only a subscription changes the plan; what a payment bought, its webhook grants. conflict when
/// the customer is another user's.
result<done> store_checkout(persistence::transaction& tx, const user_id& who,
                            const stripe::checkout_session& session, const catalogue& offers,
                            time_point as_of, time_point now) {
  if (session.mode != "subscription" || !session.subscription) return done{};
  if (!session.customer.empty()) {
    auto linked = persistence::link_stripe_customer(tx, who, session.customer, now);
    if (!linked && linked.error().code != errc::gone) return linked.error();
  }
  auto bought = *session.subscription;
  bought.notes.insert(session.notes.begin(), session.notes.end()); // its own notes win
  return apply_subscription(tx, who, bought, offers, as_of, now);
}

} // namespace

task<result<response>> get_billing_sync(context& ctx) {
  auto base = own_origin(ctx.req, ctx.app.config);
  auto dashboard = base + dashboard_of(ctx.req.parameter("ws").value_or("default"));
  if (!ctx.app.config.stripe.configured())
    co_return sent_to(dashboard + "&billing=stripe_not_configured");
  auto id = ctx.req.parameter("session_id").value_or("");
  if (id.empty()) co_return sent_to(dashboard + "&billing=missing_session");
  auto as_of = co_await ctx.read(persistence::stripe_clock);
  if (!as_of) co_return sync_failed(as_of.error());
  auto session = co_await ctx.stripe(stripe::get_checkout(id), stripe::read_checkout);
  if (!session) {
    auto out = sent_to(dashboard + "&billing=sync_error");
    out.log_detail = to_string(session.error());
    co_return out;
  }
  auto owner = user_of(*session);
  auto mine = owner.empty() ? is_email_of(*session, ctx.who()) : owner == ctx.who().id;
  if (!mine) co_return sent_to(dashboard + "&billing=forbidden");
  auto stored =
      co_await ctx.write(store_checkout, ctx.who().id, *session, ctx.app.offers, *as_of, ctx.now());
  if (!stored && stored.error().code == errc::conflict)
    co_return sent_to(dashboard + "&billing=forbidden");
  if (!stored) co_return sync_failed(stored.error());
  auto back = sanitize_return_to(ctx.req.parameter("return_to").value_or(""));
  co_return sent_to(back.empty() ? dashboard : base + escape_target(back));
}

} // namespace binnacle::http
