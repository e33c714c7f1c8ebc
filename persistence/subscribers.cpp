#include "persistence/subscribers.hpp"

#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence::assinante {

#define SUBSCRIBER_COLUMNS                                                                         \
  "p.user_id, u.name, p.email, p.phone, p.cpf, p.birth_date, p.address, "                          \
  "coalesce(p.avatar_url, u.image), p.created_at"

namespace {

std::optional<subscriber> first_subscriber(const pqxx::result& rows) {
  if (rows.empty()) return {};
  auto row = rows[0];
  return subscriber{.id = {text_of(row[0])},
                    .name = text_of(row[1]),
                    .email = text_of(row[2]),
                    .phone = text_of(row[3]),
                    .cpf = text_of(row[4]),
                    .birth_date = optional_of<date>(row[5], day_of),
                    .address = text_of(row[6]),
                    .avatar_url = text_of(row[7]),
                    .created_at = time_of(row[8])};
}

fault taken_email() { return {errc::conflict, "Email already registered", "email", {}}; }

void touch_subscriber(transaction& tx, const user_id& who) {
  tx.touch({topic::identity, who});
  tx.touch({topic::subscriber, who});
}

} // namespace

constexpr statement by_id{"assinante_find_subscriber", "SELECT " SUBSCRIBER_COLUMNS R"sql(
  FROM subscribers p JOIN users u ON u.id = p.user_id WHERE p.user_id = $1
)sql"};
result<std::optional<subscriber>> find_subscriber(transaction& tx, const user_id& who) {
  return first_subscriber(exec(tx, by_id, who));
}

constexpr statement by_email{"assinante_find_subscriber_by_email",
                             "SELECT " SUBSCRIBER_COLUMNS R"sql(
  FROM subscribers p JOIN users u ON u.id = p.user_id WHERE p.email = $1
)sql"};
result<std::optional<subscriber>> find_subscriber_by_email(transaction& tx,
                                                           const std::string& email) {
  return first_subscriber(exec(tx, by_email, email));
}

constexpr statement email_of_others{"assinante_is_email_taken", R"sql(
  SELECT EXISTS (SELECT FROM subscribers WHERE email = $2 AND user_id <> $1)
    OR EXISTS (SELECT FROM users WHERE email = $2 AND id <> $1)
)sql"};
result<bool> is_email_taken(transaction& tx, const user_id& who, const std::string& email) {
  return truth_of(exec(tx, email_of_others, who, email)[0][0]);
}

