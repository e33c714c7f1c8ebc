/// Whatever is done to a ledger, in any order and any number of times: it is that of a plain model,
/// and its entries, allocations and lots agree.
#include "config/credits.hpp"
#include "persistence/credits.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <map>
#include <rapidcheck/gtest.h>
#include <utility>

namespace binnacle::persistence {

const auto start = *parse_iso("2025-03-01T00:00:00Z");

/// One call. `of` is the number of the use that a refund takes back, or of the grant that is
/// revoked; a restoration has its revocation's number; `expires_in` is of a grant.
struct action {
  enum kind { grant, use, refund, revoke, restore, sweep } what = grant;
  int number = 0;
  std::int64_t tenths = 0;
  int of = 0;
  std::optional<hours> expires_in{};
  hours later{0}; // since the call before
};

std::ostream& operator<<(std::ostream& to, const action& a) {
  static constexpr std::array names{"grant", "use", "refund", "revoke", "restore", "sweep"};
  return to << "after " << a.later.count() << "h: " << names[a.what] << " #" << a.number << " of "
            << a.tenths << " of #" << a.of
            << (a.expires_in ? " for " + std::to_string(a.expires_in->count()) + "h" : "");
}

} // namespace binnacle::persistence

namespace rc {
template <>
struct Arbitrary<binnacle::persistence::action> {
  // Few numbers, so that calls repeat each other; and grants about as large as all the uses.
  static Gen<binnacle::persistence::action> arbitrary() {
    using binnacle::persistence::action;
    return gen::map(gen::tuple(gen::element(action::grant, action::grant, action::use, action::use,
                                            action::use, action::refund, action::refund,
                                            action::revoke, action::restore, action::sweep),
                               gen::inRange(0, 6), gen::inRange<std::int64_t>(1, 12),
                               gen::inRange(0, 6), gen::inRange(0, 400),
                               gen::element(0, 0, 1, 24, 400)),
                    [](const auto& x) {
                      const auto& [what, number, tenths, of, lasts, later] = x;
                      action out{what, number, tenths, of, {}, binnacle::hours{later}};
                      if (what == action::grant && lasts > 40)
                        out.expires_in = binnacle::hours{lasts};
                      return out;
                    });
  }
};
} // namespace rc

namespace binnacle::persistence {
namespace {

/// The rules of the ledger, in the plainest form: lots as a list, and a bit per tenth for uses.
struct model {
  struct lot {
    std::optional<time_point> expires_at{};
    std::int64_t remaining = 0;
    bool lives(time_point now) const { return !expires_at || *expires_at > now; }
  };
  struct given {
    std::int64_t tenths = 0;
    std::optional<time_point> expires_at{};
  };
  struct drawn {
    std::int64_t tenths = 0;
    std::vector<std::size_t> lots{}; // the lot of every tenth not refunded yet, as drawn
  };
  struct revoked {
    int grant = 0;
    std::int64_t tenths = 0;
    bool restored = false;
  };
  std::vector<lot> lots{};
  std::map<int, given> grants{};
  std::map<int, std::size_t> grant_lots{};
  std::map<int, revoked> revocations{};
  std::map<int, drawn> uses{};
  std::map<int, std::pair<int, std::int64_t>> refunds{}; // of which use, and how much

  std::int64_t balance(time_point now) const {
    std::int64_t out = 0;
    for (const auto& l : lots)
      if (l.lives(now)) out += l.remaining;
    return out;
  }

  errc apply(const action& a, time_point now) {
    switch (a.what) {
    case action::grant:
      return grant(a, now);
    case action::use:
      return use(a, now);
    case action::refund:
      return refund(a, now);
    case action::revoke:
      return revoke(a, now);
    case action::restore:
      restore(a, now);
      break;
    case action::sweep:
      break;
    }
    return errc::none;
  }

