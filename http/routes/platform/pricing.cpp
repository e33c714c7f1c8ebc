#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/prices.hpp"

namespace binnacle::http {

json::object rates_of(const price_list& prices) {
  return {{"cpu_hour", prices.cpu_hour},
          {"gpu_hour", prices.gpu_hour},
          {"ram_gb_hour", prices.ram_gb_hour},
          {"storage_online_gb", prices.storage_online_gb},
          {"storage_offline_gb", prices.storage_offline_gb},
          {"network_egress_gb", prices.network_egress_gb}};
}

namespace {

json::object body_of(const price_list& prices) {
  json::object out{{"compute_credits", prices.compute_credits}};
  auto rates = rates_of(prices);
  for (const auto& [name, rate] : rates.members()) out.add(name, rate);
  return out;
}

} // namespace

task<result<response>> get_pricing(context& ctx) {
  auto prices = co_await ctx.read(persistence::load_price_history);
  if (prices) {
    auto now = ctx.now();
    auto out = json_reply(body_of(prices->at(now)));
    out.valid_until = prices->next_change(now);
    co_return out;
  }
  // A landing page shows these rather than nothing.
  auto body = body_of(default_price_list());
  body.add("error", "Failed to fetch pricing");
  auto out = json_reply(body, 500, caching::no_store);
  out.log_detail = to_string(prices.error());
  co_return out;
}

} // namespace binnacle::http
