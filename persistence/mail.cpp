#include "persistence/mail.hpp"

#include "persistence/holding.hpp"

namespace binnacle::persistence {

constexpr statement add_mail{"queue_mail", R"sql(
  INSERT INTO mail_outbox (id, cause, kind, recipient, subject, content, next_attempt_at, queued_at,
                           expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
  ON CONFLICT (cause) DO NOTHING
)sql"};
result<bool> queue_mail(transaction& tx, const queued_mail& m, time_point now) {
  return exec(tx, add_mail, m.id, m.cause, m.kind, m.recipient, m.subject, m.content_sealed, now,
              now + mail_life)
             .affected_rows() > 0;
}

// -- sending them --------------------------------------------------------------------------------

constexpr statement mails_to{"count_mails_to", R"sql(
  SELECT count(*) FROM mail_outbox WHERE recipient = $1 AND kind = $2 AND queued_at > $3
)sql"};
result<std::int64_t> count_mails_to(transaction& tx, const std::string& recipient,
                                    const std::string& kind, time_point since) {
  return integer_of(exec(tx, mails_to, recipient, kind, since)[0][0]);
}

constexpr statement take_mail{"hold_mail", R"sql(
  WITH due AS MATERIALIZED (
    SELECT seq FROM mail_outbox
    WHERE state = 'waiting' AND next_attempt_at <= $3 AND expires_at > $3
    ORDER BY next_attempt_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED)
  UPDATE mail_outbox m SET holder = $1, attempts = attempts + 1, next_attempt_at = $2
  FROM due WHERE m.seq = due.seq
  RETURNING m.id, m.cause, m.kind, m.recipient, m.subject, m.content, m.attempts
)sql"};
result<std::optional<held_mail>> hold_mail(transaction& tx, const std::string& holder,
                                           milliseconds lease, time_point now) {
  auto rows = exec(tx, take_mail, holder, now + lease, now);
  if (rows.empty()) return std::optional<held_mail>{};
  auto row = rows[0];
  held_mail out;
  out.what = {.id = text_of(row[0]),
              .cause = text_of(row[1]),
              .kind = text_of(row[2]),
              .recipient = text_of(row[3]),
              .subject = text_of(row[4]),
              .content_sealed = text_of(row[5])};
  out.attempt = integer_of(row[6]);
  out.holder = holder;
  return std::optional{std::move(out)};
}

constexpr statement mark_sent{"finish_mail", R"sql(
  UPDATE mail_outbox
  SET state = 'sent', holder = NULL, content = NULL, last_error = NULL, finished_at = $4
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> finish_mail(transaction& tx, const held_mail& m, time_point now) {
  return still_held(exec(tx, mark_sent, m.what.id, m.holder, m.attempt, now));
}

constexpr statement put_off{"postpone_mail", R"sql(
  UPDATE mail_outbox SET holder = NULL, last_error = $4, next_attempt_at = $5
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> postpone_mail(transaction& tx, const held_mail& m, const std::string& why,
                           time_point again) {
  return still_held(exec(tx, put_off, m.what.id, m.holder, m.attempt, why, again));
}

constexpr statement mark_failed{"fail_mail", R"sql(
  UPDATE mail_outbox
  SET state = 'failed', holder = NULL, content = NULL, last_error = $4, finished_at = $5
  WHERE id = $1 AND holder = $2 AND attempts = $3
)sql"};
result<done> fail_mail(transaction& tx, const held_mail& m, const std::string& why,
                       time_point now) {
  return still_held(exec(tx, mark_failed, m.what.id, m.holder, m.attempt, why, now));
}

// -- for admins and operators --------------------------------------------------------------------

constexpr statement page_of_mails{"list_mails", R"sql(
  SELECT seq, id, kind, recipient, subject, state, attempts,
         CASE WHEN state = 'waiting' THEN next_attempt_at END, last_error, queued_at, finished_at
  FROM mail_outbox
  WHERE ($1::text IS NULL OR state = $1) AND ($2::bigint IS NULL OR seq < $2)
  ORDER BY seq DESC LIMIT $3
)sql"};
result<std::vector<mail_record>> list_mails(transaction& tx, const mail_filter& f) {
  std::vector<mail_record> out;
  for (auto row : exec(tx, page_of_mails, or_null(f.state), f.before, f.most))
    out.push_back({.seq = integer_of(row[0]),
                   .id = text_of(row[1]),
                   .kind = text_of(row[2]),
                   .recipient = text_of(row[3]),
                   .subject = text_of(row[4]),
                   .state = text_of(row[5]),
                   .attempts = integer_of(row[6]),
                   .next_attempt_at = maybe_time(row[7]),
                   .last_error = text_of(row[8]),
                   .queued_at = time_of(row[9]),
                   .finished_at = maybe_time(row[10])});
  return out;
}

constexpr statement counts_of_mails{"count_mails", R"sql(
  SELECT (SELECT count(*) FROM mail_outbox WHERE state = 'waiting'),
         (SELECT count(*) FROM mail_outbox WHERE state = 'failed'),
         (SELECT min(queued_at) FROM mail_outbox WHERE state = 'waiting')
)sql"};
result<mail_counts> count_mails(transaction& tx) {
  auto row = exec(tx, counts_of_mails)[0];
  return mail_counts{
      .waiting = integer_of(row[0]), .failed = integer_of(row[1]), .oldest = maybe_time(row[2])};
}

constexpr statement fail_expired{"fail_expired_mails", R"sql(
  UPDATE mail_outbox
  SET state = 'failed', holder = NULL, content = NULL, finished_at = $1,
      last_error = concat_ws(': ', 'too old to be sent', last_error)
  WHERE seq IN (SELECT seq FROM mail_outbox WHERE state = 'waiting' AND expires_at <= $1 LIMIT $2)
)sql"};
constexpr statement forget_finished{"forget_finished_mails", R"sql(
  DELETE FROM mail_outbox
  WHERE seq IN (SELECT seq FROM mail_outbox WHERE state <> 'waiting' AND finished_at < $1 LIMIT $2)
)sql"};
result<std::int64_t> sweep_mails(transaction& tx, time_point forget_before, std::int64_t most,
                                 time_point now) {
  auto failed = exec(tx, fail_expired, now, most).affected_rows();
  auto forgotten = exec(tx, forget_finished, forget_before, most).affected_rows();
  return static_cast<std::int64_t>(failed + forgotten);
}

} // namespace binnacle::persistence