constexpr statement register_one{"assinante_register", R"sql(
  INSERT INTO subscribers (user_id, email, phone, cpf, birth_date, address, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
  ON CONFLICT (user_id) DO NOTHING
)sql"};
constexpr statement name_user{"assinante_name_user", R"sql(
  UPDATE users SET name = $2, updated_at = $3 WHERE id = $1
)sql"};
constexpr statement consent{"assinante_consent", R"sql(
  INSERT INTO consent_log (user_id, consent, granted, client_address, user_agent, at)
  SELECT $1, c, true, $2, $3, $4 FROM unnest(ARRAY['TERMS', 'DATA_PROCESSING']) AS c
)sql"};
result<done> register_subscriber(transaction& tx, const subscriber& who, const author& by,
                                 time_point now) {
  auto taken_by_user = is_email_taken(tx, who.id, who.email);
  if (!taken_by_user) return taken_by_user.error();
  if (*taken_by_user) return taken_email();
  auto fresh = false;
  auto added = refusing({{"subscribers_email_key", "email", "Email already registered"}}, [&] {
    auto rows = exec(tx, register_one, who.id, who.email, who.phone, who.cpf, who.birth_date,
                     who.address, now);
    fresh = rows.affected_rows() > 0;
  });
  if (!added) return added;
  if (!fresh) return fault{errc::conflict, "User already registered", {}, {}};
  exec(tx, name_user, who.id, who.name, now);
  exec(tx, consent, who.id, by.client_address, by.user_agent, now);
  touch_subscriber(tx, who.id);
  audit_entry entry{.actor = who.id,
                    .action = "SUBSCRIBER_REGISTERED",
                    .target = who.id.value,
                    .address = by.client_address};
  return write_audit(tx, entry, now);
}

constexpr statement user_of_login{"assinante_user_of_login", R"sql(
  SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2
)sql"};
constexpr statement user_of_email{"assinante_user_of_email", R"sql(
  SELECT user_id FROM subscribers WHERE email = $1
  UNION SELECT id FROM users WHERE email = $1
)sql"};
constexpr statement add_user{"assinante_add_user", R"sql(
  INSERT INTO users (id, email, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
)sql"};
constexpr statement add_login{"assinante_add_login", R"sql(
  INSERT INTO identities (user_id, issuer, subject, created_at) VALUES ($1, $2, $3, $4)
  ON CONFLICT (issuer, subject) DO NOTHING
)sql"};
constexpr statement rename_user{"assinante_rename_user", R"sql(
  UPDATE users SET name = coalesce($2, name), email = coalesce(email, $3), updated_at = $4
  WHERE id = $1 AND (name, email) IS DISTINCT FROM (coalesce($2, name), coalesce(email, $3))
)sql"};
constexpr statement upsert{"assinante_upsert_subscriber", R"sql(
  WITH present AS (SELECT user_id FROM subscribers WHERE user_id = $1)
  INSERT INTO subscribers AS p (user_id, email, phone, cpf, birth_date, address, avatar_url,
                                created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  ON CONFLICT (user_id) DO UPDATE SET email = coalesce($2, p.email), phone = coalesce($3, p.phone),
    cpf = coalesce($4, p.cpf), birth_date = coalesce($5, p.birth_date),
    address = coalesce($6, p.address), avatar_url = coalesce($7, p.avatar_url), updated_at = $9
  WHERE (p.email, p.phone, p.cpf, p.birth_date, p.address, p.avatar_url) IS DISTINCT FROM
    (coalesce($2, p.email), coalesce($3, p.phone), coalesce($4, p.cpf),
     coalesce($5, p.birth_date), coalesce($6, p.address), coalesce($7, p.avatar_url))
  RETURNING EXISTS (SELECT FROM present)
)sql"};

namespace {

/// The one user that all that is given leads to; empty: nobody yet.
result<user_id> user_of(transaction& tx, const subscriber& given, const login_at& login) {
  auto out = given.id;
  if (!login.subject.empty()) {
    auto rows = exec(tx, user_of_login, login.issuer, login.subject);
    if (!rows.empty()) {
      user_id found{text_of(rows[0][0])};
      if (!out.empty() && out != found)
        return fault{errc::conflict, "This login is another user's", "firebaseUid", {}};
      out = found;
    }
  }
  for (auto row : exec(tx, user_of_email, or_null(given.email))) {
    user_id found{text_of(row[0])};
    if (!out.empty() && out != found) return taken_email();
    out = found;
  }
  return out;
}

} // namespace

result<upserted_subscriber> upsert_subscriber(transaction& tx, const subscriber& given,
                                              const login_at& login, const user_id& fresh_id,
                                              time_point now) {
  auto known = user_of(tx, given, login);
  if (!known) return known.error();
  upserted_subscriber out{.who = known->empty() ? fresh_id : *known};
  std::int64_t changed = 0;
  auto written = refusing(
      {{"subscribers_email_key", "email", "Email already registered"},
       {"users_email_key", "email", "Email already registered"}},
      [&] {
        if (known->empty())
          exec(tx, add_user, out.who, or_null(given.email), given.name, now);
        else
          changed += static_cast<std::int64_t>(
              exec(tx, rename_user, out.who, or_null(given.name), or_null(given.email), now)
                  .affected_rows());
        if (!login.subject.empty())
          changed += static_cast<std::int64_t>(
              exec(tx, add_login, out.who, login.issuer, login.subject, now).affected_rows());
        auto rows = exec(tx, upsert, out.who, or_null(given.email), or_null(given.phone),
                         or_null(given.cpf), given.birth_date, or_null(given.address),
                         or_null(given.avatar_url), given.created_at, now);
        auto fresh = !rows.empty() && !truth_of(rows[0][0]);
        changed += static_cast<std::int64_t>(rows.size());
        out.what = fresh ? outcome::created : changed > 0 ? outcome::changed : outcome::unchanged;
      });
  if (!written) return written.error();
  if (out.what != outcome::unchanged) touch_subscriber(tx, out.who);
  return out;
}

} // namespace binnacle::persistence::assinante
