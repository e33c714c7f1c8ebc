#include "persistence/rate_windows.hpp"

#include "persistence/sql.hpp"

#include <map>

namespace binnacle::persistence {

constexpr statement window_of{"load_rate_window", R"sql(
  SELECT state FROM rate_windows WHERE key = $1 AND expires_at > $2
)sql"};
result<std::string> load_rate_window(transaction& tx, const std::string& key, time_point now) {
  auto rows = exec(tx, window_of, key, now);
  return rows.empty() ? std::string{} : text_of(rows[0][0]);
}

// The update changes nothing; it locks the row and returns it.
constexpr statement lock_window{"lock_rate_window", R"sql(
  INSERT INTO rate_windows AS w (key, state, expires_at) VALUES ($1, '', $2)
  ON CONFLICT (key) DO UPDATE SET key = w.key
  RETURNING CASE WHEN expires_at > $2 THEN state ELSE '' END
)sql"};
result<std::string> lock_rate_window(transaction& tx, const std::string& key, time_point now) {
  return text_of(exec(tx, lock_window, key, now)[0][0]);
}

constexpr statement store_windows{"save_rate_windows", R"sql(
  INSERT INTO rate_windows (key, state, expires_at)
  SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
  ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state, expires_at = EXCLUDED.expires_at
)sql"};
result<done> save_rate_windows(transaction& tx, const std::vector<rate_window>& windows) {
  // Each key once, the last one counting, and in order: two nodes that save the same keys lock
  // them in the same sequence.
  std::map<std::string_view, const rate_window*> last;
  for (const auto& w : windows) last[w.key] = &w;
  array_param keys, states, expiries;
  for (const auto& [key, window] : last) {
    keys.add(key);
    states.add(std::string_view{window->state});
    expiries.add(window->expires_at);
  }
  if (!last.empty()) exec(tx, store_windows, keys, states, expiries);
  return done{};
}

constexpr statement sweep_windows{"delete_expired_rate_windows",
                                  "DELETE FROM rate_windows WHERE expires_at <= $1"};
result<std::int64_t> delete_expired_rate_windows(transaction& tx, time_point now) {
  return static_cast<std::int64_t>(exec(tx, sweep_windows, now).affected_rows());
}

} // namespace binnacle::persistence
