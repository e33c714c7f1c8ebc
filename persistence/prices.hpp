/// Prices set in the database, with their history (stripe_products, see its migrations).
#pragma once

#include "config/base/errors.hpp"
#include "config/prices.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

/// At every time the built-in list, with the newest active price of each product in place of the
/// built-in one. The database refuses to change what has priced a booked hour, so an hour's list
/// stays the same for ever.
result<price_history> load_price_history(transaction&);
/// The list valid at `at`.
result<price_list> load_prices(transaction&, time_point at);

/// A product's price from `valid_from` on; `stripe_price` is what it is sold by at Stripe, if it
/// is.
struct product_price {
  std::string product{}; // compute_credits, storage_online_gb, storage_offline_gb
  decimal unit_price{};
  std::string stripe_price{};
  time_point valid_from{};
};
/// bad_request for another product or a negative price; conflict when the product has a price from
/// that very time, or hours from then on are booked already.
result<done> add_price(transaction&, const product_price&);

/// What usage is billed by at Stripe from `at` on: the price of each product that has one.
result<std::vector<std::string>> usage_prices(transaction&, time_point at);
/// Whether one of these is, or was, a product's price at Stripe.
result<bool> bills_usage(transaction&, const std::vector<std::string>& prices);

} // namespace binnacle::persistence
