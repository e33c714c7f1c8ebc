#include "persistence/credits.hpp"

#include "config/credits.hpp"
#include "persistence/credits_rows.hpp"
#include "persistence/sql.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace binnacle::persistence {
namespace {

std::string_view name_of(credit_kind k) {
  static constexpr std::array<std::string_view, 6> names{"grant",  "use",        "expiry",
                                                         "refund", "revocation", "restoration"};
  return names[static_cast<std::size_t>(k)];
}

result<done> check(const std::string& source, std::int64_t tenths) {
  if (source.empty()) return bad_field("source", "The source is missing");
  if (tenths < 1 || tenths > most_tenths) return bad_field("tenths", "Not a possible amount");
  return done{};
}

fault said_otherwise(const credit_entry& before) {
  return {errc::conflict, "This was booked already, with other content", "source",
          std::string{name_of(before.kind)} + " " + before.source};
}

/// What an entry adds to a lot or, when negative, takes from it.
struct share {
  std::optional<credit_entry_id> lot{}; // none: the one that the entry opens
  std::int64_t tenths = 0;
};

std::int64_t sum_of(const std::vector<share>& shares) {
  std::int64_t out = 0;
  for (const auto& s : shares) out += s.tenths;
  return out;
}

/// An entry on its way into the ledger.
struct movement {
  credit_kind kind = credit_kind::grant;
  std::string source{};
  std::optional<credit_entry_id> use{};
  std::optional<time_point> expires_at{};
  time_point occurred_at{};
  std::vector<share> shares{};
};

} // namespace

constexpr statement hold_account{"hold_credit_account", R"sql(
  SELECT FROM credit_accounts WHERE user_id = $1 FOR NO KEY UPDATE
)sql"};
constexpr statement open_account{"open_credit_account", R"sql(
  INSERT INTO credit_accounts (user_id) SELECT id FROM users WHERE id = $1 ON CONFLICT DO NOTHING
)sql"};
constexpr statement entry_by_source{"credit_entry_by_source", "SELECT " ENTRY_COLUMNS R"sql(
  FROM credit_entries e WHERE e.user_id = $1 AND e.kind = $2 AND e.source = $3
)sql"};
// A checkout is granted once, whoever it was found to be for then.
constexpr statement grant_of_checkout{"credit_grant_of_checkout", "SELECT " ENTRY_COLUMNS R"sql(
  FROM credit_entries e WHERE e.kind = 'grant' AND e.source = $1 AND e.source LIKE 'checkout:%'
)sql"};
// The only statement that moves credits. The entry's tenths are the sum of its shares; the tables'
// checks refuse what would overdraw a lot or the account.
constexpr statement book_entry{"book_credit_entry", R"sql(
  WITH shares AS (
    SELECT * FROM unnest($8::bigint[], $9::bigint[]) AS s(lot_id, tenths)
  ), whole AS (
    SELECT coalesce(sum(tenths), 0) AS tenths FROM shares
  ), account AS (
    UPDATE credit_accounts SET balance = balance + (SELECT tenths FROM whole)
    WHERE user_id = $1
    RETURNING balance
  ), e AS (
    INSERT INTO credit_entries (user_id, kind, source, use_id, expires_at, occurred_at, created_at,
                                tenths, balance_after)
    SELECT $1, $2, $3, $4, $5, $6, $7, (SELECT tenths FROM whole), balance FROM account
    RETURNING *
  ), opened AS (
    INSERT INTO credit_lots (id, user_id, expires_at, remaining)
    SELECT e.id, e.user_id, coalesce(e.expires_at, 'infinity'), s.tenths
    FROM e, shares s WHERE s.lot_id IS NULL
  ), moved AS (
    UPDATE credit_lots l SET remaining = l.remaining + s.tenths
    FROM shares s WHERE l.id = s.lot_id
  ), allocated AS (
    INSERT INTO credit_allocations (entry_id, lot_id, tenths)
    SELECT e.id, coalesce(s.lot_id, e.id), s.tenths FROM e, shares s
  )
  SELECT )sql" ENTRY_COLUMNS " FROM e"};
