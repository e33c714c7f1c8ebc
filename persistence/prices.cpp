#include "persistence/prices.hpp"

#include "persistence/sql.hpp"

#include <algorithm>
#include <array>

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

constexpr statement prices_at_stripe{"usage_prices", R"sql(
  SELECT stripe_price_id FROM (
    SELECT DISTINCT ON (product_type) product_type, stripe_price_id FROM stripe_products
    WHERE active AND valid_from <= $1 AND stripe_price_id <> ''
    ORDER BY product_type, valid_from DESC) newest
  ORDER BY product_type
)sql"};
result<std::vector<std::string>> usage_prices(transaction& tx, time_point at) {
  std::vector<std::string> out;
  for (auto row : exec(tx, prices_at_stripe, at)) out.push_back(text_of(row[0]));
  return out;
}

constexpr statement any_price_of_ours{"bills_usage", R"sql(
  SELECT EXISTS (SELECT FROM stripe_products WHERE stripe_price_id = ANY ($1::text[]))
)sql"};
result<bool> bills_usage(transaction& tx, const std::vector<std::string>& prices) {
  return truth_of(exec(tx, any_price_of_ours, array_of(prices))[0][0]);
}

constexpr statement new_price{"add_price", R"sql(
  INSERT INTO stripe_products (product_type, unit_price, stripe_price_id, valid_from)
  VALUES ($1, $2, $3, $4)
)sql"};
result<done> add_price(transaction& tx, const product_price& p) {
  constexpr std::array<std::string_view, 3> products{"compute_credits", "storage_online_gb",
                                                     "storage_offline_gb"};
  if (std::ranges::find(products, p.product) == products.end())
    return bad_field("product", "No such product: compute_credits, storage_online_gb or "
                                "storage_offline_gb");
  if (p.unit_price < decimal{}) return bad_field("unit_price", "A price is not negative");
  try {
    return refusing(
        {{"stripe_products_one_active", "valid_from", "There is a price from that time"}}, [&] {
          exec(tx, new_price, p.product, p.unit_price, or_null(p.stripe_price), p.valid_from);
        });
  } catch (const pqxx::check_violation&) {
    return fault{errc::conflict, "Hours from that time on are booked already", "valid_from", {}};
  }
}

} // namespace binnacle::persistence
