#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence {

constexpr statement user_of_identity{"user_of_identity", R"sql(
  SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2
)sql"};
constexpr statement one_first_sight{"one_first_sight_of_a_subject", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.identity' || E'\x1f' || $1::text
                                                || E'\x1f' || $2::text, 0))
)sql"};
// An address that nobody verified is not stored: whoever registers somebody else's address first
// would otherwise receive that person's login later.
constexpr statement add_user_of_identity{"add_user_of_identity", R"sql(
  INSERT INTO users (id, email, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
  ON CONFLICT (email) DO NOTHING
  RETURNING id
)sql"};
constexpr statement user_with_email{"user_with_email", "SELECT id FROM users WHERE email = $1"};
constexpr statement add_identity{"add_identity", R"sql(
  INSERT INTO identities (user_id, issuer, subject, created_at) VALUES ($1, $2, $3, $4)
)sql"};

namespace {

user_id known(transaction& tx, const external_identity& who) {
  auto rows = exec(tx, user_of_identity, who.issuer, who.subject);
  return rows.empty() ? user_id{} : user_id{text_of(rows[0][0])};
}

/// The user with the verified address, else a new one.
user_id link_or_create(transaction& tx, const external_identity& who, const user_id& fresh_id,
                       time_point now) {
  auto keep = who.email_verified || who.keep_email_if_free;
  auto email = keep ? or_null(who.email) : param{nullptr};
  // Waits for another first sight that is inserting the same address, then finds its user.
  auto inserted = exec(tx, add_user_of_identity, fresh_id, email, who.name, now);
  if (inserted.empty() && who.email_verified) inserted = exec(tx, user_with_email, email);
  if (inserted.empty()) inserted = exec(tx, add_user_of_identity, fresh_id, nullptr, who.name, now);
  return user_id{text_of(inserted[0][0])};
}

} // namespace

result<user_id> resolve_identity(transaction& tx, const external_identity& who,
                                 const user_id& fresh_id, time_point now) {
  if (auto found = known(tx, who); !found.empty()) return found;
  exec(tx, one_first_sight, who.issuer, who.subject);
  if (auto found = known(tx, who); !found.empty()) return found;
  auto out = link_or_create(tx, who, fresh_id, now);
  exec(tx, add_identity, out, who.issuer, who.subject, now);
  tx.touch({topic::identity, out});
  return out;
}

constexpr statement all_identities{"identities_of", R"sql(
  SELECT issuer, subject FROM identities WHERE user_id = $1 ORDER BY created_at, issuer, subject
)sql"};
result<std::vector<login_identity>> identities_of(transaction& tx, const user_id& who) {
  std::vector<login_identity> out;
  for (auto row : exec(tx, all_identities, who)) out.push_back({text_of(row[0]), text_of(row[1])});
  return out;
}

} // namespace binnacle::persistence
