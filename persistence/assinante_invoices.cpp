#include "persistence/assinante_invoices.hpp"

#include "persistence/assinante_rows.hpp"

namespace binnacle::persistence::assinante {

#define INVOICE_COLUMNS                                                                            \
  "id, subscription_id, invoice_number, status, amount, description, due_date, paid_at, "          \
  "payment_method, stripe_invoice, created_at"

namespace {

invoice invoice_of(const pqxx::row& row) {
  return {.id = text_of(row[0]),
          .subscription = text_of(row[1]),
          .number = text_of(row[2]),
          .status = text_of(row[3]),
          .amount = decimal_of(row[4]),
          .description = text_of(row[5]),
          .due_date = day_of(row[6]),
          .paid_at = maybe_time(row[7]),
          .payment_method = text_of(row[8]),
          .stripe_invoice = text_of(row[9]),
          .created_at = time_of(row[10])};
}

std::optional<invoice> first_invoice(const pqxx::result& rows) {
  if (rows.empty()) return {};
  return invoice_of(rows[0]);
}

} // namespace

constexpr statement page{"assinante_invoices_of", "SELECT " INVOICE_COLUMNS R"sql(
  FROM assinante_invoices
  WHERE user_id = $1 AND ($2::text IS NULL OR status = $2)
    AND ($3::int IS NULL
         OR (due_date >= make_date($3, 1, 1) AND due_date < make_date($3 + 1, 1, 1)))
  ORDER BY due_date DESC, id DESC LIMIT $4
)sql"};
result<std::vector<invoice>> invoices_of(transaction& tx, const user_id& who,
                                         const invoice_filter& f) {
  std::vector<invoice> out;
  for (auto row : exec(tx, page, who, or_null(f.status), f.year, f.limit))
    out.push_back(invoice_of(row));
  return out;
}

constexpr statement sums{"assinante_sum_invoices", R"sql(
  SELECT sum(amount) FILTER (WHERE status = 'paid'), sum(amount) FILTER (WHERE status = 'pending'),
    sum(amount) FILTER (WHERE status = 'overdue')
  FROM assinante_invoices
  WHERE user_id = $1 AND due_date >= make_date($2::int, 1, 1)
    AND due_date < make_date($2::int + 1, 1, 1)
)sql"};
result<invoice_totals> sum_invoices(transaction& tx, const user_id& who, std::int64_t year) {
  auto row = exec(tx, sums, who, year)[0];
  return invoice_totals{decimal_of(row[0]), decimal_of(row[1]), decimal_of(row[2])};
}

constexpr statement by_id{"assinante_find_invoice", "SELECT " INVOICE_COLUMNS R"sql(
  FROM assinante_invoices WHERE user_id = $1 AND id = $2
)sql"};
result<std::optional<invoice>> find_invoice(transaction& tx, const user_id& who,
                                            const std::string& id) {
  return first_invoice(exec(tx, by_id, who, id));
}

constexpr statement anybodys{"assinante_find_any_invoice", "SELECT " INVOICE_COLUMNS R"sql(
  FROM assinante_invoices WHERE id = $1
)sql"};
result<std::optional<invoice>> find_any_invoice(transaction& tx, const std::string& id) {
  return first_invoice(exec(tx, anybodys, id));
}

constexpr statement by_stripe{"assinante_stripe_invoice", "SELECT " INVOICE_COLUMNS R"sql(
  FROM assinante_invoices WHERE stripe_invoice = $1
)sql"};
result<std::optional<invoice>> find_stripe_invoice(transaction& tx, const std::string& stripe_id) {
  return first_invoice(exec(tx, by_stripe, stripe_id));
}

constexpr statement everybodys{"assinante_list_invoices", "SELECT " INVOICE_COLUMNS R"sql(
  FROM assinante_invoices
  WHERE ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR subscription_id = $2)
    AND ($3::text IS NULL OR status = $3) AND id > $4
  ORDER BY id LIMIT $5
)sql"};
result<std::vector<invoice>> list_invoices(transaction& tx, const listing& l) {
  std::vector<invoice> out;
  for (auto row : exec(tx, everybodys, or_null(l.who), or_null(l.subscription), or_null(l.status),
                       l.after, l.limit))
    out.push_back(invoice_of(row));
  return out;
}

