#include "persistence/reconciliation.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {

// Every report of the days, with what it must be. One row per fault, none where all is well:
//   the usage row it reports is there,
//   the reports of a day sum to what the day amounted to when the newest was made,
//   its value is all whole steps of the meter in what it carries in and adds,
//   what it carries in is what the report before it carried on,
//   what the last one carried on is what is kept for the next,
//   a day that counts as reported is.
constexpr statement meter_faults{"reconciled_meters", R"sql(
  WITH reports AS MATERIALIZED (
    SELECT r.*, floor((r.carried_in + r.amount) * m.steps) / m.steps AS whole
    FROM meter_reports r
    CROSS JOIN LATERAL (
      SELECT CASE r.meter WHEN 'compute_credits' THEN 1 ELSE 1000000 END AS steps) AS m
    WHERE r.day BETWEEN $1 AND $2
      AND ($3::text IS NULL OR r.user_id = $3 OR r.payer_id = $3)
  ), days AS (
    SELECT d.*, 24 * extract(day FROM date_trunc('month', d.day) + interval '1 month - 1 day')
      AS hours
    FROM usage_daily d
    WHERE d.day BETWEEN $1 AND $2
      AND ($3::text IS NULL OR d.user_id = $3 OR d.account_owner_id = $3)
  ), amounts AS (
    SELECT d.id, d.revision, m.meter, round(m.total, 12) AS amount
    FROM days d
    CROSS JOIN LATERAL (VALUES
      ('compute_credits', d.total_credits * 100),
      ('storage_online_gb', d.online_storage_gb_hours / d.hours),
      ('storage_offline_gb', d.offline_storage_gb_hours / d.hours)) AS m(meter, total)
  ), sums AS (
    SELECT usage_id, meter, sum(amount) AS amount, max(revision) AS revision
    FROM meter_reports WHERE usage_id IN (SELECT id FROM days) GROUP BY usage_id, meter
  ), chain AS (
    SELECT r.payer_id, r.meter, r.number, r.identifier, r.user_id, r.day, r.carried_in,
      before.identifier AS earlier, coalesce(before.carried_out, 0) AS left_over
    FROM reports r
    LEFT JOIN LATERAL (
      SELECT b.identifier, b.carried_out FROM meter_reports b
      WHERE b.payer_id = r.payer_id AND b.meter = r.meter AND b.number < r.number
      ORDER BY b.number DESC LIMIT 1) AS before ON true
  ), ends AS (
    SELECT k.payer_id, k.meter, newest.*
    FROM (SELECT DISTINCT payer_id, meter FROM reports) k
    CROSS JOIN LATERAL (
      SELECT b.identifier, b.user_id, b.day, b.carried_out FROM meter_reports b
      WHERE b.payer_id = k.payer_id AND b.meter = k.meter ORDER BY b.number DESC LIMIT 1) AS newest
  )
  SELECT 0 AS fault, r.user_id, r.day, r.meter, r.identifier, 'row' AS what, 'none' AS expected,
    'usage_daily' AS against, 'a row' AS actual
  FROM reports r LEFT JOIN usage_daily d ON d.id = r.usage_id
  WHERE (d.user_id, d.day) IS DISTINCT FROM (r.user_id, r.day)
  UNION ALL
  SELECT 0, r.user_id, r.day, r.meter, r.identifier, 'amount',
    trim_scale(r.amount + a.amount - s.amount)::text, 'usage_daily', trim_scale(r.amount)::text
  FROM sums s
  JOIN amounts a ON a.id = s.usage_id AND a.meter = s.meter AND a.revision = s.revision
  JOIN meter_reports r ON r.usage_id = s.usage_id AND r.meter = s.meter AND r.revision = s.revision
  WHERE s.amount <> a.amount
  UNION ALL
  SELECT 1, r.user_id, r.day, r.meter, r.identifier, 'value', trim_scale(r.whole)::text,
    'whole steps of the meter', trim_scale(r.value)::text
  FROM reports r WHERE r.value <> r.whole
  UNION ALL
  SELECT 0, d.user_id, d.day, a.meter, d.id || ':' || a.meter || ':' || d.revision,
    'reported_to_stripe', 'false', 'meter_reports', 'true'
  FROM days d JOIN amounts a ON a.id = d.id
  WHERE d.reported_to_stripe AND NOT EXISTS (
    SELECT FROM meter_reports r
    WHERE r.usage_id = d.id AND r.meter = a.meter AND r.revision = d.revision
      AND r.state = 'delivered')
  UNION ALL
  SELECT 1, user_id, day, meter, identifier, 'carried_in', trim_scale(left_over)::text,
    coalesce(earlier, 'the first report'), trim_scale(carried_in)::text
  FROM chain WHERE carried_in <> left_over
  UNION ALL
  SELECT 1, e.user_id, e.day, e.meter, e.identifier, 'carried_out',
    coalesce(trim_scale(k.remainder)::text, 'none'), 'meter_remainders',
    trim_scale(e.carried_out)::text
  FROM ends e
  LEFT JOIN meter_remainders k ON k.payer_id = e.payer_id AND k.meter = e.meter
  WHERE e.carried_out IS DISTINCT FROM k.remainder
  ORDER BY 3, 2, 5, 1
)sql"};
constexpr statement meter_rows{"reconciled_meter_rows", R"sql(
  SELECT count(*) FROM meter_reports r
  WHERE r.day BETWEEN $1 AND $2 AND ($3::text IS NULL OR r.user_id = $3 OR r.payer_id = $3)
)sql"};
result<reconciliation> reconcile_meters(transaction& tx, const user_id& who, date from, date to) {
  allow(tx, minutes{10});
  reconciliation out;
  auto reports = integer_of(exec(tx, meter_rows, from, to, or_null(who))[0][0]);
  out.compared(comparison::meter_amount, reports);
  out.compared(comparison::meter_remainder, reports);
  for (auto row : exec(tx, meter_faults, from, to, or_null(who)))
    out.add(
        {.check = row[0].as<int>() == 0 ? comparison::meter_amount : comparison::meter_remainder,
         .who = {text_of(row[1])},
         .day = day_of(row[2]),
         .meter = text_of(row[3]),
         .identifier = text_of(row[4]),
         .what = text_of(row[5]),
         .expected = text_of(row[6]),
         .against = text_of(row[7]),
         .actual = text_of(row[8])});
  return out;
}

// All reports of a customer, whoever of the account caused them: Stripe counts them together.
constexpr statement delivered{"delivered_days", R"sql(
  SELECT customer_id, min(payer_id), meter, day,
    coalesce(sum(value) FILTER (WHERE state = 'delivered'), 0),
    bool_or(state IN ('sent', 'disputed'))
  FROM meter_reports
  WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR customer_id IN (
    SELECT customer_id FROM meter_reports WHERE user_id = $3 OR payer_id = $3))
  GROUP BY customer_id, meter, day ORDER BY customer_id, meter, day
)sql"};
result<std::vector<delivered_day>> delivered_days(transaction& tx, const user_id& who, date from,
                                                  date to) {
  allow(tx, minutes{10});
  std::vector<delivered_day> out;
  for (auto row : exec(tx, delivered, from, to, or_null(who)))
    out.push_back({.customer = text_of(row[0]),
                   .payer = {text_of(row[1])},
                   .meter = text_of(row[2]),
                   .day = day_of(row[3]),
                   .value = decimal_of(row[4]),
                   .unsettled = truth_of(row[5])});
  return out;
}

} // namespace binnacle::persistence
