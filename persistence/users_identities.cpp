#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence {

constexpr statement user_of_identity{"user_of_identity", R"sql(
  SELECT i.user_id, u.email_claimed AND u.email = $3
  FROM identities i JOIN users u ON u.id = i.user_id
  WHERE i.issuer = $1 AND i.subject = $2
)sql"};
constexpr statement prove_claim{"prove_claimed_email", R"sql(
  UPDATE users SET email_claimed = false WHERE id = $1 AND email = $2
)sql"};
constexpr statement one_first_sight{"one_first_sight_of_a_subject", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.identity' || E'\x1f' || $1::text
                                                || E'\x1f' || $2::text, 0))
)sql"};
constexpr statement add_user_of_identity{"add_user_of_identity", R"sql(
  INSERT INTO users (id, email, email_claimed, name, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $5)
  ON CONFLICT (email) DO NOTHING
)sql"};
constexpr statement holder_of_email{"lock_holder_of_email", R"sql(
  SELECT id, email_claimed FROM users WHERE email = $1 FOR UPDATE
)sql"};
constexpr statement drop_claim{"drop_claimed_email", R"sql(
  UPDATE users SET email = NULL, email_claimed = false, updated_at = $2 WHERE id = $1
)sql"};
constexpr statement add_identity{"add_identity", R"sql(
  INSERT INTO identities (user_id, issuer, subject, created_at) VALUES ($1, $2, $3, $4)
)sql"};

namespace {

user_id known(transaction& tx, const external_identity& who) {
  auto rows = exec(tx, user_of_identity, who.issuer, who.subject, who.email);
  if (rows.empty()) return {};
  user_id out{text_of(rows[0][0])};
  if (who.email_verified && !rows[0][1].is_null() && truth_of(rows[0][1])) {
    exec(tx, prove_claim, out, who.email);
    tx.touch({topic::identity, out});
  }
  return out;
}

/// The user who may be taken for the owner of the address. Whoever registers somebody else's
/// address first must not receive that person's login later: who only claimed it has to give it up.
user_id holder_of_verified(transaction& tx, const std::string& email, time_point now) {
  auto rows = exec(tx, holder_of_email, email);
  if (rows.empty()) return {}; // just given up
  user_id holder{text_of(rows[0][0])};
  if (!truth_of(rows[0][1])) return holder;
  exec(tx, drop_claim, holder, now);
  tx.touch({topic::identity, holder});
  return {};
}

/// The user with the verified address, else a new one.
user_id link_or_create(transaction& tx, const external_identity& who, const user_id& fresh_id,
                       time_point now) {
  auto keep = !who.email.empty() && (who.email_verified || who.keep_email_if_free);
  // Waits for another first sight that is inserting the same address, then finds its user.
  auto add = [&] {
    auto rows = exec(tx, add_user_of_identity, fresh_id, keep ? param{who.email} : param{nullptr},
                     keep && !who.email_verified, who.name, now);
    return rows.affected_rows() > 0;
  };
  while (!add()) {
    auto holder = who.email_verified ? holder_of_verified(tx, who.email, now) : user_id{};
    if (!holder.empty()) return holder;
    keep = who.email_verified; // a claim gives way; a verified address is free now
  }
  return fresh_id;
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