constexpr statement upsert{"assinante_upsert_invoices", R"sql(
  WITH given AS (
    SELECT g.*, s.user_id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[],
        $6::text[], $7::date[], $8::timestamptz[], $9::text[], $10::text[], $11::timestamptz[])
        WITH ORDINALITY
      AS g(id, subscription_id, invoice_number, status, amount, description, due_date, paid_at,
           payment_method, stripe_invoice, created_at, at)
    LEFT JOIN assinante_subscriptions s ON s.id = g.subscription_id
  ), present AS (
    SELECT i.id, i.user_id FROM assinante_invoices i JOIN given g USING (id)
    ORDER BY i.id FOR NO KEY UPDATE OF i
  ), written AS (
    INSERT INTO assinante_invoices AS i (id, subscription_id, user_id, invoice_number, status,
      amount, description, due_date, paid_at, payment_method, stripe_invoice, created_at, updated_at)
    SELECT id, subscription_id, user_id, invoice_number, status, amount, coalesce(description, ''),
      due_date, paid_at, payment_method, stripe_invoice, created_at, $12
    FROM given WHERE user_id IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET subscription_id = EXCLUDED.subscription_id,
      invoice_number = EXCLUDED.invoice_number, status = EXCLUDED.status,
      amount = EXCLUDED.amount, description = EXCLUDED.description, due_date = EXCLUDED.due_date,
      paid_at = EXCLUDED.paid_at, payment_method = EXCLUDED.payment_method,
      stripe_invoice = EXCLUDED.stripe_invoice, created_at = EXCLUDED.created_at,
      updated_at = EXCLUDED.updated_at
    WHERE i.user_id = EXCLUDED.user_id
      AND (i.subscription_id, i.invoice_number, i.status, i.amount, i.description, i.due_date,
           i.paid_at, i.payment_method, i.stripe_invoice, i.created_at)
        IS DISTINCT FROM
          (EXCLUDED.subscription_id, EXCLUDED.invoice_number, EXCLUDED.status, EXCLUDED.amount,
           EXCLUDED.description, EXCLUDED.due_date, EXCLUDED.paid_at, EXCLUDED.payment_method,
           EXCLUDED.stripe_invoice, EXCLUDED.created_at)
    RETURNING i.id
  )
  SELECT g.user_id, g.user_id IS NOT NULL, p.id IS NOT NULL, p.user_id <> g.user_id,
    w.id IS NOT NULL
  FROM given g LEFT JOIN present p ON p.id = g.id LEFT JOIN written w ON w.id = g.id
  ORDER BY g.at
)sql"};
result<std::vector<outcome>> upsert_invoices(transaction& tx, const std::vector<invoice>& given,
                                             time_point now) {
  using i = invoice;
  std::vector<outcome> out;
  auto done_so = refusing(
      {{"assinante_invoices_stripe_invoice_key", "stripeInvoice",
        "Another invoice follows this one of Stripe's"}},
      [&] {
        auto rows =
            exec(tx, upsert, column(given, &i::id), column(given, &i::subscription),
                 column(given, &i::number), column(given, &i::status), column(given, &i::amount),
                 column(given, &i::description), column(given, &i::due_date),
                 column(given, &i::paid_at), column(given, &i::payment_method),
                 column(given, &i::stripe_invoice), column(given, &i::created_at), now);
        out = outcomes_of(tx, rows);
      });
  if (!done_so) return done_so.error();
  return out;
}

} // namespace binnacle::persistence::assinante
