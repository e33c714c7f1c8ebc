/// Private to this folder: the months derived from days, a row each for the summary that is asked
/// for all the time.
#pragma once

#include "config/base/ids.hpp"
#include "persistence/transaction.hpp"

#include <set>
#include <string>
#include <utility>

namespace binnacle::persistence {

/// Recomputes the months that these (user, "YYYY-MM-DD") are in, under the usage lock.
void recompute_months(transaction& tx, const std::set<std::pair<std::string, std::string>>& days);

/// Recomputes all months of a user: a project of theirs has another name.
void recompute_months(transaction& tx, const user_id& who);

} // namespace binnacle::persistence