  errc revoke(const action& a, time_point now) {
    auto of = grant_lots.find(a.of);
    if (of == grant_lots.end()) return errc::not_found;
    if (auto at = revocations.find(a.number); at != revocations.end())
      return at->second.grant == a.of ? errc::none : errc::conflict;
    auto& from = lots[of->second];
    auto tenths = from.lives(now) ? std::min(a.tenths, from.remaining) : 0;
    from.remaining -= tenths;
    revocations[a.number] = {a.of, tenths};
    return errc::none;
  }

  void restore(const action& a, time_point now) {
    auto at = revocations.find(a.number);
    if (at == revocations.end() || std::exchange(at->second.restored, true)) return;
    auto& to = lots[grant_lots[at->second.grant]];
    if (to.lives(now))
      to.remaining += at->second.tenths;
    else
      lots.push_back({now + refund_grace, at->second.tenths});
  }

  errc grant(const action& a, time_point now) {
    auto expires_at = a.expires_in ? std::optional{now + *a.expires_in} : std::nullopt;
    if (auto at = grants.find(a.number); at != grants.end())
      return at->second.tenths == a.tenths && at->second.expires_at == expires_at ? errc::none
                                                                                  : errc::conflict;
    grants[a.number] = {a.tenths, expires_at};
    grant_lots[a.number] = lots.size();
    lots.push_back({expires_at, a.tenths});
    return errc::none;
  }

  errc use(const action& a, time_point now) {
    if (auto at = uses.find(a.number); at != uses.end())
      return at->second.tenths == a.tenths ? errc::none : errc::conflict;
    if (balance(now) < a.tenths) return errc::unprocessable;
    auto& u = uses[a.number];
    u.tenths = a.tenths;
    for (std::int64_t n = 0; n < a.tenths; ++n) {
      std::size_t next = lots.size();
      for (std::size_t i = 0; i < lots.size(); ++i) {
        if (!lots[i].lives(now) || lots[i].remaining == 0) continue;
        auto ends = [&](std::size_t l) { return lots[l].expires_at.value_or(time_point::max()); };
        if (next == lots.size() || ends(i) < ends(next)) next = i;
      }
      --lots[next].remaining;
      u.lots.push_back(next);
    }
    return errc::none;
  }

  errc refund(const action& a, time_point now) {
    auto u = uses.find(a.of);
    if (u == uses.end()) return errc::not_found;
    if (auto at = refunds.find(a.number); at != refunds.end())
      return at->second == std::pair{a.of, a.tenths} ? errc::none : errc::conflict;
    auto& left = u->second.lots;
    if (static_cast<std::int64_t>(left.size()) < a.tenths) return errc::conflict;
    refunds[a.number] = {a.of, a.tenths};
    lot fresh{now + refund_grace, 0};
    for (std::int64_t n = 0; n < a.tenths; ++n) {
      auto& from = lots[left.back()];
      ++(from.lives(now) ? from : fresh).remaining;
      left.pop_back();
    }
    if (fresh.remaining > 0) lots.push_back(fresh);
    return errc::none;
  }
};

/// A user of its own for every case.
class world {
public:
  world() {
    static test_database where;
    static auto shared = where.connect();
    static int count = 0;
    where_ = &where;
    db_ = &shared;
    who_ = {"usr_" + std::to_string(++count)};
    must(writing(
        *db_, [&](transaction& tx) { return insert_user(tx, {.id = who_, .created_at = start}); }));
  }