constexpr statement expired_lots{"expired_credit_lots", R"sql(
  SELECT id, remaining, expires_at FROM credit_lots
  WHERE user_id = $1 AND remaining > 0 AND expires_at <= $2 ORDER BY expires_at, id
)sql"};
constexpr int lots_at_once = 20;
constexpr statement open_lots{"open_credit_lots", R"sql(
  SELECT id, remaining, expires_at FROM credit_lots
  WHERE user_id = $1 AND remaining > 0 AND (expires_at, id) > ($2, $3)
  ORDER BY expires_at, id LIMIT $4
)sql"};
// In the reverse of the order in which they were drawn from. A lot that is written off stays so,
// also for a node whose clock is behind.
constexpr statement lots_of_use{"credit_lots_of_use", R"sql(
  SELECT l.id, -s.tenths,
    l.expires_at > $3 AND NOT EXISTS (
      SELECT FROM credit_entries e
      WHERE e.user_id = $1 AND e.kind = 'expiry' AND e.source = 'lot:' || l.id)
  FROM credit_allocations s JOIN credit_lots l ON l.id = s.lot_id
  WHERE s.entry_id = $2 AND l.user_id = $1
  ORDER BY l.expires_at DESC, l.id DESC
)sql"};
constexpr statement left_of_grant{"left_of_grant", R"sql(
  SELECT remaining FROM credit_lots WHERE user_id = $1 AND id = $2
)sql"};
constexpr statement refunded_of_use{"refunded_of_use", R"sql(
  SELECT sum(tenths) FROM credit_entries WHERE use_id = $1
)sql"};

namespace {

/// A user's ledger, held: nobody else books in it until the transaction ends.
class held_ledger {
public:
  static result<held_ledger> hold(transaction& tx, const user_id& who, time_point now) {
    // Locking is a statement of its own: the next one sees what the previous holder committed.
    if (exec(tx, hold_account, who).empty()) {
      exec(tx, open_account, who);
      if (exec(tx, hold_account, who).empty()) return missing("User not found");
    }
    return held_ledger{tx, who, now};
  }

  std::optional<credit_entry> find(credit_kind kind, const std::string& source) {
    auto of_anybody = kind == credit_kind::grant && source.starts_with("checkout:");
    auto rows = of_anybody ? exec(tx_, grant_of_checkout, source)
                           : exec(tx_, entry_by_source, who_, name_of(kind), source);
    if (rows.empty()) return {};
    return entry_of(rows[0]);
  }

  credit_entry book(const movement& m) {
    array_param lots, tenths;
    for (const auto& s : m.shares) {
      s.lot ? lots.add(number(*s.lot)) : lots.add_null();
      tenths.add(s.tenths);
    }
    auto use = m.use ? param{number(*m.use)} : param{nullptr};
    auto rows = exec(tx_, book_entry, who_, name_of(m.kind), m.source, use, m.expires_at,
                     m.occurred_at, now_, lots, tenths);
    tx_.touch({topic::billing, who_});
    return entry_of(rows[0]);
  }

  /// Returns the number of lots written off.
  std::int64_t write_off_expired() {
    auto rows = exec(tx_, expired_lots, who_, now_);
    for (auto row : rows)
      book({.kind = credit_kind::expiry,
            .source = "lot:" + text_of(row[0]),
            .occurred_at = time_of(row[2]),
            .shares = {{credit_entry_id{integer_of(row[0])}, -integer_of(row[1])}}});
    return static_cast<std::int64_t>(rows.size());
  }

  /// From the lots that expire first, up to `tenths`; less when that is all there is.
  std::vector<share> draw(std::int64_t tenths) {
    std::vector<share> out;
    // The last lot seen; at first, the end of what expires by now.
    std::string expiry = param{now_}.text();
    auto id = std::numeric_limits<std::int64_t>::max();
    for (auto more = true; more && tenths > 0;) {
      auto rows = exec(tx_, open_lots, who_, expiry, id, lots_at_once);
      more = rows.size() == lots_at_once;
      for (auto row : rows) {
        id = integer_of(row[0]);
        expiry = text_of(row[2]);
        auto part = std::min(tenths, integer_of(row[1]));
        if (part > 0) out.push_back({credit_entry_id{id}, -part});
        tenths -= part;
      }
    }
    return out;
  }

