#include "persistence/billing_accounts.hpp"

#include "persistence/sql.hpp"

#include <algorithm>
#include <array>

namespace binnacle::persistence {

// -- customers -----------------------------------------------------------------------------------

namespace {

std::optional<stripe_customer> first_customer(const pqxx::result& rows) {
  if (rows.empty()) return {};
  const auto& row = rows[0];
  return stripe_customer{.who = {text_of(row[0])},
                         .id = text_of(row[1]),
                         .has_payment_method = truth_of(row[2]),
                         .created_at = time_of(row[3])};
}

} // namespace

constexpr statement customer_of_user{"find_stripe_customer", R"sql(
  SELECT user_id, customer_id, has_payment_method, created_at
  FROM stripe_customers WHERE user_id = $1
)sql"};
result<std::optional<stripe_customer>> find_stripe_customer(transaction& tx, const user_id& who) {
  return first_customer(exec(tx, customer_of_user, who));
}

constexpr statement add_customer{"link_stripe_customer", R"sql(
  INSERT INTO stripe_customers (user_id, customer_id, created_at)
  SELECT $1::text, $2::text, $3::timestamptz
  WHERE NOT EXISTS (SELECT FROM former_stripe_customers WHERE customer_id = $2)
  ON CONFLICT (user_id) DO NOTHING
)sql"};
result<stripe_customer> link_stripe_customer(transaction& tx, const user_id& who,
                                             const std::string& customer, time_point now) {
  auto added = false;
  auto linked = refusing(
      {{"stripe_customers_customer_key", "customer", "This customer belongs to another user"}},
      [&] { added = exec(tx, add_customer, who, customer, now).affected_rows(); });
  if (!linked) return linked.error();
  if (added) tx.touch({topic::billing, who});
  // A statement of its own: it sees the winner, which may have committed while we waited for it.
  auto winner = first_customer(exec(tx, customer_of_user, who));
  if (!winner) return fault{errc::gone, "This customer was deleted", "customer", customer};
  return std::move(*winner);
}

constexpr statement remove_customer{"unlink_stripe_customer", R"sql(
  WITH gone AS (DELETE FROM stripe_customers WHERE customer_id = $1 RETURNING customer_id, user_id)
  INSERT INTO former_stripe_customers (customer_id, user_id, gone_at)
  SELECT customer_id, user_id, $2::timestamptz FROM gone RETURNING user_id
)sql"};
result<done> unlink_stripe_customer(transaction& tx, const std::string& customer, time_point now) {
  for (auto row : exec(tx, remove_customer, customer, now))
    tx.touch({topic::billing, {text_of(row[0])}});
  return done{};
}

constexpr statement count_former{"former_stripe_customers", R"sql(
  SELECT count(*) FROM former_stripe_customers WHERE user_id = $1
)sql"};
result<std::int64_t> former_stripe_customers(transaction& tx, const user_id& who) {
  return integer_of(exec(tx, count_former, who)[0][0]);
}

constexpr statement user_by_customer{"user_of_customer", R"sql(
  SELECT user_id FROM stripe_customers WHERE customer_id = $1
)sql"};
result<user_id> user_of_customer(transaction& tx, const std::string& customer) {
  auto rows = exec(tx, user_by_customer, customer);
  return rows.empty() ? user_id{} : user_id{text_of(rows[0][0])};
}

constexpr statement payment_method{"set_payment_method", R"sql(
  UPDATE stripe_customers SET has_payment_method = $2
  WHERE user_id = $1 AND has_payment_method <> $2
)sql"};
result<done> set_payment_method(transaction& tx, const user_id& who, bool has_one) {
  if (exec(tx, payment_method, who, has_one).affected_rows() > 0) tx.touch({topic::billing, who});
  return done{};
}

// -- subscriptions -------------------------------------------------------------------------------

#define SUBSCRIPTION_COLUMNS                                                                       \
  "id, user_id, customer_id, kind, plan, status, current_period_end, cancel_at_period_end, "       \
  "as_of, created_at, updated_at"

namespace {

subscription subscription_of(const pqxx::row& row) {
  return {.id = text_of(row[0]),
          .who = {text_of(row[1])},
          .customer = text_of(row[2]),
          .kind = text_of(row[3]),
          .plan = text_of(row[4]),
          .status = text_of(row[5]),
          .current_period_end = maybe_time(row[6]),
          .cancel_at_period_end = truth_of(row[7]),
          .as_of = time_of(row[8]),
          .created_at = time_of(row[9]),
          .updated_at = time_of(row[10])};
}

std::optional<subscription> first_subscription(const pqxx::result& rows) {
  if (rows.empty()) return {};
  return subscription_of(rows[0]);
}

} // namespace

#define ACTIVE "('active', 'trialing', 'past_due', 'unpaid', 'paused')" // is_active

bool is_active(const subscription& s) {
  static constexpr std::array<std::string_view, 5> active{"active", "trialing", "past_due",
                                                          "unpaid", "paused"};
  return std::ranges::find(active, s.status) != active.end();
}

constexpr statement present{"stripe_clock", "SELECT clock_timestamp()"};
result<time_point> stripe_clock(transaction& tx) { return time_of(exec(tx, present)[0][0]); }

constexpr statement store_subscription{"upsert_subscription", R"sql(
  INSERT INTO subscriptions AS known (id, user_id, customer_id, kind, plan, status,
                                      current_period_end, cancel_at_period_end, as_of, created_at,
                                      updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  ON CONFLICT (id) DO UPDATE SET
    customer_id = excluded.customer_id, plan = excluded.plan, status = excluded.status,
    current_period_end = excluded.current_period_end,
    cancel_at_period_end = excluded.cancel_at_period_end, as_of = excluded.as_of,
    updated_at = excluded.updated_at
  WHERE known.user_id = excluded.user_id
    AND known.as_of <= excluded.as_of
    AND (known.status NOT IN ('canceled', 'incomplete_expired') OR known.status = excluded.status)
)sql"};
result<bool> upsert_subscription(transaction& tx, const subscription& s, time_point now) {
  auto stored =
      exec(tx, store_subscription, s.id, s.who, s.customer, s.kind, or_null(s.plan), s.status,
           s.current_period_end, s.cancel_at_period_end, s.as_of, s.created_at, now)
          .affected_rows() > 0;
  if (stored) tx.touch({topic::billing, s.who});
  return stored;
}

constexpr statement subscriptions_of_user{
    "subscriptions_of", "SELECT " SUBSCRIPTION_COLUMNS " FROM subscriptions WHERE user_id = $1"
                        " ORDER BY updated_at DESC, id DESC"};
result<std::vector<subscription>> subscriptions_of(transaction& tx, const user_id& who) {
  std::vector<subscription> out;
  for (auto row : exec(tx, subscriptions_of_user, who)) out.push_back(subscription_of(row));
  return out;
}

constexpr statement telling_of_kind{
    "telling_subscription",
    "SELECT " SUBSCRIPTION_COLUMNS " FROM subscriptions WHERE user_id = $1 AND kind = $2"
    " ORDER BY status IN " ACTIVE " DESC, created_at DESC, id DESC LIMIT 1"};
result<std::optional<subscription>> telling_subscription(transaction& tx, const user_id& who,
                                                         const std::string& kind) {
  return first_subscription(exec(tx, telling_of_kind, who, kind));
}

constexpr statement subscription_by_id{"find_subscription", "SELECT " SUBSCRIPTION_COLUMNS
                                                            " FROM subscriptions WHERE id = $1"};
result<std::optional<subscription>> find_subscription(transaction& tx, const std::string& id) {
  return first_subscription(exec(tx, subscription_by_id, id));
}

// -- for admins -----------------------------------------------------------------------------------

#define PAYERS                                                                                     \
  "SELECT u.id, u.email, u.billing_mode, u.feature_flags, s.status FROM users u LEFT JOIN LATERAL" \
  " (SELECT status FROM subscriptions WHERE user_id = u.id AND kind = 'usage'"                     \
  " ORDER BY status IN " ACTIVE " DESC, created_at DESC, id DESC LIMIT 1) s ON true "

namespace {

std::vector<payer> payers_of(const pqxx::result& rows) {
  std::vector<payer> out;
  for (auto row : rows)
    out.push_back({.who = {text_of(row[0])},
                   .email = text_of(row[1]),
                   .billing_mode = text_of(row[2]),
                   .feature_flags = text_of(row[3]),
                   .subscription_status = text_of(row[4])});
  return out;
}

} // namespace

constexpr statement all_payers{"list_payers", PAYERS "ORDER BY u.created_at DESC, u.id DESC"};
result<std::vector<payer>> list_payers(transaction& tx) { return payers_of(exec(tx, all_payers)); }

constexpr statement payer_by_id{"find_payer", PAYERS "WHERE u.id = $1"};
result<std::optional<payer>> find_payer(transaction& tx, const user_id& who) {
  auto found = payers_of(exec(tx, payer_by_id, who));
  if (found.empty()) return std::optional<payer>{};
  return std::optional{std::move(found.front())};
}

constexpr statement switch_prepaid{"set_prepaid", R"sql(
  UPDATE users SET billing_mode = CASE WHEN $2::boolean THEN 'prepaid' ELSE 'postpaid' END,
    feature_flags = feature_flags || jsonb_build_object('prepaid_enabled', $2::boolean),
    updated_at = $3
  WHERE id = $1
)sql"};
result<done> set_prepaid(transaction& tx, const user_id& who, bool prepaid, time_point now) {
  if (exec(tx, switch_prepaid, who, prepaid, now).affected_rows() == 0)
    return missing("User not found");
  tx.touch({topic::identity, who});
  tx.touch({topic::billing, who});
  return done{};
}

constexpr statement unsubscribed_payers{"payers_without_subscription", PAYERS R"sql(
  JOIN stripe_customers c ON c.user_id = u.id
  WHERE u.account_owner_id IS NULL AND u.status = 'active'
    AND coalesce(u.billing_mode, 'postpaid') = 'postpaid' AND s.status IS NULL
  ORDER BY u.id
)sql"};
result<std::vector<payer>> payers_without_subscription(transaction& tx) {
  return payers_of(exec(tx, unsubscribed_payers));
}

// -- plans ---------------------------------------------------------------------------------------

// Not FOR UPDATE: rows that refer to the user may still be added.
constexpr statement held_account{"hold_account",
                                 "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE"};
result<done> hold_account(transaction& tx, const user_id& who) {
  if (exec(tx, held_account, who).empty()) return missing("User not found");
  return done{};
}

constexpr statement new_plan{"set_plan", R"sql(
  WITH found AS (SELECT id, plan FROM users WHERE id = $1 FOR UPDATE),
  changed AS (
    UPDATE users u SET plan = $2, updated_at = $3 FROM found f
    WHERE u.id = f.id AND f.plan <> $2 RETURNING u.id)
  SELECT EXISTS (SELECT FROM changed) FROM found
)sql"};
result<done> set_plan(transaction& tx, const user_id& who, const std::string& plan,
                      time_point now) {
  auto rows = exec(tx, new_plan, who, plan, now);
  if (rows.empty()) return missing("User not found");
  if (!truth_of(rows[0][0])) return done{};
  tx.touch({topic::identity, who});
  tx.touch({topic::billing, who});
  return done{};
}

} // namespace binnacle::persistence
