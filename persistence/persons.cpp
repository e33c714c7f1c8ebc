#include "persistence/persons.hpp"

#include "persistence/sql.hpp"

#include <array>

namespace binnacle::persistence {
namespace {

/// Scans whole tables; nobody waits for it.
constexpr std::chrono::minutes as_long_as_it_takes{10};

param ids_of(const std::vector<user_id>& who) {
  array_param out;
  for (const auto& each : who) out.add(std::string_view{each.value});
  return out;
}

} // namespace

constexpr statement users_with{"users_of_person", R"sql(
  SELECT id FROM users WHERE email = $1
  UNION SELECT user_id FROM subscribers WHERE email = $1
  ORDER BY 1
)sql"};
result<std::vector<user_id>> users_of_person(transaction& tx, const std::string& email) {
  std::vector<user_id> out;
  for (auto row : exec(tx, users_with, email)) out.push_back({text_of(row[0])});
  return out;
}

// Customers are known to Stripe by name, address and number; its events repeat them.
#define EVENTS_ABOUT                                                                               \
  "EXISTS (SELECT FROM (SELECT customer_id FROM stripe_customers WHERE user_id = ANY "             \
  "($1::text[]) "                                                                                  \
  "UNION ALL SELECT customer_id FROM former_stripe_customers WHERE user_id = ANY ($1::text[])) c " \
  "WHERE position('\"' || c.customer_id || '\"' IN e.payload) > 0)"

constexpr statement rows_about{"export_person", R"sql(
  SELECT jsonb_pretty(rows_about_person($1::text[], $2)
    || coalesce((SELECT jsonb_build_object('stripe_events', jsonb_agg(to_jsonb(e)))
                 FROM stripe_events e WHERE )sql" EVENTS_ABOUT R"sql( HAVING count(*) > 0), '{}'))
)sql"};
result<std::string> export_person(transaction& tx, const std::string& email) {
  allow(tx, as_long_as_it_takes);
  auto who = users_of_person(tx, email);
  if (!who) return who.error();
  return text_of(exec(tx, rows_about, ids_of(*who), email)[0][0]);
}

// What tells of a person when it stands in a text.
constexpr statement traces{"traces_of_person", R"sql(
  SELECT array_agg(DISTINCT lower(trace)) FROM (
    SELECT $2 AS trace
    UNION SELECT unnest(ARRAY[u.email, u.username, u.name, p.email, p.phone, p.cpf,
                              a.hopsworks_username])
    FROM users u
    LEFT JOIN subscribers p ON p.user_id = u.id
    LEFT JOIN user_hopsworks_assignments a ON a.user_id = u.id
    WHERE u.id = ANY ($1::text[])) t
  WHERE length(trace) > 2
)sql"};

namespace {

/// Of the rows about $1, the users.
constexpr std::array by_user{
    statement{"erase_identities", "DELETE FROM identities WHERE user_id = ANY ($1::text[])"},
    statement{"erase_sessions", "DELETE FROM sessions WHERE user_id = ANY ($1::text[])"},
    statement{"erase_refresh_tokens",
              "DELETE FROM refresh_tokens WHERE user_id = ANY ($1::text[])"},
    statement{"erase_hub_tasks", "DELETE FROM hub_tasks WHERE user_id = ANY ($1::text[])"},
    statement{"erase_hub_projects", "DELETE FROM hub_projects WHERE user_id = ANY ($1::text[])"},
    statement{"erase_hub_notifications",
              "DELETE FROM hub_notifications WHERE user_id = ANY ($1::text[])"},
    statement{"erase_roles", "DELETE FROM project_member_roles WHERE member_id = ANY ($1::text[])"},
    statement{"erase_health", "DELETE FROM health_check_failures WHERE user_id = ANY ($1::text[])"},
    statement{"erase_open_invites",
              "DELETE FROM team_invites WHERE account_owner_id = ANY ($1::text[]) "
              "AND accepted_at IS NULL"},
    statement{"erase_kept_answers",
              "DELETE FROM idempotency_keys k USING unnest($1::text[]) AS who "
              "WHERE k.scope = 'user:' || who"},
    statement{"erase_project_users", "DELETE FROM project_users WHERE user_id = ANY ($1::text[])"},
    statement{"erase_project_keys", "DELETE FROM project_api_keys k USING developer_projects p "
                                    "WHERE p.id = k.project_id AND p.owner_id = ANY ($1::text[])"},
    statement{"erase_hopsworks_names",
              "UPDATE user_hopsworks_assignments SET hopsworks_username = '' "
              "WHERE user_id = ANY ($1::text[])"},
    statement{"erase_order_addresses",
              "UPDATE assinante_orders SET shipping_address = NULL, tracking_code = NULL "
              "WHERE user_id = ANY ($1::text[])"},
    statement{"erase_history", "UPDATE assinante_history SET old_value = NULL, new_value = NULL, "
                               "client_address = '', user_agent = '' "
                               "WHERE user_id = ANY ($1::text[])"},
    statement{"erase_consent_origins",
              "UPDATE consent_log SET client_address = '', user_agent = '' "
              "WHERE user_id = ANY ($1::text[])"},
    statement{"erase_stripe_events", "UPDATE stripe_events e SET payload = NULL "
                                     "WHERE e.state = 'applied' AND " EVENTS_ABOUT},
};

/// Of the rows about $1, the users, at $2.
constexpr std::array by_user_at{
    statement{"erase_subscriptions", R"sql(
      UPDATE assinante_subscriptions SET shipping_address = NULL, payment_method_last4 = NULL,
        updated_at = $2, status = CASE
          WHEN status IN ('cancelled', 'expired', 'refunded') THEN status ELSE 'cancelled' END
      WHERE user_id = ANY ($1::text[])
    )sql"},
    statement{"erase_developer_projects", R"sql(
      UPDATE developer_projects SET name = 'erased', description = NULL, allowed_origins = '{}',
        updated_at = $2, deleted_at = coalesce(deleted_at, $2)
      WHERE owner_id = ANY ($1::text[])
    )sql"},
    statement{"erase_subscribers", R"sql(
      UPDATE subscribers SET email = NULL, phone = NULL, cpf = NULL, birth_date = NULL,
        address = NULL, avatar_url = NULL, updated_at = $2, erased_at = $2
      WHERE user_id = ANY ($1::text[])
    )sql"},
    statement{"erase_users", R"sql(
      UPDATE users SET username = NULL, email = NULL, email_claimed = false, name = '', password_hash = NULL,
        session_version = session_version + 1, is_admin = false, status = 'deleted', image = NULL,
        registration_ip = '', metadata = '{}', updated_at = $2
      WHERE id = ANY ($1::text[])
    )sql"},
};

/// Of the rows about $1, the address.
constexpr std::array by_email{
    statement{"erase_newsletter_requests", "DELETE FROM newsletter_requests WHERE email = $1"},
    statement{"erase_newsletter", "DELETE FROM newsletter_subscribers WHERE email = $1"},
    statement{"erase_invites", "DELETE FROM team_invites WHERE email = $1"},
    statement{"erase_project_emails", "DELETE FROM project_users WHERE email = $1"},
    statement{"erase_mails", "DELETE FROM mail_outbox WHERE recipient = $1"},
    statement{"erase_health_emails", "DELETE FROM health_check_failures WHERE email = $1"},
    statement{"erase_assigners",
              "UPDATE user_hopsworks_assignments SET assigned_by = '' WHERE assigned_by = $1"},
    statement{"erase_role_givers",
              "UPDATE project_member_roles SET added_by = '' WHERE added_by = $1"},
};

/// Texts in which $1, the traces, stand; $2 are the users.
constexpr std::array in_texts{
    statement{"erase_from_audit_log", R"sql(
      UPDATE audit_log l SET address = CASE WHEN actor = ANY ($2::text[]) THEN '' ELSE address END,
        detail = CASE WHEN told THEN '{"erased": true}' ELSE detail END,
        target = CASE WHEN lower(target) = ANY ($1::text[]) THEN 'erased' ELSE target END
      FROM (SELECT id AS of, EXISTS (SELECT FROM unnest($1::text[]) AS trace
                                     WHERE position('"' || trace || '"' IN lower(detail::text)) > 0
                                       OR (trace LIKE '%@%'
                                           AND position(trace IN lower(detail::text)) > 0)) AS told
            FROM audit_log) found
      WHERE found.of = l.id
        AND (told OR actor = ANY ($2::text[]) OR lower(target) = ANY ($1::text[]))
    )sql"},
    // One that is still to be applied keeps its meaning without the address.
    statement{"erase_from_stripe_events", R"sql(
      UPDATE stripe_events SET
        payload = CASE WHEN state = 'applied' THEN NULL
                       ELSE regexp_replace(payload, told, 'erased@erased.invalid', 'gi') END,
        awaited_email = CASE WHEN awaited_email = ANY ($1::text[]) THEN 'erased@erased.invalid'
                             ELSE awaited_email END,
        last_error = regexp_replace(last_error, told, '…', 'gi')
      FROM (SELECT string_agg(regexp_replace(trace, '([^a-z0-9@])', '\\\1', 'g'), '|') AS told
            FROM unnest($1::text[]) AS trace WHERE trace LIKE '%@%' AND $2::text[] IS NOT NULL) t
      WHERE payload ~* told OR awaited_email ~* told OR last_error ~* told
    )sql"},
    statement{"erase_from_subjects", R"sql(
      UPDATE mail_outbox SET subject = '…'
      WHERE $2::text[] IS NOT NULL
        AND EXISTS (SELECT FROM unnest($1::text[]) AS trace
                    WHERE position(trace IN lower(subject)) > 0)
    )sql"},
};

} // namespace

constexpr statement may_change_log{"allow_erasure",
                                   "SELECT set_config('binnacle.erasing', 'on', true)"};
constexpr statement unwant_pictures{"erase_pictures", R"sql(
  INSERT INTO unwanted_objects (bucket, key, due_at)
  SELECT $2, substr(image, length('/r2/') + 1), $3 FROM users
  WHERE id = ANY ($1::text[]) AND image LIKE '/r2/%'
  ON CONFLICT DO NOTHING
)sql"};
result<std::vector<user_id>> erase_person(transaction& tx, const std::string& email,
                                          const std::string& pictures, time_point now) {
  allow(tx, as_long_as_it_takes);
  auto who = users_of_person(tx, email);
  if (!who) return who;
  auto ids = ids_of(*who);
  exec(tx, may_change_log);
  auto found = exec(tx, traces, ids, email); // before they are gone
  auto told = text_of(found[0][0]);
  for (const auto& each : in_texts) exec(tx, each, told, ids);
  for (const auto& each : by_email) exec(tx, each, email);
  if (who->empty()) return who;
  exec(tx, unwant_pictures, ids, pictures, now);
  for (const auto& each : by_user) exec(tx, each, ids);
  for (const auto& each : by_user_at) exec(tx, each, ids, now);
  for (const auto& each : *who)
    for (const auto& change : everything_of(each)) tx.touch(change);
  return who;
}

} // namespace binnacle::persistence
