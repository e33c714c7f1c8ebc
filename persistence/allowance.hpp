/// How much of the monthly allowance of a plan was used: tenths of a credit per user and calendar
/// month (UTC). An allowance is no grant: it is not bought, nothing of it is carried over, and a
/// change of plan changes it at once. So it is apart from the ledger of credits.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <string>

namespace binnacle::persistence {

/// Counts `tenths` against the month of `now` when the month's sum stays within `limit`, else
/// unprocessable and nothing is counted. With a lower limit than before, what was used stays used.
/// Counting the same source again changes nothing, in another month neither; with other tenths it
/// is conflict. bad_request; not_found for an unknown user. Touches billing. Returns the sum of the
/// month.
result<std::int64_t> use_allowance(transaction&, const user_id&, const std::string& source,
                                   std::int64_t tenths, std::int64_t limit, time_point now);

/// The sum of the month of `at`, in tenths.
result<std::int64_t> allowance_used(transaction&, const user_id&, time_point at);

} // namespace binnacle::persistence
