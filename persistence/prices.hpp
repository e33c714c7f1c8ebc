/// Prices set in the database, with their history (stripe_products, see its migrations).
#pragma once

#include "config/base/errors.hpp"
#include "config/prices.hpp"
#include "persistence/transaction.hpp"

namespace binnacle::persistence {

/// At every time the built-in list, with the newest active price of each product in place of the
/// built-in one. The database refuses to change what has priced a booked hour, so an hour's list
/// stays the same for ever.
result<price_history> load_price_history(transaction&);
/// The list valid at `at`.
result<price_list> load_prices(transaction&, time_point at);

} // namespace binnacle::persistence
