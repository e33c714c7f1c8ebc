#include "persistence/health_checks.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement note_failure{"note_health_failure", R"sql(
  INSERT INTO health_check_failures AS f (user_id, email, check_type, error_message, created_at)
  SELECT id, email, $2, $3, $4 FROM users WHERE id = $1
  ON CONFLICT (user_id, check_type) WHERE resolved_at IS NULL
  DO UPDATE SET error_message = EXCLUDED.error_message, email = EXCLUDED.email
)sql"};
result<done> note_health_failure(transaction& tx, const user_id& who, const std::string& check_type,
                                 const std::string& message, time_point now) {
  exec(tx, note_failure, who, check_type, message, now);
  return done{};
}

constexpr statement resolve_failure{"resolve_health_failure", R"sql(
  UPDATE health_check_failures SET resolved_at = $4, resolution_notes = $3
  WHERE user_id = $1 AND check_type = $2 AND resolved_at IS NULL
)sql"};
result<done> resolve_health_failure(transaction& tx, const user_id& who,
                                    const std::string& check_type, const std::string& notes,
                                    time_point now) {
  exec(tx, resolve_failure, who, check_type, notes, now);
  return done{};
}

} // namespace binnacle::persistence
