#include "persistence/assinante_orders.hpp"

#include "persistence/assinante_rows.hpp"

namespace binnacle::persistence::assinante {

#define ORDER_COLUMNS                                                                              \
  "id, subscription_id, order_number, status, total, items, shipping_address, tracking_code, "     \
  "shipped_at, delivered_at, created_at"

namespace {

std::vector<order> orders_in(const pqxx::result& rows) {
  std::vector<order> out;
  for (auto row : rows)
    out.push_back({.id = text_of(row[0]),
                   .subscription = text_of(row[1]),
                   .number = text_of(row[2]),
                   .status = text_of(row[3]),
                   .total = decimal_of(row[4]),
                   .items = text_of(row[5]),
                   .shipping_address = text_of(row[6]),
                   .tracking_code = text_of(row[7]),
                   .shipped_at = maybe_time(row[8]),
                   .delivered_at = maybe_time(row[9]),
                   .created_at = time_of(row[10])});
  return out;
}

} // namespace

constexpr statement page{"assinante_orders_of", "SELECT " ORDER_COLUMNS R"sql(
  FROM assinante_orders
  WHERE user_id = $1 AND ($2::text IS NULL OR status = $2)
  ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4
)sql"};
constexpr statement number{"assinante_count_orders", R"sql(
  SELECT count(*) FROM assinante_orders WHERE user_id = $1 AND ($2::text IS NULL OR status = $2)
)sql"};
result<order_page> orders_of(transaction& tx, const user_id& who, const order_filter& f) {
  order_page out;
  auto status = or_null(f.status);
  out.orders = orders_in(exec(tx, page, who, status, f.limit, f.offset));
  out.total = integer_of(exec(tx, number, who, status)[0][0]);
  return out;
}

constexpr statement one{"assinante_find_order", "SELECT " ORDER_COLUMNS R"sql(
  FROM assinante_orders WHERE id = $1
)sql"};
result<std::optional<order>> find_order(transaction& tx, const std::string& id) {
  auto found = orders_in(exec(tx, one, id));
  return found.empty() ? std::optional<order>{} : std::optional{std::move(found.front())};
}

constexpr statement everybodys{"assinante_list_orders", "SELECT " ORDER_COLUMNS R"sql(
  FROM assinante_orders
  WHERE ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR subscription_id = $2)
    AND ($3::text IS NULL OR status = $3) AND id > $4
  ORDER BY id LIMIT $5
)sql"};
result<std::vector<order>> list_orders(transaction& tx, const listing& l) {
  return orders_in(exec(tx, everybodys, or_null(l.who), or_null(l.subscription), or_null(l.status),
                        l.after, l.limit));
}

constexpr statement upsert{"assinante_upsert_orders", R"sql(
  WITH given AS (
    SELECT g.*, s.user_id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[],
        $6::jsonb[], $7::jsonb[], $8::text[], $9::timestamptz[], $10::timestamptz[],
        $11::timestamptz[]) WITH ORDINALITY
      AS g(id, subscription_id, order_number, status, total, items, shipping_address, tracking_code,
           shipped_at, delivered_at, created_at, at)
    LEFT JOIN assinante_subscriptions s ON s.id = g.subscription_id
  ), present AS (
    SELECT o.id, o.user_id FROM assinante_orders o JOIN given g USING (id)
    ORDER BY o.id FOR NO KEY UPDATE OF o
  ), written AS (
    INSERT INTO assinante_orders AS o (id, subscription_id, user_id, order_number, status, total,
      items, shipping_address, tracking_code, shipped_at, delivered_at, created_at, updated_at)
    SELECT id, subscription_id, user_id, order_number, status, total, items, shipping_address,
      tracking_code, shipped_at, delivered_at, created_at, $12
    FROM given WHERE user_id IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET subscription_id = EXCLUDED.subscription_id,
      order_number = EXCLUDED.order_number, status = EXCLUDED.status, total = EXCLUDED.total,
      items = EXCLUDED.items, shipping_address = EXCLUDED.shipping_address,
      tracking_code = EXCLUDED.tracking_code, shipped_at = EXCLUDED.shipped_at,
      delivered_at = EXCLUDED.delivered_at, created_at = EXCLUDED.created_at,
      updated_at = EXCLUDED.updated_at
    WHERE o.user_id = EXCLUDED.user_id
      AND (o.subscription_id, o.order_number, o.status, o.total, o.items, o.shipping_address,
           o.tracking_code, o.shipped_at, o.delivered_at, o.created_at)
        IS DISTINCT FROM
          (EXCLUDED.subscription_id, EXCLUDED.order_number, EXCLUDED.status, EXCLUDED.total,
           EXCLUDED.items, EXCLUDED.shipping_address, EXCLUDED.tracking_code, EXCLUDED.shipped_at,
           EXCLUDED.delivered_at, EXCLUDED.created_at)
    RETURNING o.id
  )
  SELECT g.user_id, g.user_id IS NOT NULL, p.id IS NOT NULL, p.user_id <> g.user_id,
    w.id IS NOT NULL
  FROM given g LEFT JOIN present p ON p.id = g.id LEFT JOIN written w ON w.id = g.id
  ORDER BY g.at
)sql"};
result<std::vector<outcome>> upsert_orders(transaction& tx, const std::vector<order>& given,
                                           time_point now) {
  using o = order;
  return outcomes_of(tx, exec(tx, upsert, column(given, &o::id), column(given, &o::subscription),
                              column(given, &o::number), column(given, &o::status),
                              column(given, &o::total), column(given, &o::items),
                              column(given, &o::shipping_address), column(given, &o::tracking_code),
                              column(given, &o::shipped_at), column(given, &o::delivered_at),
                              column(given, &o::created_at), now));
}

} // namespace binnacle::persistence::assinante
