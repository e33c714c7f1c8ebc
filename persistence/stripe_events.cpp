#include "persistence/stripe_events.hpp"

#include "config/base/text.hpp"
#include "persistence/holding.hpp"

namespace binnacle::persistence {

// In the order of their ids: two nodes that are brought the same events at once would otherwise
// wait for each other.
constexpr statement store_events{"store_stripe_events", R"sql(
  INSERT INTO stripe_events (id, type, object_key, livemode, api_version, created_at, payload,
                             state, applied_at, source, next_attempt_at, received_at)
  SELECT id, type, object_key, livemode, api_version, created_at, payload,
    CASE WHEN inert THEN 'applied' ELSE 'waiting' END, CASE WHEN inert THEN $10::timestamptz END, $9,
    $10, $10
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::timestamptz[],
              $7::text[], $8::bool[])
    AS e (id, type, object_key, livemode, api_version, created_at, payload, inert)
  ORDER BY id
  ON CONFLICT (id) DO NOTHING
  RETURNING id
)sql"};
result<std::vector<std::string>> store_stripe_events(transaction& tx,
                                                     const std::vector<stripe_event>& events,
                                                     event_source from, time_point now) {
  array_param id, type, key, livemode, version, created, payload, inert;
  for (const auto& e : events) {
    id.add(e.id);
    type.add(e.type);
    key.add(e.object_key);
    livemode.add(e.livemode);
    version.add(e.api_version);
    created.add(e.created_at);
    payload.add(e.payload);
    inert.add(e.inert);
  }
  const char* source = from == event_source::webhook ? "webhook" : "healer";
  std::vector<std::string> out;
  for (auto row : exec(tx, store_events, id, type, key, livemode, version, created, payload, inert,
                       source, now))
    out.push_back(text_of(row[0]));
  return out;
}

// -- working on them -----------------------------------------------------------------------------

// An event whose holder has died goes before its object's others: it is in the way of their being
// held (stripe_events_one_at_a_time), which also settles who wins when two nodes choose different
// events of one object at the same moment.
constexpr statement hold_events{"hold_stripe_events", R"sql(
  WITH due AS MATERIALIZED (
    SELECT e.seq FROM stripe_events e
    WHERE e.state IN ('waiting', 'failed') AND e.next_attempt_at <= $4
      AND NOT EXISTS (
        SELECT FROM stripe_events held
        WHERE held.object_key = e.object_key AND held.holder IS NOT NULL AND held.seq <> e.seq)
      AND (e.holder IS NOT NULL OR NOT EXISTS (
        SELECT FROM stripe_events older
        WHERE older.object_key = e.object_key AND older.state IN ('waiting', 'failed')
          AND older.next_attempt_at <= $4
          AND (older.created_at, older.seq) < (e.created_at, e.seq)))
    ORDER BY e.next_attempt_at
    LIMIT $3
    FOR UPDATE OF e SKIP LOCKED)
  UPDATE stripe_events e SET holder = $1, attempts = attempts + 1, next_attempt_at = $2
  FROM due WHERE e.seq = due.seq
  RETURNING e.id, e.type, e.object_key, e.livemode, e.payload, e.attempts, e.received_at,
            clock_timestamp()
)sql"};
result<std::vector<held_stripe_event>> hold_stripe_events(transaction& tx,
                                                          const std::string& holder,
                                                          milliseconds lease, std::int64_t most,
                                                          time_point now) {
  std::vector<held_stripe_event> out;
  auto held = refusing({{"stripe_events_one_at_a_time", "", "Another node was faster"}}, [&] {
    for (auto row : exec(tx, hold_events, holder, now + lease, most, now))
      out.push_back({.id = text_of(row[0]),
                     .type = text_of(row[1]),
                     .object_key = text_of(row[2]),
                     .livemode = truth_of(row[3]),
                     .payload = text_of(row[4]),
                     .attempt = integer_of(row[5]),
                     .holder = holder,
                     .received_at = time_of(row[6]),
                     .held_at = time_of(row[7])});
  });
  if (!held) return held.error();
  return out;
}

constexpr statement release_events{"release_stripe_events", R"sql(
  UPDATE stripe_events SET holder = NULL, next_attempt_at = $3
  WHERE holder = $1 AND id <> ALL ($2::text[])
)sql"};
result<std::int64_t> release_stripe_events(transaction& tx, const std::string& holder,
                                           const std::vector<std::string>& except, time_point now) {
  auto released = exec(tx, release_events, holder, array_of(except), now);
  return static_cast<std::int64_t>(released.affected_rows());
}

