#include "persistence/meters.hpp"

#include "persistence/sql.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

namespace binnacle::persistence {
namespace {

constexpr std::array<std::string_view, 4> state_names{"waiting", "sent", "delivered", "disputed"};

report_state state_of(const pqxx::field& f) {
  auto found = std::ranges::find(state_names, std::string_view{f.c_str()});
  return static_cast<report_state>(found - state_names.begin());
}

/// The first day that Stripe still takes.
date first_day(time_point now) {
  return date_of(start_of(date_of(now - meter_horizon)) + std::chrono::days{1});
}

#define REPORT_COLUMNS                                                                             \
  "identifier, meter, revision, user_id, payer_id, customer_id, day, amount, carried_in, value, "  \
  "carried_out, state, attempts, failure, first_sent_at, delivered_at"

meter_report report_of(const pqxx::row& row) {
  return {.identifier = text_of(row[0]),
          .meter = text_of(row[1]),
          .revision = integer_of(row[2]),
          .who = {text_of(row[3])},
          .payer = {text_of(row[4])},
          .customer = text_of(row[5]),
          .day = day_of(row[6]),
          .amount = decimal_of(row[7]),
          .carried_in = decimal_of(row[8]),
          .value = decimal_of(row[9]),
          .carried_out = decimal_of(row[10]),
          .state = state_of(row[11]),
          .attempts = integer_of(row[12]),
          .failure = text_of(row[13]),
          .first_sent_at = maybe_time(row[14]),
          .delivered_at = maybe_time(row[15])};
}

std::vector<meter_report> reports_of(const pqxx::result& rows) {
  std::vector<meter_report> out;
  for (const auto& row : rows) out.push_back(report_of(row));
  return out;
}

/// A day is reported when its present revision has reports and none of its reports is open.
constexpr statement mark_reported{"mark_days_reported", R"sql(
  UPDATE usage_daily d SET reported_to_stripe = true
  WHERE d.id = ANY($1::bigint[]) AND NOT d.reported_to_stripe
    AND EXISTS (SELECT FROM meter_reports r WHERE r.usage_id = d.id AND r.revision = d.revision)
    AND NOT EXISTS (SELECT FROM meter_reports r
                    WHERE r.usage_id = d.id AND r.state <> 'delivered')
)sql"};

void mark(transaction& tx, const pqxx::result& changed) {
  std::set<std::int64_t> days;
  for (const auto& row : changed) days.insert(integer_of(row["usage_id"]));
  if (!days.empty()) exec(tx, mark_reported, array_of(days));
}

} // namespace

std::string_view name_of(report_state s) { return state_names[static_cast<std::size_t>(s)]; }

constexpr statement one_planner{"one_meter_planner", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.meters', 0))
)sql"};

// Of usage_daily d: those whose payer p pays afterwards, and did on that day. What a day that was
// reported has to be corrected by is due whoever it was.
#define OF_POSTPAID                                                                                \
  "JOIN users p ON p.id = coalesce(d.account_owner_id, d.user_id)"                                 \
  " AND coalesce(p.billing_mode, 'postpaid') = 'postpaid'"                                         \
  " AND (d.day >= coalesce(p.postpaid_since::date, '-infinity')"                                   \
  "      OR EXISTS (SELECT FROM meter_reports r WHERE r.usage_id = d.id)) "

// `upto` is all that a payer's meter has amounted to since the last remainder. A report carries the
// whole steps that it adds to it, rounded down, so that the remainder is never negative.
constexpr statement plan{"plan_meter_reports", R"sql(
  WITH due AS (
    SELECT d.id, d.user_id, p.id AS payer_id, c.customer_id, d.day, d.revision,
      d.total_credits * 100 AS centi_credits,
      d.online_storage_gb_hours AS online, d.offline_storage_gb_hours AS offline,
      24 * extract(day FROM date_trunc('month', d.day) + interval '1 month - 1 day') AS hours
    FROM usage_daily d )sql" OF_POSTPAID R"sql(
    JOIN stripe_customers c ON c.user_id = p.id
    WHERE NOT d.reported_to_stripe AND d.day >= $1 AND d.day < $2
      AND EXISTS (SELECT FROM subscriptions s
                  WHERE s.user_id = p.id AND s.kind = 'usage' AND s.status IN ('active', 'trialing', 'past_due'))
      AND NOT EXISTS (SELECT FROM meter_reports r
                      WHERE r.usage_id = d.id AND r.revision = d.revision)
    ORDER BY p.id, d.day, d.id LIMIT $3
  ), amounts AS (
    SELECT due.*, m.meter, m.steps, coalesce(left_over.remainder, 0) AS remainder,
      round(m.total, 12) - coalesce(
        (SELECT sum(r.amount) FROM meter_reports r
         WHERE r.usage_id = due.id AND r.meter = m.meter), 0) AS amount
    FROM due
    CROSS JOIN LATERAL (VALUES
      ('compute_credits', due.centi_credits, 1),
      ('storage_online_gb', due.online / due.hours, 1000000),
      ('storage_offline_gb', due.offline / due.hours, 1000000)) AS m(meter, total, steps)
    LEFT JOIN meter_remainders left_over
      ON left_over.payer_id = due.payer_id AND left_over.meter = m.meter
  ), running AS (
    SELECT *, remainder + sum(amount) OVER (
        PARTITION BY payer_id, meter ORDER BY day, id ROWS UNBOUNDED PRECEDING) AS upto
    FROM amounts
  ), whole AS (
    SELECT *, floor((upto - amount) * steps) / steps AS sent_before, floor(upto * steps) / steps AS sent
    FROM running
  ), made AS (
    INSERT INTO meter_reports (
      usage_id, meter, revision, user_id, payer_id, customer_id, day, amount, carried_in, value,
      carried_out, state, created_at, delivered_at)
    SELECT id, meter, revision, user_id, payer_id, customer_id, day, amount,
      upto - amount - sent_before, sent - sent_before, upto - sent,
      CASE WHEN sent = sent_before THEN 'delivered' ELSE 'waiting' END, $4,
      CASE WHEN sent = sent_before THEN $4::timestamptz END
    FROM whole ORDER BY payer_id, meter, day, id -- numbered as the remainder is carried
    RETURNING *
  ), carried AS (
    INSERT INTO meter_remainders AS old (payer_id, meter, remainder)
    SELECT DISTINCT ON (payer_id, meter) payer_id, meter, upto - sent
    FROM whole ORDER BY payer_id, meter, day DESC, id DESC
    ON CONFLICT (payer_id, meter) DO UPDATE SET remainder = EXCLUDED.remainder
  )
  SELECT )sql" REPORT_COLUMNS R"sql(, usage_id FROM made ORDER BY payer_id, day, usage_id, meter
)sql"};

result<std::vector<meter_report>> plan_meter_reports(transaction& tx, std::int64_t limit,
                                                     time_point now) {
  exec(tx, one_planner);
  auto made = exec(tx, plan, first_day(now), date_of(now), limit, now);
  mark(tx, made);
  return reports_of(made);
}

constexpr statement claim{"claim_meter_reports", R"sql(
  UPDATE meter_reports r
  SET state = 'sent', attempts = attempts + 1, holder = $1, lease_until = $2,
    first_sent_at = coalesce(first_sent_at, $3), last_sent_at = $3
  FROM (
    SELECT usage_id, meter, revision FROM meter_reports
    WHERE state IN ('waiting', 'sent') AND day >= $4
      AND (lease_until IS NULL OR lease_until <= $3)
      AND (last_sent_at IS NULL OR last_sent_at < $5)
      AND (first_sent_at IS NULL OR first_sent_at > $6)
    ORDER BY payer_id, day, meter LIMIT $7 FOR UPDATE SKIP LOCKED
  ) AS open(u, m, v)
  WHERE (r.usage_id, r.meter, r.revision) = (open.u, open.m, open.v)
  RETURNING )sql" REPORT_COLUMNS};
result<std::vector<meter_report>> claim_meter_reports(transaction& tx, const std::string& holder,
                                                      std::chrono::milliseconds lease,
                                                      std::int64_t limit, time_point run_began,
                                                      time_point now) {
  auto out = reports_of(exec(tx, claim, holder, now + lease, now, first_day(now), run_began,
                             now - meter_repetition, limit));
  std::ranges::sort(out, {}, [](const meter_report& r) {
    return std::tuple{r.payer, r.day, r.meter, r.revision};
  });
  return out;
}

// That this attempt was not taken says nothing of those before it, of which there are some when the
// first was sent earlier than the last: what they left open, only settling closes.
constexpr statement finish{"finish_meter_reports", R"sql(
  UPDATE meter_reports r
  SET state = CASE WHEN o.state = 'waiting' AND first_sent_at < last_sent_at THEN 'sent'
                   ELSE o.state END,
    first_sent_at = CASE WHEN o.state <> 'waiting' OR first_sent_at < last_sent_at
                         THEN first_sent_at END,
    failure = nullif(o.failure, ''), holder = NULL, lease_until = NULL,
    delivered_at = CASE WHEN o.state = 'delivered' THEN $4::timestamptz END
  FROM unnest($1::text[], $2::text[], $3::text[]) AS o(identifier, state, failure)
  WHERE r.identifier = o.identifier
    AND (r.state = 'sent' OR (o.state = 'delivered' AND r.state <> 'delivered'))
  RETURNING r.usage_id
)sql"};
result<done> finish_meter_reports(transaction& tx, const std::vector<report_outcome>& outcomes,
                                  time_point now) {
  array_param identifiers, states, failures;
  for (const auto& o : outcomes) {
    identifiers.add(std::string_view{o.identifier});
    states.add(name_of(o.state));
    failures.add(std::string_view{o.failure});
  }
  mark(tx, exec(tx, finish, identifiers, states, failures, now));
  return done{};
}

// Only days all of whose unknown reports are due for settling: of one that is still repeated the
// outcome may be known soon, and the count tells that of the others then.
constexpr statement unsettled{"unsettled_meter_days", R"sql(
  SELECT customer_id, day, meter FROM meter_reports
  WHERE state = 'sent'
  GROUP BY customer_id, day, meter
  HAVING bool_and(first_sent_at <= $1 AND (lease_until IS NULL OR lease_until <= $2))
  ORDER BY day, customer_id, meter LIMIT $3
)sql"};
#define REPORTS_OF_DAY                                                                             \
  "SELECT " REPORT_COLUMNS " FROM meter_reports"                                                   \
  " WHERE customer_id = $1 AND day = $2 AND meter = $3 AND state IN ('sent', 'delivered')"         \
  " ORDER BY identifier"
constexpr statement reports_of_day{"meter_reports_of_day", REPORTS_OF_DAY};
constexpr statement held_reports_of_day{"hold_meter_reports_of_day", REPORTS_OF_DAY " FOR UPDATE"};

namespace {

unsettled_day day_in(transaction& tx, const statement& reports, unsettled_day of) {
  of.delivered = {};
  of.unknown.clear();
  for (auto& r : reports_of(exec(tx, reports, of.customer, of.day, of.meter)))
    if (r.state == report_state::delivered)
      of.delivered += r.value;
    else
      of.unknown.push_back(std::move(r));
  return of;
}

/// Whether nothing was sent or delivered in between.
bool same(const unsettled_day& a, const unsettled_day& b) {
  return a.delivered == b.delivered &&
         std::ranges::equal(a.unknown, b.unknown, [](const auto& x, const auto& y) {
           return x.identifier == y.identifier && x.attempts == y.attempts;
         });
}

} // namespace

result<std::vector<unsettled_day>> unsettled_meter_days(transaction& tx, std::int64_t limit,
                                                        time_point now) {
  std::vector<unsettled_day> out;
  for (const auto& row : exec(tx, unsettled, now - meter_repetition, now, limit)) {
    unsettled_day one{text_of(row[0]), text_of(row[2]), day_of(row[1]), {}, {}};
    out.push_back(day_in(tx, reports_of_day, std::move(one)));
  }
  return out;
}

constexpr statement settle{"settle_meter_reports", R"sql(
  UPDATE meter_reports
  SET state = $2, failure = nullif($3, ''), holder = NULL, lease_until = NULL,
    first_sent_at = CASE WHEN $2 <> 'waiting' THEN first_sent_at END,
    delivered_at = CASE WHEN $2 = 'delivered' THEN $4::timestamptz END
  WHERE identifier = ANY($1::text[]) AND state = 'sent'
  RETURNING usage_id
)sql"};
result<report_state> settle_meter_day(transaction& tx, const unsettled_day& of, decimal counted,
                                      time_point now) {
  if (!same(of, day_in(tx, held_reports_of_day, of))) return report_state::sent;
  decimal with = of.delivered;
  for (const auto& r : of.unknown) with += r.value;
  auto verdict = counted == with           ? report_state::delivered
                 : counted == of.delivered ? report_state::waiting
                                           : report_state::disputed;
  auto why = verdict == report_state::disputed
                 ? "Stripe counts " + counted.str() + ", not " + of.delivered.str() +
                       " without or " + with.str() + " with what is unknown"
                 : "";
  array_param identifiers;
  for (const auto& r : of.unknown) identifiers.add(std::string_view{r.identifier});
  mark(tx, exec(tx, settle, identifiers, name_of(verdict), why, now));
  return verdict;
}

constexpr statement decide{"decide_disputed_report", R"sql(
  UPDATE meter_reports
  SET state = CASE WHEN $2::boolean THEN 'delivered' ELSE 'waiting' END,
    delivered_at = CASE WHEN $2::boolean THEN $3::timestamptz END,
    first_sent_at = NULL, failure = NULL
  WHERE identifier = $1 AND state = 'disputed'
  RETURNING usage_id
)sql"};
result<done> decide_disputed_report(transaction& tx, const std::string& identifier, bool taken,
                                    time_point now) {
  auto decided = exec(tx, decide, identifier, taken, now);
  if (decided.empty()) return missing("There is no disputed report " + identifier);
  mark(tx, decided);
  return done{};
}

constexpr statement disputed{"disputed_meter_reports",
                             "SELECT " REPORT_COLUMNS " FROM meter_reports WHERE state = 'disputed'"
                             " ORDER BY payer_id, day, meter, revision"};
result<std::vector<meter_report>> disputed_reports(transaction& tx) {
  return reports_of(exec(tx, disputed));
}

constexpr statement backlog{"load_meter_backlog", R"sql(
  SELECT
    (SELECT count(*) FROM usage_daily d )sql" OF_POSTPAID R"sql(
     WHERE NOT d.reported_to_stripe AND d.day < $2 AND d.day >= $1
       AND EXISTS (SELECT FROM subscriptions s
                   WHERE s.user_id = p.id AND s.kind = 'usage' AND s.status IN ('active', 'trialing', 'past_due'))
       AND NOT EXISTS (SELECT FROM meter_reports r
                       WHERE r.usage_id = d.id AND r.revision = d.revision)),
    count(*) FILTER (WHERE state = 'waiting' AND day >= $1),
    count(*) FILTER (WHERE state = 'sent'),
    (SELECT count(*) FROM meter_reports WHERE state = 'disputed'),
    count(*) FILTER (WHERE state = 'waiting' AND day < $1)
  FROM meter_reports WHERE state IN ('waiting', 'sent')
)sql"};
result<meter_backlog> load_meter_backlog(transaction& tx, time_point now) {
  auto row = exec(tx, backlog, first_day(now), date_of(now))[0];
  return meter_backlog{integer_of(row[0]), integer_of(row[1]), integer_of(row[2]),
                       integer_of(row[3]), integer_of(row[4])};
}

constexpr statement of_user{"meter_reports_of", R"sql(
  SELECT )sql" REPORT_COLUMNS R"sql( FROM meter_reports
  WHERE user_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, meter, revision
)sql"};
result<std::vector<meter_report>> meter_reports_of(transaction& tx, const user_id& who, date from,
                                                   date to) {
  return reports_of(exec(tx, of_user, who, from, to));
}

} // namespace binnacle::persistence
