#include "persistence/prices.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement active_prices{"load_price_history", R"sql(
  SELECT valid_from, product_type, unit_price FROM stripe_products
  WHERE active AND product_type IN ('compute_credits', 'storage_online_gb', 'storage_offline_gb')
  ORDER BY valid_from
)sql"};
result<price_history> load_price_history(transaction& tx) {
  auto built_in = default_price_list();
  auto credit = built_in.compute_credits;
  auto online = built_in.storage_online_gb;
  auto offline = built_in.storage_offline_gb;
  price_history out;
  auto rows = exec(tx, active_prices);
  for (auto row = rows.begin(); row != rows.end();) {
    auto from = time_of(row[0]);
    // Prices of several products that change together make one list.
    for (; row != rows.end() && time_of(row[0]) == from; ++row) {
      auto product = text_of(row[1]);
      auto& price = product == "compute_credits"     ? credit
                    : product == "storage_online_gb" ? online
                                                     : offline;
      price = decimal_of(row[2]);
    }
    out.add(from, make_price_list(credit, online, offline));
  }
  return out;
}

result<price_list> load_prices(transaction& tx, time_point at) {
  auto history = load_price_history(tx);
  if (!history) return history.error();
  return history->at(at);
}

} // namespace binnacle::persistence