constexpr statement finish_event{"finish_stripe_event", R"sql(
  UPDATE stripe_events
  SET state = 'applied', holder = NULL, awaited_email = NULL, last_error = NULL, applied_at = $4
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> finish_stripe_event(transaction& tx, const held_stripe_event& e, time_point now) {
  return still_held(exec(tx, finish_event, e.id, e.holder, e.attempt, now));
}

constexpr statement fail_event{"fail_stripe_event", R"sql(
  UPDATE stripe_events
  SET state = 'failed', holder = NULL, last_error = $4, next_attempt_at = $5
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> fail_stripe_event(transaction& tx, const held_stripe_event& e, const std::string& why,
                               time_point again) {
  return still_held(exec(tx, fail_event, e.id, e.holder, e.attempt, why, again));
}

constexpr statement shelve_event{"shelve_stripe_event", R"sql(
  UPDATE stripe_events
  SET state = 'unresolved', holder = NULL, awaited_email = $4, last_error = NULL
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> shelve_stripe_event(transaction& tx, const held_stripe_event& e,
                                 const std::string& email) {
  return still_held(exec(tx, shelve_event, e.id, e.holder, e.attempt, lower_case(email)));
}

constexpr statement unshelve_events{"unshelve_stripe_events", R"sql(
  UPDATE stripe_events e SET state = 'waiting', awaited_email = NULL, next_attempt_at = $1
  FROM users u WHERE e.awaited_email = u.email AND NOT u.email_claimed
)sql"};
result<std::int64_t> unshelve_stripe_events(transaction& tx, time_point now) {
  return static_cast<std::int64_t>(exec(tx, unshelve_events, now).affected_rows());
}

// -- for admins and operators --------------------------------------------------------------------

#define RECORD_COLUMNS                                                                             \
  "seq, id, type, object_key, livemode, api_version, created_at, source, state, attempts, "        \
  "next_attempt_at, awaited_email, last_error, received_at, applied_at"

namespace {

stripe_event_record record_of(const pqxx::row& row) {
  stripe_event_record out;
  out.seq = integer_of(row[0]);
  out.what.id = text_of(row[1]);
  out.what.type = text_of(row[2]);
  out.what.object_key = text_of(row[3]);
  out.what.livemode = truth_of(row[4]);
  out.what.api_version = text_of(row[5]);
  out.what.created_at = time_of(row[6]);
  out.source = text_of(row[7]);
  out.state = text_of(row[8]);
  out.attempts = integer_of(row[9]);
  if (out.state == "waiting" || out.state == "failed") out.next_attempt_at = time_of(row[10]);
  out.awaited_email = text_of(row[11]);
  out.last_error = text_of(row[12]);
  out.received_at = time_of(row[13]);
  out.applied_at = maybe_time(row[14]);
  return out;
}
constexpr int payload_column = 15;

} // namespace

constexpr statement list_events{"list_stripe_events", "SELECT " RECORD_COLUMNS R"sql(
  FROM stripe_events
  WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR type = $2)
    AND ($3::bigint IS NULL OR seq < $3)
  ORDER BY seq DESC LIMIT $4
)sql"};
result<std::vector<stripe_event_record>> list_stripe_events(transaction& tx,
                                                            const stripe_event_filter& f) {
  std::vector<stripe_event_record> out;
  for (auto row : exec(tx, list_events, or_null(f.state), or_null(f.type), f.before, f.most))
    out.push_back(record_of(row));
  return out;
}

constexpr statement find_event{"find_stripe_event", "SELECT " RECORD_COLUMNS
                                                    ", payload FROM stripe_events WHERE id = $1"};
result<std::optional<stripe_event_record>> find_stripe_event(transaction& tx,
                                                             const std::string& id) {
  auto rows = exec(tx, find_event, id);
  if (rows.empty()) return std::optional<stripe_event_record>{};
  auto out = record_of(rows[0]);
  out.what.payload = text_of(rows[0][payload_column]);
  return std::optional{std::move(out)};
}

constexpr statement replay_event{"replay_stripe_event", R"sql(
  WITH found AS (SELECT seq, payload, holder, next_attempt_at FROM stripe_events
                 WHERE id = $1 FOR UPDATE),
  due AS (
    UPDATE stripe_events e
    SET state = 'waiting', holder = NULL, awaited_email = NULL, applied_at = NULL,
        next_attempt_at = $2
    FROM found f
    WHERE e.seq = f.seq AND f.payload IS NOT NULL AND (f.holder IS NULL OR f.next_attempt_at <= $2)
    RETURNING e.seq)
  SELECT payload IS NULL, EXISTS (SELECT FROM due) FROM found
)sql"};
result<done> replay_stripe_event(transaction& tx, const std::string& id, time_point now) {
  auto rows = exec(tx, replay_event, id, now);
  if (rows.empty()) return missing("Event not found");
  if (truth_of(rows[0][1])) return done{};
  auto why = truth_of(rows[0][0]) ? "The event's payload is no longer kept"
                                  : "The event is being applied just now";
  return fault{errc::conflict, why, {}, {}};
}

constexpr statement count_events{"count_stripe_events", R"sql(
  SELECT (SELECT count(*) FROM stripe_events WHERE state = 'waiting'),
         (SELECT count(*) FROM stripe_events WHERE state = 'failed'),
         (SELECT count(*) FROM stripe_events WHERE awaited_email IS NOT NULL),
         (SELECT min(received_at) FROM stripe_events WHERE state IN ('waiting', 'failed'))
)sql"};
result<stripe_event_counts> count_stripe_events(transaction& tx) {
  auto row = exec(tx, count_events)[0];
  return stripe_event_counts{.waiting = integer_of(row[0]),
                             .failed = integer_of(row[1]),
                             .unresolved = integer_of(row[2]),
                             .oldest = maybe_time(row[3])};
}

constexpr statement drop_payloads{"drop_stripe_payloads", R"sql(
  UPDATE stripe_events SET payload = NULL
  WHERE seq IN (SELECT seq FROM stripe_events
                WHERE received_at < $1 AND payload IS NOT NULL AND state = 'applied'
                ORDER BY received_at LIMIT $2)
)sql"};
result<std::int64_t> drop_stripe_payloads(transaction& tx, time_point before, std::int64_t most) {
  return static_cast<std::int64_t>(exec(tx, drop_payloads, before, most).affected_rows());
}

} // namespace binnacle::persistence
