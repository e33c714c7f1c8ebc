/// Rows that a node holds while it works on them: those of outboxes and of the inbox. Only inside
/// persistence/.
#pragma once

#include "persistence/sql.hpp"

namespace binnacle::persistence {

/// Of an update that names the holder and the number of its attempt, which tells a holder from
/// itself at an earlier one. conflict when somebody else has the row by now.
inline result<done> still_held(const pqxx::result& changed) {
  if (changed.affected_rows() > 0) return done{};
  return fault{errc::conflict, "Another attempt has taken it over", {}, {}};
}

} // namespace binnacle::persistence