  /// None: the grant is another user's.
  std::optional<std::int64_t> left_of(const credit_entry& grant) {
    auto rows = exec(tx_, left_of_grant, who_, number(grant.id));
    if (rows.empty()) return {};
    return integer_of(rows[0][0]);
  }

  std::int64_t refunded(const credit_entry& use) {
    return integer_of(exec(tx_, refunded_of_use, number(use.id))[0][0]);
  }

  /// Where `tenths` of a use go back to, when `before` of it have gone back already.
  std::vector<share> give_back(const credit_entry& use, std::int64_t before, std::int64_t tenths) {
    std::vector<share> out;
    share fresh;
    for (auto row : exec(tx_, lots_of_use, who_, number(use.id), now_)) {
      auto drawn = integer_of(row[1]);
      auto skipped = std::min(before, drawn);
      auto part = std::min(tenths, drawn - skipped);
      before -= skipped;
      tenths -= part;
      if (!truth_of(row[2]))
        fresh.tenths += part;
      else if (part > 0)
        out.push_back({credit_entry_id{integer_of(row[0])}, part});
    }
    if (fresh.tenths > 0) out.push_back(fresh);
    return out;
  }

private:
  held_ledger(transaction& tx, const user_id& who, time_point now)
      : tx_{tx}, who_{who}, now_{now} {}

  transaction& tx_;
  const user_id& who_;
  time_point now_;
};

} // namespace

result<booked_credits> grant_credits(transaction& tx, const user_id& who, const credit_grant& g,
                                     time_point now) {
  if (auto sound = check(g.source, g.tenths); !sound) return sound.error();
  auto ledger = held_ledger::hold(tx, who, now);
  if (!ledger) return ledger.error();
  auto expires_at = g.expires_at;
  if (expires_at) expires_at = std::chrono::floor<std::chrono::microseconds>(*expires_at);
  if (auto before = ledger->find(credit_kind::grant, g.source)) {
    if (before->tenths != g.tenths || before->expires_at != expires_at)
      return said_otherwise(*before);
    return booked_credits{*before, true};
  }

  ledger->write_off_expired();
  booked_credits out;
  auto booked = refusing(
      {{"credit_entries_one_per_checkout", "source", "This checkout is granted to another user"}},
      [&] {
        out.entry = ledger->book({.kind = credit_kind::grant,
                                  .source = g.source,
                                  .expires_at = expires_at,
                                  .occurred_at = g.occurred_at,
                                  .shares = {{.tenths = g.tenths}}});
      });
  if (!booked) return booked.error();
  return out;
}

result<booked_credits> use_credits(transaction& tx, const user_id& who, const std::string& source,
                                   std::int64_t tenths, time_point now) {
  if (auto sound = check(source, tenths); !sound) return sound.error();
  auto ledger = held_ledger::hold(tx, who, now);
  if (!ledger) return ledger.error();
  if (auto before = ledger->find(credit_kind::use, source)) {
    if (before->tenths != -tenths) return said_otherwise(*before);
    return booked_credits{*before, true};
  }

  ledger->write_off_expired();
  auto shares = ledger->draw(tenths);
  if (auto there = -sum_of(shares); there < tenths)
    return fault{errc::unprocessable,
                 "Insufficient credits: " + format_credits(there) + " are left, " +
                     format_credits(tenths) + " are needed",
                 {},
                 {}};
  return booked_credits{ledger->book({.kind = credit_kind::use,
                                      .source = source,
                                      .occurred_at = now,
                                      .shares = std::move(shares)})};
}

