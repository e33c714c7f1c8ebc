/// Private to this folder: rows that come in from outside, many at once.
#pragma once

#include "persistence/assinante.hpp"
#include "persistence/sql.hpp"

#include <vector>

namespace binnacle::persistence::assinante {

/// One column of many rows; empty text and what is not there are NULL.
template <class Row, class Value>
param column(const std::vector<Row>& rows, Value Row::*of) {
  array_param out;
  for (const auto& row : rows) {
    if constexpr (requires { (row.*of).has_value(); }) {
      (row.*of).has_value() ? out.add(*(row.*of)) : out.add_null();
    } else if constexpr (requires { (row.*of).empty(); }) {
      (row.*of).empty() ? out.add_null() : out.add(std::string_view{row.*of});
    } else {
      out.add(row.*of);
    }
  }
  return out;
}

/// The rows of an upsert's last SELECT: user, whether its parent is there, whether it was there,
/// whether it is of another user, whether it was written. Touches the subscribers of what was
/// written.
std::vector<outcome> outcomes_of(transaction& tx, const pqxx::result& found);

} // namespace binnacle::persistence::assinante
