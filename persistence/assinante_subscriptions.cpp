#include "persistence/assinante_subscriptions.hpp"

#include "persistence/assinante_rows.hpp"

namespace binnacle::persistence::assinante {

std::vector<outcome> outcomes_of(transaction& tx, const pqxx::result& found) {
  std::vector<outcome> out;
  for (auto row : found) {
    auto there = truth_of(row[2]);
    auto written = truth_of(row[4]);
    if (written) tx.touch({topic::subscriber, user_id{text_of(row[0])}});
    if (!truth_of(row[1]))
      out.push_back(outcome::orphaned);
    else if (truth_of(row[3]))
      out.push_back(outcome::foreign);
    else if (written)
      out.push_back(there ? outcome::changed : outcome::created);
    else
      out.push_back(outcome::unchanged);
  }
  return out;
}

#define SUBSCRIPTION_COLUMNS                                                                       \
  "s.id, s.user_id, s.plan_name, s.status, s.price, s.start_date, s.renewal_date, "                \
  "s.payment_method, s.payment_method_last4, s.shipping_address, s.benefits, "                     \
  "s.stripe_subscription, s.created_at, s.updated_at"

namespace {

subscription subscription_of(const pqxx::row& row) {
  return {.id = text_of(row[0]),
          .who = {text_of(row[1])},
          .plan_name = text_of(row[2]),
          .status = text_of(row[3]),
          .price = decimal_of(row[4]),
          .start_date = day_of(row[5]),
          .renewal_date = day_of(row[6]),
          .payment_method = text_of(row[7]),
          .payment_method_last4 = text_of(row[8]),
          .shipping_address = text_of(row[9]),
          .benefits = text_of(row[10]),
          .stripe_subscription = text_of(row[11]),
          .created_at = time_of(row[12]),
          .updated_at = time_of(row[13])};
}

std::optional<subscription> first_subscription(const pqxx::result& rows) {
  if (rows.empty()) return {};
  return subscription_of(rows[0]);
}

} // namespace

constexpr statement newest_active{"assinante_active_subscription",
                                  "SELECT " SUBSCRIPTION_COLUMNS R"sql(
  FROM assinante_subscriptions s
  WHERE s.user_id = $1 AND s.status = 'active'
  ORDER BY s.created_at DESC, s.id DESC LIMIT 1
)sql"};
result<std::optional<subscription>> active_subscription(transaction& tx, const user_id& who) {
  return first_subscription(exec(tx, newest_active, who));
}

constexpr statement of_user{"assinante_subscriptions_of", "SELECT " SUBSCRIPTION_COLUMNS R"sql(
  FROM assinante_subscriptions s
  WHERE s.user_id = $1
  ORDER BY s.created_at DESC, s.id DESC
)sql"};
result<std::vector<subscription>> subscriptions_of(transaction& tx, const user_id& who) {
  std::vector<subscription> out;
  for (auto row : exec(tx, of_user, who)) out.push_back(subscription_of(row));
  return out;
}

constexpr statement one{"assinante_find_subscription", "SELECT " SUBSCRIPTION_COLUMNS R"sql(
  FROM assinante_subscriptions s WHERE s.id = $1
)sql"};
result<std::optional<subscription>> find_subscription(transaction& tx, const std::string& id) {
  return first_subscription(exec(tx, one, id));
}

constexpr statement everybodys{"assinante_list_subscriptions", "SELECT " SUBSCRIPTION_COLUMNS R"sql(
  FROM assinante_subscriptions s
  WHERE ($1::text IS NULL OR s.user_id = $1) AND ($2::text IS NULL OR s.status = $2) AND s.id > $3
  ORDER BY s.id LIMIT $4
)sql"};
result<std::vector<subscription>> list_subscriptions(transaction& tx, const listing& l) {
  std::vector<subscription> out;
  for (auto row : exec(tx, everybodys, or_null(l.who), or_null(l.status), l.after, l.limit))
    out.push_back(subscription_of(row));
  return out;
}

constexpr statement by_stripe{"assinante_stripe_subscription", "SELECT " SUBSCRIPTION_COLUMNS R"sql(
  FROM assinante_subscriptions s WHERE s.stripe_subscription = $1
)sql"};
result<std::optional<subscription>> find_stripe_subscription(transaction& tx,
                                                             const std::string& id) {
  return first_subscription(exec(tx, by_stripe, id));
}

constexpr statement change_address{"assinante_change_address", R"sql(
  WITH present AS (
    SELECT id, user_id, shipping_address FROM assinante_subscriptions
    WHERE user_id = $1 AND status = 'active'
    ORDER BY created_at DESC, id DESC LIMIT 1
    FOR NO KEY UPDATE
  ), changed AS (
    UPDATE assinante_subscriptions s SET shipping_address = $2, updated_at = $6
    FROM present p WHERE s.id = p.id
    RETURNING s.id, s.shipping_address, s.updated_at
  ), noted AS (
    INSERT INTO assinante_history (subscription_id, user_id, change, old_value, new_value, actor,
                                   client_address, user_agent, at)
    SELECT id, user_id, 'ADDRESS_UPDATE', shipping_address, $2, $3, $4, $5, $6 FROM present
  )
  SELECT id, shipping_address, updated_at FROM changed
)sql"};
result<std::optional<address_change>> change_shipping_address(transaction& tx, const user_id& who,
                                                              const std::string& address,
                                                              const author& by, time_point now) {
  auto rows =
      exec(tx, change_address, who, address, by.actor, by.client_address, by.user_agent, now);
  if (rows.empty()) return std::optional<address_change>{};
  tx.touch({topic::subscriber, who});
  return std::optional{address_change{.subscription = text_of(rows[0][0]),
                                      .address = text_of(rows[0][1]),
                                      .at = time_of(rows[0][2])}};
}

constexpr statement upsert{"assinante_upsert_subscriptions", R"sql(
  WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::date[],
        $7::date[], $8::text[], $9::text[], $10::jsonb[], $11::jsonb[], $12::text[],
        $13::timestamptz[]) WITH ORDINALITY
      AS g(id, user_id, plan_name, status, price, start_date, renewal_date, payment_method,
           payment_method_last4, shipping_address, benefits, stripe_subscription, created_at, at)
  ), present AS (
    SELECT s.id, s.user_id, s.shipping_address FROM assinante_subscriptions s JOIN given g USING (id)
    ORDER BY s.id FOR NO KEY UPDATE OF s
  ), written AS (
    INSERT INTO assinante_subscriptions AS s (id, user_id, plan_name, status, price, start_date,
      renewal_date, payment_method, payment_method_last4, shipping_address, benefits,
      stripe_subscription, created_at, updated_at)
    SELECT g.id, g.user_id, plan_name, status, price, start_date, renewal_date, payment_method,
      payment_method_last4, g.shipping_address, benefits, stripe_subscription, g.created_at, $17
    FROM given g JOIN subscribers p ON p.user_id = g.user_id
    ON CONFLICT (id) DO UPDATE SET plan_name = EXCLUDED.plan_name, status = EXCLUDED.status,
      price = EXCLUDED.price, start_date = EXCLUDED.start_date,
      renewal_date = EXCLUDED.renewal_date, payment_method = EXCLUDED.payment_method,
      payment_method_last4 = EXCLUDED.payment_method_last4,
      shipping_address = EXCLUDED.shipping_address, benefits = EXCLUDED.benefits,
      stripe_subscription = EXCLUDED.stripe_subscription, created_at = EXCLUDED.created_at,
      updated_at = EXCLUDED.updated_at
    WHERE s.user_id = EXCLUDED.user_id
      AND (s.plan_name, s.status, s.price, s.start_date, s.renewal_date, s.payment_method,
           s.payment_method_last4, s.shipping_address, s.benefits, s.stripe_subscription,
           s.created_at)
        IS DISTINCT FROM
          (EXCLUDED.plan_name, EXCLUDED.status, EXCLUDED.price, EXCLUDED.start_date,
           EXCLUDED.renewal_date, EXCLUDED.payment_method, EXCLUDED.payment_method_last4,
           EXCLUDED.shipping_address, EXCLUDED.benefits, EXCLUDED.stripe_subscription,
           EXCLUDED.created_at)
    RETURNING s.id, s.user_id, s.shipping_address
  ), noted AS (
    INSERT INTO assinante_history (subscription_id, user_id, change, old_value, new_value, actor,
                                   client_address, user_agent, at)
    SELECT id, w.user_id, 'ADDRESS_UPDATE', p.shipping_address, w.shipping_address,
      $14, $15, $16, $17
    FROM written w JOIN present p USING (id)
    WHERE p.shipping_address IS DISTINCT FROM w.shipping_address
  )
  SELECT g.user_id, p.user_id IS NOT NULL, s.id IS NOT NULL,
    s.user_id <> g.user_id, w.id IS NOT NULL
  FROM given g
  LEFT JOIN subscribers p ON p.user_id = g.user_id
  LEFT JOIN present s ON s.id = g.id
  LEFT JOIN written w ON w.id = g.id
  ORDER BY g.at
)sql"};
result<std::vector<outcome>> upsert_subscriptions(transaction& tx,
                                                  const std::vector<subscription>& given,
                                                  const author& by, time_point now) {
  using s = subscription;
  array_param owners;
  for (const auto& each : given) owners.add(std::string_view{each.who.value});
  std::vector<outcome> out;
  auto done_so = refusing(
      {{"assinante_subscriptions_stripe_subscription_key", "stripeSubscription",
        "Another subscription follows this one of Stripe's"}},
      [&] {
        auto rows =
            exec(tx, upsert, column(given, &s::id), owners, column(given, &s::plan_name),
                 column(given, &s::status), column(given, &s::price), column(given, &s::start_date),
                 column(given, &s::renewal_date), column(given, &s::payment_method),
                 column(given, &s::payment_method_last4), column(given, &s::shipping_address),
                 column(given, &s::benefits), column(given, &s::stripe_subscription),
                 column(given, &s::created_at), by.actor, by.client_address, by.user_agent, now);
        out = outcomes_of(tx, rows);
      });
  if (!done_so) return done_so.error();
  return out;
}

} // namespace binnacle::persistence::assinante