result<booked_credits> refund_use(transaction& tx, const user_id& who, const use_refund& r,
                                  time_point now) {
  if (auto sound = check(r.source, r.tenths.value_or(1)); !sound) return sound.error();
  auto ledger = held_ledger::hold(tx, who, now);
  if (!ledger) return ledger.error();
  auto use = ledger->find(credit_kind::use, r.use);
  if (!use) return missing("Use not found");
  if (auto before = ledger->find(credit_kind::refund, r.source)) {
    if (before->use != use->id || r.tenths.value_or(before->tenths) != before->tenths)
      return said_otherwise(*before);
    return booked_credits{*before, true};
  }

  ledger->write_off_expired();
  auto gone = ledger->refunded(*use);
  auto left = -use->tenths - gone;
  auto tenths = r.tenths.value_or(left);
  if (left == 0 || tenths > left)
    return fault{errc::conflict, "Only " + format_credits(left) + " of this use can be refunded",
                 "tenths", use->source};
  auto shares = ledger->give_back(*use, gone, tenths);
  auto opens_lot = !shares.back().lot;
  return booked_credits{ledger->book(
      {.kind = credit_kind::refund,
       .source = r.source,
       .use = use->id,
       .expires_at = opens_lot ? std::optional<time_point>{now + refund_grace} : std::nullopt,
       .occurred_at = now,
       .shares = std::move(shares)})};
}

result<booked_credits> revoke_grant(transaction& tx, const user_id& who, const grant_revocation& r,
                                    time_point now) {
  if (auto sound = check(r.source, r.tenths); !sound) return sound.error();
  auto ledger = held_ledger::hold(tx, who, now);
  if (!ledger) return ledger.error();
  auto grant = ledger->find(credit_kind::grant, r.grant);
  if (!grant || !ledger->left_of(*grant)) return missing("Grant not found");
  if (auto before = ledger->find(credit_kind::revocation, r.source)) {
    if (before->use != grant->id) return said_otherwise(*before);
    return booked_credits{*before, true};
  }

  ledger->write_off_expired();
  movement taken{
      .kind = credit_kind::revocation, .source = r.source, .use = grant->id, .occurred_at = now};
  if (auto tenths = std::min(r.tenths, *ledger->left_of(*grant)); tenths > 0)
    taken.shares.push_back({grant->id, -tenths});
  return booked_credits{ledger->book(taken)};
}

result<done> restore_grant(transaction& tx, const user_id& who, const std::string& source,
                           time_point now) {
  auto ledger = held_ledger::hold(tx, who, now);
  if (!ledger) return ledger.error();
  auto revoked = ledger->find(credit_kind::revocation, source);
  if (!revoked || revoked->tenths == 0) return done{};
  if (ledger->find(credit_kind::restoration, source)) return done{};

  ledger->write_off_expired();
  auto shares = ledger->give_back(*revoked, 0, -revoked->tenths);
  auto opens_lot = !shares.back().lot;
  ledger->book(
      {.kind = credit_kind::restoration,
       .source = source,
       .use = revoked->id,
       .expires_at = opens_lot ? std::optional<time_point>{now + refund_grace} : std::nullopt,
       .occurred_at = now,
       .shares = std::move(shares)});
  return done{};
}

constexpr statement holder_of_checkout{"holder_of_checkout", R"sql(
  SELECT user_id FROM credit_entries
  WHERE kind = 'grant' AND source = $1 AND source LIKE 'checkout:%'
)sql"};
result<user_id> checkout_holder(transaction& tx, const std::string& source) {
  auto rows = exec(tx, holder_of_checkout, source);
  return rows.empty() ? user_id{} : user_id{text_of(rows[0][0])};
}

// In the order of their ids, as all who lock several do.
constexpr statement accounts_due{"credit_accounts_due", R"sql(
  SELECT user_id FROM credit_accounts
  WHERE user_id IN (
    SELECT user_id FROM credit_lots WHERE remaining > 0 AND expires_at <= $1
    ORDER BY expires_at LIMIT $2)
  ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
)sql"};
result<std::int64_t> expire_credits(transaction& tx, time_point now, std::int64_t users) {
  std::int64_t lots = 0;
  for (auto row : exec(tx, accounts_due, now, users)) {
    user_id who{text_of(row[0])};
    auto ledger = held_ledger::hold(tx, who, now);
    if (!ledger) return ledger.error();
    lots += ledger->write_off_expired();
  }
  return lots;
}

} // namespace binnacle::persistence
