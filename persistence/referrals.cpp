#include "persistence/referrals.hpp"

#include "config/credits.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/credits.hpp"
#include "persistence/hub_news.hpp"
#include "persistence/sql.hpp"
#include "persistence/users.hpp"

namespace binnacle::persistence {

constexpr statement code_of_user{"referral_code_of", R"sql(
  SELECT referral_code FROM referral_profiles WHERE user_id = $1
)sql"};
constexpr statement referral_counts{"referral_counts", R"sql(
  SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'verified'),
    count(*) FILTER (WHERE status = 'paid'), count(*) FILTER (WHERE status = 'cancelled'),
    count(*), sum(awarded_tenths)
  FROM referral_events WHERE owner_user_id = $1
)sql"};
constexpr statement newest_referrals{"newest_referrals", R"sql(
  SELECT id, status, awarded_tenths, occurred_at FROM referral_events WHERE owner_user_id = $1
  ORDER BY occurred_at DESC, created_at DESC, id LIMIT 5
)sql"};
result<referral_summary> summarise_referrals(transaction& tx, const user_id& who) {
  referral_summary out;
  auto code = exec(tx, code_of_user, who);
  if (code.empty()) return out;
  out.code = text_of(code[0][0]);
  auto counts = exec(tx, referral_counts, who)[0];
  out.pending = integer_of(counts[0]);
  out.verified = integer_of(counts[1]);
  out.paid = integer_of(counts[2]);
  out.cancelled = integer_of(counts[3]);
  out.total = integer_of(counts[4]);
  out.tenths = integer_of(counts[5]);
  for (auto row : exec(tx, newest_referrals, who))
    out.newest.push_back({.id = text_of(row[0]),
                          .status = text_of(row[1]),
                          .tenths = integer_of(row[2]),
                          .occurred_at = time_of(row[3])});
  return out;
}

// Waits for another who is inserting the same user or the same code.
constexpr statement add_profile{"add_referral_profile", R"sql(
  INSERT INTO referral_profiles (user_id, referral_code, created_at)
  SELECT id, $2, $3 FROM users WHERE id = $1
  ON CONFLICT DO NOTHING
)sql"};
result<std::string> ensure_referral_code(transaction& tx, const user_id& who,
                                         const std::vector<std::string>& candidates,
                                         time_point now) {
  for (const auto& candidate : candidates) {
    exec(tx, add_profile, who, candidate, now);
    // A statement of its own: it sees what was committed while we waited.
    if (auto rows = exec(tx, code_of_user, who); !rows.empty()) return text_of(rows[0][0]);
  }
  auto known = find_user(tx, who);
  if (!known) return known.error();
  if (!*known) return missing("User not found");
  return fault{errc::conflict, "No referral code is free", {}, {}};
}

constexpr statement owner_of_code{"owner_of_referral_code", R"sql(
  SELECT user_id, referral_code FROM referral_profiles WHERE referral_code = lower($1)
)sql"};
constexpr statement code_of_referred{"code_of_referred", R"sql(
  SELECT referral_code FROM referral_events WHERE referred_user_id = $1
)sql"};
constexpr statement is_new_customer{"is_new_customer", R"sql(
  SELECT u.created_at > $2
    AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.user_id = u.id
                    AND s.status NOT IN ('incomplete', 'incomplete_expired', 'trialing'))
    AND NOT EXISTS (SELECT FROM credit_entries e WHERE e.user_id = u.id
                    AND e.kind = 'grant' AND e.source LIKE 'checkout:%')
  FROM users u WHERE u.id = $1
)sql"};
constexpr statement add_referral{"record_referral", R"sql(
  INSERT INTO referral_events (id, owner_user_id, referral_code, referred_user_id,
                               occurred_at, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $5, $5)
)sql"};
result<bool> record_referral(transaction& tx, const user_id& referred, const std::string& code,
                             time_point now) {
  auto owners = exec(tx, owner_of_code, code);
  if (owners.empty()) return missing("Unknown referral code");
  user_id owner{text_of(owners[0][0])};
  auto known_code = text_of(owners[0][1]);
  // A payment at the same time either sees the referral or is seen here.
  if (auto held = hold_account(tx, referred); !held) return held.error();
  if (auto before = exec(tx, code_of_referred, referred); !before.empty()) {
    if (text_of(before[0][0]) == known_code) return false;
    return fault{errc::conflict, "Another referral came first", "ref", {}};
  }
  if (owner == referred) return fault{errc::conflict, "This is your own referral code", "ref", {}};
  if (!truth_of(exec(tx, is_new_customer, referred, now - referral_window)[0][0]))
    return fault{errc::conflict, "Only new customers can be referred", "ref", {}};
  exec(tx, add_referral, "ref_" + make_ulid(now), owner, known_code, referred, now);
  return true;
}

