/// Prices set in the database.
#pragma once

#include "config/base/errors.hpp"
#include "config/prices.hpp"
#include "persistence/transaction.hpp"

namespace binnacle::persistence {

/// The default price list, with the prices of active products in place of the built-in ones.
result<price_list> load_prices(transaction&);

} // namespace binnacle::persistence
