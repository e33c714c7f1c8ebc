#include "persistence/audit.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

// Numbers of transactions beyond this server's are of another, from which the log was restored.
constexpr statement audit_page{"list_audit", R"sql(
  WITH here AS MATERIALIZED (SELECT pg_snapshot_xmin(s) AS first_running, pg_snapshot_xmax(s) AS next
                             FROM pg_current_snapshot() s)
  SELECT id, at, actor, action, target, detail::text, address FROM audit_log, here
  WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR action = $2)
    AND at >= coalesce($3::timestamptz, '-infinity') AND at < coalesce($4::timestamptz, 'infinity')
    AND id < $5 AND (written_by < first_running OR written_by >= next)
  ORDER BY id DESC LIMIT $6
)sql"};
result<std::vector<audit_row>> list_audit(transaction& tx, const audit_filter& f) {
  constexpr auto none = std::numeric_limits<std::int64_t>::max();
  std::vector<audit_row> out;
  for (auto row : exec(tx, audit_page, or_null(f.actor), or_null(f.action), f.from, f.to,
                       f.before.value_or(none), f.most))
    out.push_back({.id = integer_of(row[0]),
                   .at = time_of(row[1]),
                   .actor = text_of(row[2]),
                   .action = text_of(row[3]),
                   .target = text_of(row[4]),
                   .detail = text_of(row[5]),
                   .address = text_of(row[6])});
  return out;
}

} // namespace binnacle::persistence
