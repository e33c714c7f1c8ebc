#include "http/routes/checkout.hpp"

#include "actors/admission.hpp"
#include "config/credits.hpp"
#include "http/routes/body.hpp"
#include "http/routes/hub/envelope.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/return_to.hpp"
#include "persistence/billing_accounts.hpp"

#include <algorithm>

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

constexpr std::size_t longest_workspace = 100;
constexpr std::size_t longest_return_to = 300;

std::string trimmed(const std::string& text) {
  constexpr std::string_view blank = " \t\r\n";
  auto first = text.find_first_not_of(blank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// Where a purchase begins and ends.
struct destination {
  std::string workspace = "default";
  std::string return_to{}; // empty: the dashboard
};

void read_workspace(json_fields& body, destination& to) {
  auto given = body.maybe_text("workspaceId");
  if (!given) return;
  to.workspace = trimmed(*given);
  if (to.workspace.empty() || to.workspace.size() > longest_workspace)
    body.note(bad_field("workspaceId", "workspaceId must have 1 to 100 characters"));
}

void read_return_to(json_fields& body, destination& to) {
  auto given = trimmed(body.text("returnTo"));
  if (given.size() > longest_return_to)
    body.note(bad_field("returnTo", "returnTo must have at most 300 characters"));
  to.return_to = escape_target(sanitize_return_to(given));
}

struct credits_order {
  std::int64_t pack = 0;
  destination to{};
};

result<credits_order> read_credits_order(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return invalid_body(body.error());
  credits_order out;
  auto pack = body->maybe_integer("pack", 1, most_tenths);
  if (!pack || std::ranges::find(credit_packs, *pack) == credit_packs.end())
    body->note(bad_field("pack", "pack must be 100, 500 or 1500"));
  out.pack = pack.value_or(0);
  read_workspace(*body, out.to);
  read_return_to(*body, out.to);
  if (body->problem()) return invalid_body(*body->problem());
  return out;
}

struct plan_order {
  std::string plan{};
  bool annual = false;
  destination to{};
};

result<plan_order> read_plan_order(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return invalid_body(body.error());
  plan_order out;
  out.plan = body->text("plan");
  auto workspace = body->text("workspaceId");
  auto interval = body->maybe_text("interval").value_or("monthly");
  if (body->problem()) return invalid_body(*body->problem());
  if (out.plan.empty() || trimmed(workspace).empty())
    return fault{errc::bad_request, "plan and workspaceId are required", {}, {}};
  if (interval != "monthly" && interval != "annual")
    body->note(bad_field("interval", "interval must be monthly or annual"));
  read_workspace(*body, out.to);
  read_return_to(*body, out.to);
  if (body->problem()) return invalid_body(*body->problem());
  constexpr std::array<std::string_view, 3> plans{"pro", "premium", "enterprise"};
  if (std::ranges::find(plans, out.plan) == plans.end())
    return fault{errc::bad_request, "Unknown plan", {}, {}};
  out.annual = interval == "annual";
  return out;
}

/// Empty: it is not sold.
std::string price_in(const catalogue::table& prices, const std::string& key) {
  auto at = prices.find(key);
  return at == prices.end() ? std::string{} : at->second;
}

stripe::checkout_order checkout_of(const credits_order& o, const std::string& price,
                                   const std::string& base, const persistence::user& who) {
  auto target = o.to.return_to.empty() ? dashboard_of(o.to.workspace) : o.to.return_to;
  return {
      .mode = "payment",
      .success_url = base + with_parameter(target, "credits", "1"),
      .cancel_url = base + "/pricing",
      .items = {{.price = price, .quantity = 1}},
      .customer_email = who.email,
      .client_reference_id = who.id.value,
      .notes = {{"purpose", "credits"}, {"userId", who.id.value}, {"pack", std::to_string(o.pack)}},
      .allow_promotion_codes = false};
}

stripe::checkout_order checkout_of(const plan_order& o, const std::string& price,
                                   const std::string& base, const persistence::user& who,
                                   const std::string& customer) {
  // Stripe fills in the id itself, so its braces must stay as they are.
  auto back = base + "/api/billing/sync?session_id={CHECKOUT_SESSION_ID}&ws=" +
              stripe::path_segment(o.to.workspace);
  if (!o.to.return_to.empty()) back += "&return_to=" + stripe::path_segment(o.to.return_to);
  return {.mode = "subscription",
          .success_url = std::move(back),
          .cancel_url = base + "/pricing",
          .items = {{.price = price, .quantity = 1}},
          .customer = customer,
          .client_reference_id = who.id.value,
          .notes = {{"workspaceId", o.to.workspace},
                    {"userId", who.id.value},
                    {"plan", o.plan},
                    {"kind", "plan"}},
          .allow_promotion_codes = true};
}

} // namespace

task<result<response>> post_billing_credits(context& ctx) {
  auto wanted = read_credits_order(ctx.req);
  if (!wanted) co_return wanted.error();
  if (!ctx.app.config.stripe.configured()) co_return stripe_not_configured();
  auto pack = std::to_string(wanted->pack);
  auto price = price_in(ctx.app.offers.credits, pack);
  if (price.empty()) co_return fault{errc::bad_request, "pack_not_configured", {}, {}};
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "credits_checkout_session_created";
  entry.target = ctx.who().id.value;
  entry.detail =
      json::to_text(json::object{{"pack", wanted->pack}, {"workspaceId", wanted->to.workspace}});
  entry.address = ctx.req.client_address;
  auto noted = co_await ctx.write(persistence::write_audit, entry, ctx.now());
  if (!noted) co_return noted.error();
  auto order = checkout_of(*wanted, price, own_origin(ctx.req, ctx.app.config), ctx.who());
  auto call = stripe::create_checkout(order, occasion(ctx, "credits"));
  auto made = co_await ctx.stripe(std::move(call), stripe::read_checkout);
  if (!made) co_return stripe_failed(made.error(), errc::internal);
  co_return written({{"url", made->url}});
}

task<result<response>> post_billing_session(context& ctx) {
  auto wanted = read_plan_order(ctx.req);
  if (!wanted) co_return wanted.error();
  if (!ctx.app.config.stripe.configured())
    co_return fault{errc::internal, "Stripe not configured", {}, {}};
  const auto& offers = ctx.app.offers;
  auto price = price_in(wanted->annual ? offers.annual : offers.monthly, wanted->plan);
  if (price.empty()) co_return fault{errc::bad_request, "Unknown plan", {}, {}};
  // Stripe would bill a second one beside it.
  std::string kind{"plan"};
  auto present = co_await ctx.read(persistence::telling_subscription, ctx.who().id, kind);
  if (!present) co_return present.error();
  if (*present && persistence::is_active(**present))
    co_return fault{errc::conflict,
                    "A subscription is active: change or cancel it in the billing portal",
                    {},
                    (*present)->id};
  ensure_customer asked{ctx.who().id};
  auto customer = co_await ctx.ask<customer_account>(ctx.app.billing, asked);
  if (!customer) co_return stripe_failed(customer.error(), errc::internal);
  auto order =
      checkout_of(*wanted, price, own_origin(ctx.req, ctx.app.config), ctx.who(), customer->id);
  auto call = stripe::create_checkout(order, occasion(ctx, "plan"));
  auto made = co_await ctx.stripe(std::move(call), stripe::read_checkout);
  if (!made) co_return stripe_failed(made.error(), errc::internal);
  co_return written(in_envelope(json::object{{"url", made->url}}));
}

} // namespace binnacle::http
