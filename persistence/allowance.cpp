#include "persistence/allowance.hpp"

#include "config/credits.hpp"
#include "persistence/sql.hpp"

#include <algorithm>

namespace binnacle::persistence {

constexpr statement used_in_month{"allowance_used", R"sql(
  SELECT sum(tenths) FROM allowance_uses WHERE user_id = $1 AND month = $2
)sql"};
result<std::int64_t> allowance_used(transaction& tx, const user_id& who, time_point at) {
  return integer_of(exec(tx, used_in_month, who, date_of(start_of_month(at)))[0][0]);
}

// Sums are compared and rows added by one at a time. A statement of its own: the next one sees what
// the previous holder committed.
constexpr statement hold_user{"hold_user_for_allowance", R"sql(
  SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE
)sql"};
constexpr statement use_by_source{"allowance_use_by_source", R"sql(
  SELECT tenths, month FROM allowance_uses WHERE user_id = $1 AND source = $2
)sql"};
constexpr statement add_use{"use_allowance", R"sql(
  INSERT INTO allowance_uses (user_id, source, month, tenths, created_at)
  VALUES ($1, $2, $3, $4, $5)
)sql"};
result<std::int64_t> use_allowance(transaction& tx, const user_id& who, const std::string& source,
                                   std::int64_t tenths, std::int64_t limit, time_point now) {
  if (source.empty()) return bad_field("source", "The source is missing");
  if (tenths < 1 || tenths > most_tenths) return bad_field("tenths", "Not a possible amount");
  if (exec(tx, hold_user, who).empty()) return missing("User not found");
  if (auto before = exec(tx, use_by_source, who, source); !before.empty()) {
    if (integer_of(before[0][0]) != tenths)
      return fault{errc::conflict, "This was counted already, with another amount", "source",
                   source};
    return allowance_used(tx, who, start_of(day_of(before[0][1])));
  }

  auto used = *allowance_used(tx, who, now);
  if (tenths > limit - used)
    return fault{errc::unprocessable,
                 "The allowance of this month does not suffice: " +
                     format_credits(std::max<std::int64_t>(limit - used, 0)) + " are left, " +
                     format_credits(tenths) + " are needed",
                 {},
                 {}};
  exec(tx, add_use, who, source, date_of(start_of_month(now)), tenths, now);
  tx.touch({topic::billing, who});
  return used + tenths;
}

} // namespace binnacle::persistence