  errc apply(const action& a, time_point now) {
    auto name = [](const char* prefix, int n) { return prefix + std::to_string(n); };
    auto code = [](const auto& r) { return r ? errc::none : r.error().code; };
    switch (a.what) {
    case action::grant: {
      credit_grant g{name("grant:", a.number), a.tenths, {}, now};
      if (a.expires_in) g.expires_at = now + *a.expires_in;
      return code(writing(*db_, [&](transaction& tx) { return grant_credits(tx, who_, g, now); }));
    }
    case action::use:
      return code(writing(*db_, [&](transaction& tx) {
        return use_credits(tx, who_, name("use:", a.number), a.tenths, now);
      }));
    case action::refund:
      return code(writing(*db_, [&](transaction& tx) {
        return refund_use(tx, who_, {name("use:", a.of), name("refund:", a.number), a.tenths}, now);
      }));
    case action::revoke:
      return code(writing(*db_, [&](transaction& tx) {
        return revoke_grant(tx, who_,
                            {name("grant:", a.of), name("revocation:", a.number), a.tenths}, now);
      }));
    case action::restore:
      return code(writing(*db_, [&](transaction& tx) {
        return restore_grant(tx, who_, name("revocation:", a.number), now);
      }));
    case action::sweep:
      break;
    }
    return code(writing(*db_, [&](transaction& tx) { return expire_credits(tx, now, 1000); }));
  }

  std::int64_t balance(time_point now) {
    return must(reading(*db_, [&](transaction& tx) { return credit_balance(tx, who_, now); }));
  }
  std::vector<credit_entry> entries() {
    return must(
        reading(*db_, [&](transaction& tx) { return credit_entries_of(tx, who_, {}, 10'000); }));
  }
  /// What holds in every ledger.
  void check() {
    auto differences =
        must(reading(*db_, [&](transaction& tx) { return verify_ledger(tx, who_); }));
    RC_ASSERT(differences == std::vector<std::string>{});

    auto all = entries();
    std::int64_t sum = 0;
    for (auto e = all.rbegin(); e != all.rend(); ++e) {
      sum += e->tenths;
      RC_ASSERT(sum >= 0);
      RC_ASSERT(e->balance_after == sum);
      if (e->kind != credit_kind::use) continue;
      auto paid =
          must(reading(*db_, [&](transaction& tx) { return explain_use(tx, who_, e->id); }));
      std::int64_t total = 0;
      for (const auto& p : paid) total += p.tenths;
      RC_ASSERT(total == -e->tenths);
    }
    RC_ASSERT(where_->query("SELECT count(*) FROM credit_lots l JOIN credit_entries e USING (id) "
                            "WHERE l.user_id = '" +
                            who_.value + "' AND l.remaining > e.tenths") == "0");
  }

private:
  const test_database* where_ = nullptr;
  database* db_ = nullptr;
  user_id who_{};
};

RC_GTEST_PROP(ALedgerOfAnything, IsThatOfTheModel, (const std::vector<action>& actions)) {
  world w;
  model expected;
  auto now = start;

  for (const auto& a : actions) {
    now += a.later;
    RC_ASSERT(w.apply(a, now) == expected.apply(a, now));
    RC_ASSERT(w.balance(now) == expected.balance(now));
  }

  w.check();
}

/// Calls that were lost, delayed and sent again, as webhooks and jobs do: what counts is which
/// arrived first; the others change nothing.
RC_GTEST_PROP(ALedgerOfAnything, IsChangedByNoRepetition, (const std::vector<action>& actions)) {
  world w;
  auto now = start;
  std::vector<std::pair<action, time_point>> booked;
  for (const auto& a : actions) {
    now += a.later;
    auto there = w.entries().size();
    auto repeats = w.apply(a, now) == errc::none;
    // A restoration before its revocation is none.
    if (a.what == action::restore && w.entries().size() == there) repeats = false;
    if (repeats) booked.push_back({a, now});
  }
  auto before = w.entries();

  for (std::size_t i = booked.size(); i > 1; --i)
    std::swap(booked[i - 1], booked[*rc::gen::inRange<std::size_t>(0, i)]);
  for (const auto& [a, at] : booked) RC_ASSERT(w.apply(a, at) == errc::none);

  RC_ASSERT(w.entries() == before);
  w.check();
}

} // namespace
} // namespace binnacle::persistence
