#include "persistence/idempotency.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

// A row in the way is locked even when it is left as it is, so what is read next is still true.
constexpr statement claim_key{"claim_idempotency_key", R"sql(
  INSERT INTO idempotency_keys AS k (scope, key, fingerprint, holder, lease_until, expires_at)
  SELECT $1, $2, $3, $4, $5, $6
  WHERE EXISTS (SELECT FROM idempotency_keys WHERE scope = $1 AND key = $2)
    OR (SELECT count(*) FROM
          (SELECT FROM idempotency_keys WHERE scope = $1 AND expires_at > $7 LIMIT $8) present) < $8
  ON CONFLICT (scope, key) DO UPDATE
    SET fingerprint = EXCLUDED.fingerprint, holder = EXCLUDED.holder,
        lease_until = EXCLUDED.lease_until, answer = NULL, expires_at = EXCLUDED.expires_at
    WHERE k.expires_at <= $7
       OR (k.answer IS NULL AND k.lease_until <= $7 AND k.fingerprint = EXCLUDED.fingerprint)
  RETURNING true
)sql"};
constexpr statement present_claim{"find_idempotency_key", R"sql(
  SELECT fingerprint = $3, answer FROM idempotency_keys WHERE scope = $1 AND key = $2
)sql"};
constexpr statement first_to_expire{"first_idempotency_key_to_expire", R"sql(
  SELECT min(expires_at) FROM idempotency_keys WHERE scope = $1 AND expires_at > $2
)sql"};
result<idempotency_verdict> claim_idempotency_key(transaction& tx, const idempotency_claim& c,
                                                  time_point now) {
  using enum idempotency_state;
  auto fingerprint = bytes(c.fingerprint);
  auto won = exec(tx, claim_key, c.scope, c.key, fingerprint, c.holder, c.lease_until, c.expires_at,
                  now, c.most);
  if (!won.empty()) return idempotency_verdict{claimed};
  auto rows = exec(tx, present_claim, c.scope, c.key, fingerprint);
  if (rows.empty()) {
    auto first = maybe_time(exec(tx, first_to_expire, c.scope, now)[0][0]);
    return idempotency_verdict{crowded, {}, first.value_or(now)};
  }
  if (!truth_of(rows[0][0])) return idempotency_verdict{mismatched};
  if (rows[0][1].is_null()) return idempotency_verdict{running};
  return idempotency_verdict{answered, text_of(rows[0][1])};
}

constexpr statement keep_answer{"keep_idempotent_answer", R"sql(
  UPDATE idempotency_keys SET answer = $4
  WHERE scope = $1 AND key = $2 AND holder = $3 AND answer IS NULL
)sql"};
result<done> keep_idempotent_answer(transaction& tx, const idempotency_claim& c,
                                    const std::string& answer) {
  exec(tx, keep_answer, c.scope, c.key, c.holder, answer);
  return done{};
}

constexpr statement release_key{"release_idempotency_key", R"sql(
  DELETE FROM idempotency_keys WHERE scope = $1 AND key = $2 AND holder = $3 AND answer IS NULL
)sql"};
result<done> release_idempotency_key(transaction& tx, const idempotency_claim& c) {
  exec(tx, release_key, c.scope, c.key, c.holder);
  return done{};
}

constexpr statement sweep_keys{"delete_expired_idempotency_keys",
                               "DELETE FROM idempotency_keys WHERE expires_at <= $1"};
result<std::int64_t> delete_expired_idempotency_keys(transaction& tx, time_point now) {
  return static_cast<std::int64_t>(exec(tx, sweep_keys, now).affected_rows());
}

} // namespace binnacle::persistence
