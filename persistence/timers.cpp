#include "persistence/sql.hpp"
#include "persistence/usage.hpp"

namespace binnacle::persistence {

time_point timer_rhythm::next_after(time_point now) const {
  auto since = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()) - offset;
  return time_point{since - since % every + every + offset};
}

// Due, and nobody at it whose lease still runs. A run that never finished is due at once. The row's
// lock makes it one node's: the others see next_due moved on.
constexpr statement claim{"claim_timer", R"sql(
  INSERT INTO timers AS t (name, holder, last_started, lease_until, next_due)
  VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (name) DO UPDATE
    SET holder = EXCLUDED.holder, last_started = EXCLUDED.last_started,
        lease_until = EXCLUDED.lease_until, next_due = EXCLUDED.next_due
    WHERE (t.holder IS NULL AND t.next_due <= EXCLUDED.last_started)
       OR (t.holder IS NOT NULL AND t.lease_until <= EXCLUDED.last_started)
  RETURNING name
)sql"};
result<bool> claim_timer(transaction& tx, const std::string& name, const std::string& holder,
                         timer_rhythm rhythm, std::chrono::milliseconds lease, time_point now) {
  if (rhythm.every.count() <= 0) return bad_field("interval", "The interval must be positive");
  return !exec(tx, claim, name, holder, now, now + lease, rhythm.next_after(now)).empty();
}

constexpr statement finish{"finish_timer", R"sql(
  UPDATE timers SET holder = NULL, lease_until = NULL, last_finished = $4, last_outcome = $3::jsonb
  WHERE name = $1 AND holder = $2
)sql"};
result<done> finish_timer(transaction& tx, const std::string& name, const std::string& holder,
                          const std::string& outcome_json, time_point now) {
  if (exec(tx, finish, name, holder, outcome_json, now).affected_rows() == 0)
    return fault{errc::conflict, "The run was taken over by another node", {}, {}};
  return done{};
}

constexpr statement all_timers{"list_timers", R"sql(
  SELECT name, last_started, last_finished, next_due, last_outcome FROM timers ORDER BY name
)sql"};
result<std::vector<timer_run>> list_timers(transaction& tx) {
  std::vector<timer_run> out;
  for (auto row : exec(tx, all_timers))
    out.push_back({text_of(row[0]), maybe_time(row[1]), maybe_time(row[2]), maybe_time(row[3]),
                   text_of(row[4])});
  return out;
}

constexpr statement what_time_is_it{"database_now", "SELECT clock_timestamp()"};
result<time_point> database_now(transaction& tx) {
  return time_of(exec(tx, what_time_is_it)[0][0]);
}

} // namespace binnacle::persistence
