#include "http/routes/assinante/form.hpp"
#include "http/routes/assinante/handlers.hpp"
#include "http/routes/body.hpp"
#include "http/routes/replies.hpp"
#include "persistence/assinante_subscriptions.hpp"
#include "persistence/subscribers.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;

struct overview {
  sql::subscriber who{};
  std::optional<sql::subscription> active{};
};

result<overview> load_overview(persistence::transaction& tx, const user_id& who) {
  auto found = sql::find_subscriber(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  auto active = sql::active_subscription(tx, who);
  if (!active) return active.error();
  return overview{std::move(**found), std::move(*active)};
}

result<sql::address_change> change_address(persistence::transaction& tx, const user_id& who,
                                           const std::string& address, const sql::author& by,
                                           time_point now) {
  auto found = sql::find_subscriber(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  auto changed = sql::change_shipping_address(tx, who, address, by, now);
  if (!changed) return changed.error();
  if (!*changed) return fault{errc::not_found, "Subscription not found", {}, {}};
  return std::move(**changed);
}

std::string midnight(date d) { return format_iso_ms(start_of(d)); }

/// Text, or null for none.
json::value or_null(const std::string& text) {
  return text.empty() ? json::value{} : json::value{text};
}

json::value json_or_null(const std::string& document) {
  return document.empty() ? json::value{} : json::value{json::raw{document}};
}

json::object to_json(const sql::subscription& s) {
  json::object plan{{"name", s.plan_name}, {"price", s.price}, {"billingCycle", "monthly"}};
  return {{"id", s.id},
          {"status", s.status},
          {"plan", std::move(plan)},
          {"currentPeriodStart", midnight(s.start_date)},
          {"currentPeriodEnd", midnight(s.renewal_date)},
          {"nextBillingDate", midnight(s.renewal_date)},
          {"benefits", json::raw{s.benefits}},
          {"shippingAddress", json_or_null(s.shipping_address)},
          {"paymentMethod", s.payment_method},
          {"paymentMethodLast4", or_null(s.payment_method_last4)},
          {"createdAt", format_iso_ms(s.created_at)},
          {"updatedAt", format_iso_ms(s.updated_at)}};
}

json::object to_json(const sql::subscriber& who) {
  return {{"id", who.id.value},
          {"name", who.name},
          {"email", or_null(who.email)},
          {"avatarUrl", or_null(who.avatar_url)}};
}

} // namespace

sql::author author_of(const context& ctx) {
  std::string agent{ctx.req.at(field::user_agent).substr(0, 500)};
  std::ranges::replace_if(
      agent, [](unsigned char c) { return c < 0x20 || c > 0x7E; }, '?');
  return {.actor = ctx.who().id.value,
          .client_address = ctx.req.client_address,
          .user_agent = std::move(agent)};
}

task<result<response>> get_subscription(context& ctx) {
  auto found = co_await ctx.snapshot(load_overview, ctx.who().id);
  if (!found) co_return found.error();
  auto active = found->active ? json::value{to_json(*found->active)} : json::value{};
  co_return json_reply({{"subscription", std::move(active)}, {"user", to_json(found->who)}});
}

task<result<response>> put_subscription(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  form given{body->object()};
  auto address = given.address("shippingAddress");
  if (!given.problems().empty()) co_return given.refusal();
  auto by = author_of(ctx);
  auto changed = co_await ctx.write(change_address, ctx.who().id, address, by, ctx.now());
  if (!changed) co_return changed.error();
  json::object shown{{"id", changed->subscription},
                     {"shippingAddress", json::raw{changed->address}},
                     {"updatedAt", format_iso_ms(changed->at)}};
  co_return written(
      {{"message", "Endereço atualizado com sucesso"}, {"subscription", std::move(shown)}});
}

} // namespace binnacle::http
