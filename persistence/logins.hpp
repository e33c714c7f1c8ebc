/// Logins through a provider that have come back.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>

namespace binnacle::persistence {

/// True for the first caller with this digest (32 raw bytes, of the login's state), false for every
/// other until `expires_at`. Forgets those that have expired.
result<bool> spend_login(transaction&, const std::string& digest, time_point expires_at,
                         time_point now);

} // namespace binnacle::persistence
