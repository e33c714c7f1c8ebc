#include "persistence/credits_rows.hpp"
#include "persistence/sql.hpp"

#include <limits>

namespace binnacle::persistence {
namespace {

credit_kind kind_of(const std::string& name) {
  if (name == "grant") return credit_kind::grant;
  if (name == "use") return credit_kind::use;
  if (name == "expiry") return credit_kind::expiry;
  if (name == "refund") return credit_kind::refund;
  return name == "revocation" ? credit_kind::revocation : credit_kind::restoration;
}

credit_entry_id entry_id_of(cell c) { return credit_entry_id{integer_of(c)}; }

} // namespace

credit_entry entry_of(const pqxx::row& row) {
  return {.id = entry_id_of(row[0]),
          .kind = kind_of(text_of(row[1])),
          .source = text_of(row[2]),
          .tenths = integer_of(row[3]),
          .use = optional_of<credit_entry_id>(row[4], entry_id_of),
          .expires_at = maybe_time(row[5]),
          .balance_after = integer_of(row[6]),
          .occurred_at = time_of(row[7]),
          .created_at = time_of(row[8])};
}

// Not the sum of open lots: there may be many of those, but what waits to be written off is little.
constexpr statement balance_at{"credit_balance", R"sql(
  SELECT a.balance - coalesce((
    SELECT sum(l.remaining) FROM credit_lots l
    WHERE l.user_id = $1 AND l.remaining > 0 AND l.expires_at <= $2), 0)
  FROM credit_accounts a WHERE a.user_id = $1
)sql"};
result<std::int64_t> credit_balance(transaction& tx, const user_id& who, time_point now) {
  auto rows = exec(tx, balance_at, who, now);
  return rows.empty() ? 0 : integer_of(rows[0][0]);
}

constexpr statement next_expiry{"next_credit_expiry", R"sql(
  SELECT nullif(min(expires_at), 'infinity') FROM credit_lots
  WHERE user_id = $1 AND remaining > 0 AND expires_at > $2
)sql"};
result<std::optional<time_point>> next_credit_expiry(transaction& tx, const user_id& who,
                                                     time_point now) {
  return maybe_time(exec(tx, next_expiry, who, now)[0][0]);
}

constexpr statement entries_before{"credit_entries_of", "SELECT " ENTRY_COLUMNS R"sql(
  FROM credit_entries e WHERE e.user_id = $1 AND e.id < $2 ORDER BY e.id DESC LIMIT $3
)sql"};
result<std::vector<credit_entry>> credit_entries_of(transaction& tx, const user_id& who,
                                                    std::optional<credit_entry_id> before,
                                                    std::int64_t most) {
  if (most < 1) return bad_field("limit", "At least one");
  auto below = before ? number(*before) : std::numeric_limits<std::int64_t>::max();
  std::vector<credit_entry> out;
  for (auto row : exec(tx, entries_before, who, below, most)) out.push_back(entry_of(row));
  return out;
}

constexpr statement payments{"explain_use", "SELECT " ENTRY_COLUMNS R"sql(, -a.tenths
  FROM credit_entries u
  JOIN credit_allocations a ON a.entry_id = u.id
  JOIN credit_entries e ON e.id = a.lot_id
  WHERE u.user_id = $1 AND u.id = $2 AND u.kind = 'use'
  ORDER BY e.expires_at NULLS LAST, e.id
)sql"};
result<std::vector<credit_payment>> explain_use(transaction& tx, const user_id& who,
                                                credit_entry_id use) {
  std::vector<credit_payment> out;
  for (auto row : exec(tx, payments, who, number(use)))
    out.push_back({entry_of(row), integer_of(row[entry_columns])});
  if (out.empty()) return missing("Use not found");
  return out;
}

// Each part finds one kind of difference. Running sums are in the order of the entries' ids.
constexpr statement differences{"verify_ledger", R"sql(
  WITH entries AS MATERIALIZED (
    SELECT *, sum(tenths) OVER (ORDER BY id) AS running FROM credit_entries WHERE user_id = $1
  ), lots AS MATERIALIZED (
    SELECT * FROM credit_lots WHERE user_id = $1
  ), shares AS MATERIALIZED (
    SELECT s.*, e.kind, e.use_id, e.created_at,
      sum(s.tenths) OVER (PARTITION BY s.lot_id ORDER BY s.entry_id) AS running
    FROM entries e JOIN credit_allocations s ON s.entry_id = e.id
  ), of_entries AS (
    SELECT entry_id, sum(tenths) AS tenths FROM shares GROUP BY entry_id
  ), of_lots AS (
    SELECT lot_id, sum(tenths) AS tenths FROM shares GROUP BY lot_id
  ), refunds AS (
    SELECT use_id, sum(tenths) AS tenths FROM entries WHERE kind = 'refund' GROUP BY use_id
  ), restorations AS (
    SELECT use_id, sum(tenths) AS tenths FROM entries WHERE kind = 'restoration' GROUP BY use_id
  )
  SELECT 'the account says ' || coalesce(a.balance, 0) || ', the entries sum to ' || e.tenths
  FROM (SELECT coalesce(sum(tenths), 0) AS tenths FROM entries) e
  LEFT JOIN credit_accounts a ON a.user_id = $1
  WHERE coalesce(a.balance, 0) <> e.tenths
  UNION ALL
  SELECT 'entry ' || id || ' says a balance of ' || balance_after || ', it was ' || running
  FROM entries WHERE balance_after <> running
  UNION ALL
  SELECT 'entry ' || e.id || ' is of ' || e.tenths || ', its allocations sum to '
    || coalesce(s.tenths, 0)
  FROM entries e LEFT JOIN of_entries s ON s.entry_id = e.id
  WHERE e.tenths <> coalesce(s.tenths, 0)
  UNION ALL
  SELECT 'entry ' || s.entry_id || ' draws on lot ' || s.lot_id || ', which is not this user''s'
  FROM shares s LEFT JOIN lots l ON l.id = s.lot_id WHERE l.id IS NULL
  UNION ALL
  SELECT 'lot ' || l.id || ' says that ' || l.remaining || ' remain, its allocations sum to '
    || coalesce(s.tenths, 0)
  FROM lots l LEFT JOIN of_lots s ON s.lot_id = l.id WHERE l.remaining <> coalesce(s.tenths, 0)
  UNION ALL
  SELECT 'lot ' || l.id || ' expires at another time than its entry says'
  FROM lots l LEFT JOIN entries e ON e.id = l.id
  WHERE e.id IS NULL OR l.expires_at <> coalesce(e.expires_at, 'infinity')
  UNION ALL
  SELECT 'entry ' || entry_id || ' overdraws lot ' || lot_id || ' by ' || -running
  FROM shares WHERE running < 0
  UNION ALL
  SELECT 'entry ' || s.entry_id || ' uses lot ' || s.lot_id || ', which had expired'
  FROM shares s JOIN lots l ON l.id = s.lot_id
  WHERE s.kind = 'use' AND s.created_at >= l.expires_at
  UNION ALL
  SELECT 'entry ' || s.entry_id || ' writes off lot ' || s.lot_id || ', which had not expired'
  FROM shares s JOIN lots l ON l.id = s.lot_id
  WHERE s.kind = 'expiry' AND s.created_at < l.expires_at
  UNION ALL
  SELECT 'entry ' || r.use_id || ' used ' || coalesce(-e.tenths, 0) || ', refunded are ' || r.tenths
  FROM refunds r LEFT JOIN entries e ON e.id = r.use_id AND e.kind = 'use'
  WHERE r.tenths > coalesce(-e.tenths, 0)
  UNION ALL
  SELECT 'entry ' || r.use_id || ' revoked ' || coalesce(-e.tenths, 0) || ', restored are '
    || r.tenths
  FROM restorations r LEFT JOIN entries e ON e.id = r.use_id AND e.kind = 'revocation'
  WHERE r.tenths <> coalesce(-e.tenths, 0)
  UNION ALL
  SELECT 'entry ' || entry_id || ' takes from lot ' || lot_id || ', and revokes entry ' || use_id
  FROM shares WHERE kind = 'revocation' AND lot_id <> use_id
)sql"};
result<std::vector<std::string>> verify_ledger(transaction& tx, const user_id& who) {
  std::vector<std::string> out;
  for (auto row : exec(tx, differences, who)) out.push_back(text_of(row[0]));
  return out;
}

} // namespace binnacle::persistence