// Two payments of one referral, also of a user who is gone, wait for each other.
constexpr statement hold_referral{"hold_referral", R"sql(
  SELECT FROM referral_events WHERE id = $1 FOR UPDATE
)sql"};
constexpr statement standing{"standing_of_referral", R"sql(
  SELECT r.owner_user_id, r.status, r.cancellations,
    EXISTS (SELECT FROM referral_payments p WHERE p.referral_id = r.id AND NOT p.returned),
    (SELECT sum(e.tenths) FROM credit_entries e
     WHERE e.user_id = r.owner_user_id AND e.kind = 'grant' AND e.source = 'referral:' || r.id)
  FROM referral_events r WHERE r.id = $1
)sql"};
constexpr statement set_referral{"set_referral", R"sql(
  UPDATE referral_events
  SET status = $2, awarded_tenths = $3, cancellations = $4, updated_at = $5
  WHERE id = $1
)sql"};

namespace {

/// A referral and its reward as its payments want them.
result<done> settle(transaction& tx, const std::string& id, std::int64_t tenths, time_point now) {
  exec(tx, hold_referral, id);
  auto row = exec(tx, standing, id)[0];
  user_id owner{text_of(row[0])};
  auto status = text_of(row[1]);
  auto cancellations = integer_of(row[2]);
  auto stands = truth_of(row[3]);
  auto granted = integer_of(row[4]);
  auto source = "referral:" + id;
  auto nth = [&](std::int64_t n) { return source + ":" + std::to_string(n); };

  if (stands && status == "cancelled") {
    exec(tx, set_referral, id, "verified", granted, cancellations, now);
    return restore_grant(tx, owner, nth(cancellations), now);
  }
  if (stands && status == "pending" && tenths > 0) {
    exec(tx, set_referral, id, "verified", tenths, cancellations, now);
    credit_grant reward{
        .source = source, .tenths = tenths, .expires_at = pack_expiry(now), .occurred_at = now};
    if (auto booked = grant_credits(tx, owner, reward, now); !booked) return booked.error();
    return notify_user(tx, owner,
                       {.source = source,
                        .type = "referral",
                        .title = "Referral verified",
                        .message = "Somebody you referred has paid: you were granted " +
                                   format_credits(tenths) + " credits"},
                       now);
  }
  if (!stands && status == "verified") {
    ++cancellations;
    exec(tx, set_referral, id, "cancelled", 0, cancellations, now);
    grant_revocation taken{source, nth(cancellations), granted};
    if (auto booked = revoke_grant(tx, owner, taken, now); !booked) return booked.error();
    return notify_user(tx, owner,
                       {.source = nth(cancellations),
                        .type = "referral",
                        .title = "Referral cancelled",
                        .message = "Somebody you referred was paid back: what is left of the "
                                   "credits you were granted was taken back"},
                       now);
  }
  return done{};
}

} // namespace

constexpr statement referral_of{"referral_of_user", R"sql(
  SELECT id FROM referral_events WHERE referred_user_id = $1
)sql"};
// Told again, it stays what has become of it since.
constexpr statement note_payment{"note_referral_payment", R"sql(
  INSERT INTO referral_payments (referral_id, source) VALUES ($1, $2) ON CONFLICT DO NOTHING
)sql"};
result<done> reward_referral(transaction& tx, const user_id& referred, const std::string& payment,
                             std::int64_t tenths, time_point now) {
  if (auto held = hold_account(tx, referred); !held) return held;
  auto rows = exec(tx, referral_of, referred);
  if (rows.empty()) return done{};
  auto id = text_of(rows[0][0]);
  exec(tx, note_payment, id, payment);
  return settle(tx, id, tenths, now);
}

constexpr statement return_payment{"return_referral_payment", R"sql(
  UPDATE referral_payments SET returned = $2 WHERE source = $1 AND returned <> $2
  RETURNING referral_id
)sql"};
result<done> reconsider_referral(transaction& tx, const std::string& payment, bool returned,
                                 time_point now) {
  for (auto row : exec(tx, return_payment, payment, returned))
    if (auto settled = settle(tx, text_of(row[0]), 0, now); !settled) return settled;
  return done{};
}

} // namespace binnacle::persistence
