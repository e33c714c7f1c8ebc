#include "http/routes/assinante/handlers.hpp"
#include "http/routes/assinante/paging.hpp"
#include "http/routes/replies.hpp"
#include "persistence/assinante_orders.hpp"
#include "persistence/subscribers.hpp"

#include <boost/json/value.hpp>

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;

constexpr std::int64_t orders_by_default = 10;
constexpr std::int64_t most_orders = 50;

result<sql::order_page> load_orders(persistence::transaction& tx, const user_id& who,
                                    const sql::order_filter& filter) {
  auto found = sql::find_subscriber(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  return sql::orders_of(tx, who, filter);
}

/// What the contract shows of an order's address.
json::value short_address(const std::string& document) {
  if (document.empty()) return {};
  auto whole = json::parse(document);
  if (!whole || !whole->is_object()) return {};
  json::object out;
  for (const auto* part : {"street", "number", "city", "state", "zipCode"}) {
    const auto* v = whole->get_object().if_contains(part);
    if (v && v->is_string()) out.add(part, std::string{v->get_string().c_str()});
  }
  return out;
}

json::object to_json(const sql::order& o) {
  auto time = [](const auto& at) { return at ? json::value{format_iso_ms(*at)} : json::value{}; };
  return {{"id", o.id},
          {"status", upper_case(o.status)},
          {"orderNumber", o.number},
          {"totalAmount", o.total},
          {"items", json::raw{o.items}},
          {"shippingAddress", short_address(o.shipping_address)},
          {"trackingCode", o.tracking_code.empty() ? json::value{} : json::value{o.tracking_code}},
          {"shippedAt", time(o.shipped_at)},
          {"deliveredAt", time(o.delivered_at)},
          {"createdAt", format_iso_ms(o.created_at)}};
}

} // namespace

task<result<response>> get_orders(context& ctx) {
  page_query asked{ctx.req};
  sql::order_filter filter;
  filter.limit = asked.limit(orders_by_default, most_orders);
  filter.offset = asked.offset();
  filter.status = asked.status({"PENDING", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED"});
  if (!asked.problems().empty()) co_return bad_fields(asked.problems());
  auto found = co_await ctx.snapshot(load_orders, ctx.who().id, filter);
  if (!found) co_return found.error();
  json::array orders;
  for (const auto& o : found->orders) orders.emplace_back(to_json(o));
  auto shown = filter.offset + static_cast<std::int64_t>(found->orders.size());
  json::object pagination{{"total", found->total},
                          {"limit", filter.limit},
                          {"offset", filter.offset},
                          {"hasMore", shown < found->total}};
  co_return json_reply({{"orders", std::move(orders)}, {"pagination", std::move(pagination)}});
}

} // namespace binnacle::http
