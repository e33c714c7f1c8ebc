#include "persistence/avatars.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement plan_one{"plan_avatar", R"sql(
  INSERT INTO unwanted_objects (bucket, key, due_at)
  SELECT $2, $3, $5 WHERE NOT EXISTS (SELECT FROM users WHERE id = $1 AND image = $4)
  ON CONFLICT DO NOTHING
)sql"};
result<bool> plan_avatar(transaction& tx, const user_id& who, const stored_object& what,
                         const std::string& image, time_point unless_adopted_by) {
  return exec(tx, plan_one, who, what.bucket, what.key, image, unless_adopted_by).affected_rows() >
         0;
}

constexpr statement want_object{"want_object", R"sql(
  DELETE FROM unwanted_objects WHERE bucket = $1 AND key = $2 AND attempts = 0
)sql"};
// Locks the user first, so that of two uploads at once each finds the other's picture.
constexpr statement present_image{"present_image", R"sql(
  SELECT coalesce(image, '') FROM users WHERE id = $1 FOR UPDATE
)sql"};
constexpr statement new_image{"new_image", R"sql(
  UPDATE users SET image = $2, updated_at = $3 WHERE id = $1
)sql"};
constexpr statement unwant_object{"unwant_object", R"sql(
  INSERT INTO unwanted_objects (bucket, key, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
)sql"};
result<done> adopt_avatar(transaction& tx, const user_id& who, const stored_object& what,
                          const std::string& image, time_point now) {
  auto present = exec(tx, present_image, who);
  if (present.empty()) return missing("User not found");
  if (exec(tx, want_object, what.bucket, what.key).affected_rows() == 0)
    return fault{errc::conflict, "The upload took too long", {}, {}};
  auto before = text_of(present[0][0]);
  // Pictures elsewhere, such as an issuer's, are not ours to remove.
  constexpr std::string_view ours = "/r2/";
  if (before.starts_with(ours))
    exec(tx, unwant_object, what.bucket, before.substr(ours.size()), now);
  exec(tx, new_image, who, image, now);
  tx.touch({topic::identity, who});
  return done{};
}

constexpr statement hold_unwanted{"hold_unwanted_objects", R"sql(
  WITH due AS MATERIALIZED (
    SELECT bucket, key FROM unwanted_objects WHERE due_at <= $3
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE unwanted_objects u SET attempts = attempts + 1, due_at = $1
  FROM due WHERE (u.bucket, u.key) = (due.bucket, due.key)
  RETURNING u.bucket, u.key, u.attempts
)sql"};
result<std::vector<unwanted_object>> hold_unwanted_objects(transaction& tx, milliseconds lease,
                                                           std::int64_t most, time_point now) {
  std::vector<unwanted_object> out;
  for (auto row : exec(tx, hold_unwanted, now + lease, most, now))
    out.push_back({{text_of(row[0]), text_of(row[1])}, integer_of(row[2])});
  return out;
}

constexpr statement forget_unwanted{"forget_unwanted_object", R"sql(
  DELETE FROM unwanted_objects WHERE bucket = $1 AND key = $2 AND attempts > 0
)sql"};
result<done> forget_unwanted_object(transaction& tx, const stored_object& what) {
  exec(tx, forget_unwanted, what.bucket, what.key);
  return done{};
}

} // namespace binnacle::persistence
