/// Private to this folder: the columns of a ledger entry, and an entry from them.
#pragma once

#include "persistence/credits.hpp"

#include <pqxx/pqxx>

// A macro, so that it joins the literals of a statement; table alias e.
#define ENTRY_COLUMNS                                                                              \
  "e.id, e.kind, e.source, e.tenths, e.use_id, e.expires_at, e.balance_after, e.occurred_at, "     \
  "e.created_at"

namespace binnacle::persistence {

inline constexpr int entry_columns = 9;

credit_entry entry_of(const pqxx::row& row);

inline std::int64_t number(credit_entry_id id) { return static_cast<std::int64_t>(id); }

} // namespace binnacle::persistence
