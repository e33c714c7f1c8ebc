#include "persistence/suspensions.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement note_lost{"note_lost_method", R"sql(
  UPDATE stripe_customers
  SET method_lost = NOT $2 AND (method_lost OR $3 OR has_payment_method)
  WHERE user_id = $1
)sql"};
result<done> note_lost_method(transaction& tx, const user_id& who, bool has_method, bool lost_one) {
  exec(tx, note_lost, who, has_method, lost_one);
  return done{};
}

constexpr statement find_lost{"has_lost_method",
                              "SELECT method_lost FROM stripe_customers WHERE user_id = $1"};
result<bool> has_lost_method(transaction& tx, const user_id& who) {
  auto rows = exec(tx, find_lost, who);
  return !rows.empty() && truth_of(rows[0][0]);
}

constexpr statement suspend{"suspend_for_billing", R"sql(
  WITH hit AS (
    UPDATE users u SET status = 'suspended', updated_at = $2
    FROM stripe_customers c WHERE u.id = $1 AND c.user_id = u.id AND u.status = 'active'
    RETURNING u.id)
  UPDATE stripe_customers c SET suspended = true FROM hit WHERE c.user_id = hit.id
)sql"};
result<done> suspend_for_billing(transaction& tx, const user_id& who, time_point now) {
  if (exec(tx, suspend, who, now).affected_rows() > 0) tx.touch({topic::identity, who});
  return done{};
}

constexpr statement lift{"lift_suspension", R"sql(
  WITH noted AS (
    UPDATE stripe_customers SET suspended = false WHERE user_id = $1 AND suspended
    RETURNING user_id)
  UPDATE users u SET status = 'active', updated_at = $2
  WHERE u.id = $1 AND u.status = 'suspended'
    AND ($3::timestamptz >= date_trunc('second', u.suspended_at) OR EXISTS (SELECT FROM noted))
)sql"};
result<done> lift_suspension(transaction& tx, const user_id& who,
                             std::optional<time_point> method_added, time_point now) {
  if (exec(tx, lift, who, now, method_added).affected_rows() > 0) tx.touch({topic::identity, who});
  return done{};
}

} // namespace binnacle::persistence
