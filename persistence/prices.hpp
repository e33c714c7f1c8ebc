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

/// What usage is billed by at Stripe from `at` on: the price of each product that has one.
result<std::vector<std::string>> usage_prices(transaction&, time_point at);
/// Whether one of these is, or was, a product's price at Stripe.
result<bool> bills_usage(transaction&, const std::vector<std::string>& prices);

} // namespace binnacle::persistence
