/// What went wrong with a user's accounts elsewhere, until it has healed: for whoever looks after
/// them (platform.md §6 and §8, health_check_failures).
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>

namespace binnacle::persistence {

/// One is open per user and kind; more of the same only bring it up to date.
result<done> note_health_failure(transaction&, const user_id&, const std::string& check_type,
                                 const std::string& message, time_point now);
result<done> resolve_health_failure(transaction&, const user_id&, const std::string& check_type,
                                    const std::string& notes, time_point now);

} // namespace binnacle::persistence
