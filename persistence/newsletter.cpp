#include "persistence/newsletter.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr statement one_address_at_a_time{"newsletter_turn", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.newsletter:' || $1, 0))
)sql"};
result<done> lock_newsletter_address(transaction& tx, const std::string& email) {
  exec(tx, one_address_at_a_time, email);
  return done{};
}

constexpr statement add_request{"insert_newsletter_request", R"sql(
  INSERT INTO newsletter_requests (token_digest, email, first_name, source, created_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6)
)sql"};
result<done> insert_newsletter_request(transaction& tx, const newsletter_request& r) {
  exec(tx, add_request, bytes(r.token_digest), r.email, r.first_name, r.source, r.created_at,
       r.expires_at);
  return done{};
}

namespace {

std::optional<newsletter_request> first_request(const pqxx::result& rows,
                                                const std::string& token_digest) {
  if (rows.empty()) return {};
  auto row = rows[0];
  return newsletter_request{.token_digest = token_digest,
                            .email = text_of(row[0]),
                            .first_name = text_of(row[1]),
                            .source = text_of(row[2]),
                            .created_at = time_of(row[3]),
                            .expires_at = time_of(row[4])};
}

} // namespace

constexpr statement request_by_token{"find_newsletter_request", R"sql(
  SELECT email, first_name, source, created_at, expires_at
  FROM newsletter_requests WHERE token_digest = $1
)sql"};
result<std::optional<newsletter_request>> find_newsletter_request(transaction& tx,
                                                                  const std::string& token_digest) {
  return first_request(exec(tx, request_by_token, bytes(token_digest)), token_digest);
}

constexpr statement take_request{"lock_newsletter_request", R"sql(
  SELECT email, first_name, source, created_at, expires_at
  FROM newsletter_requests WHERE token_digest = $1 FOR UPDATE
)sql"};
result<std::optional<newsletter_request>> lock_newsletter_request(transaction& tx,
                                                                  const std::string& token_digest) {
  return first_request(exec(tx, take_request, bytes(token_digest)), token_digest);
}

constexpr statement drop_request{"delete_newsletter_request",
                                 "DELETE FROM newsletter_requests WHERE token_digest = $1"};
result<done> delete_newsletter_request(transaction& tx, const std::string& token_digest) {
  exec(tx, drop_request, bytes(token_digest));
  return done{};
}

constexpr statement add_subscriber{"subscribe_newsletter", R"sql(
  INSERT INTO newsletter_subscribers AS s (email, first_name, source, consented_at, subscribed_at)
  VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (email) DO UPDATE
    SET first_name = coalesce(nullif(EXCLUDED.first_name, ''), s.first_name)
  RETURNING subscribed_at
)sql"};
result<time_point> subscribe_newsletter(transaction& tx, const newsletter_request& r,
                                        time_point now) {
  return time_of(
      exec(tx, add_subscriber, r.email, r.first_name, r.source, r.created_at, now)[0][0]);
}

constexpr statement drop_subscriber{"unsubscribe_newsletter",
                                    "DELETE FROM newsletter_subscribers WHERE email = $1"};
constexpr statement drop_requests{"delete_newsletter_requests",
                                  "DELETE FROM newsletter_requests WHERE email = $1"};
result<done> unsubscribe_newsletter(transaction& tx, const std::string& email) {
  exec(tx, drop_subscriber, email);
  exec(tx, drop_requests, email);
  return done{};
}

constexpr statement sweep_requests{"delete_expired_newsletter_requests",
                                   "DELETE FROM newsletter_requests WHERE expires_at < $1"};
result<std::int64_t> delete_expired_newsletter_requests(transaction& tx, time_point before) {
  return static_cast<std::int64_t>(exec(tx, sweep_requests, before).affected_rows());
}

} // namespace binnacle::persistence
