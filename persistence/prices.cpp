#include "persistence/prices.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement active_prices{"load_prices", R"sql(
  SELECT product_type, unit_price FROM stripe_products WHERE active
)sql"};
result<price_list> load_prices(transaction& tx) {
  auto list = default_price_list();
  auto credit = list.compute_credits;
  auto online = list.storage_online_gb;
  auto offline = list.storage_offline_gb;
  for (auto row : exec(tx, active_prices)) {
    auto product = text_of(row[0]);
    if (product == "compute_credits") credit = decimal_of(row[1]);
    if (product == "storage_online_gb") online = decimal_of(row[1]);
    if (product == "storage_offline_gb") offline = decimal_of(row[1]);
  }
  return make_price_list(credit, online, offline);
}

} // namespace binnacle::persistence
