#include "actors/roster.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <rapidcheck.h>

namespace binnacle {
namespace {

using persistence::project_user;
using persistence::project_user_changes;

const time_point dawn = *parse_iso("2026-01-01T00:00:00Z");

project_user person(std::uint64_t number, std::string email, std::optional<int> login_second = {}) {
  project_user out;
  out.id.value = make_ulid(dawn).substr(0, 10) + "0000000000000000";
  for (auto c = out.id.value.rbegin(); number > 0; ++c, number /= 32)
    *c = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number % 32];
  out.email = std::move(email);
  out.created_at = dawn;
  if (login_second) {
    out.last_login_at = dawn + seconds{*login_second};
    out.last_auth_provider = "email";
    out.login_count = 7;
  }
  return out;
}

/// What a roster must show, by the simplest means.
struct plain_roster {
  std::map<std::string, project_user> users{}; // by id, without who is blocked

  std::vector<project_user> ordered(const std::string& contains = "") const {
    std::vector<project_user> out;
    for (const auto& [id, u] : users)
      if (u.email.find(contains) != std::string::npos) out.push_back(u);
    std::ranges::stable_sort(out, [](const auto& a, const auto& b) {
      return a.last_login_at > b.last_login_at; // none is less than any
    });
    return out;
  }
};

std::vector<std::string> emails(const std::vector<project_user>& users) {
  std::vector<std::string> out;
  for (const auto& u : users) out.push_back(u.email);
  return out;
}

roster roster_of(const plain_roster& plain) {
  roster out;
  for (const auto& u : plain.ordered()) out.append(u);
  out.ready(1);
  return out;
}

std::vector<std::string> all(const roster& r, const std::string& contains = "",
                             std::int64_t limit = 7) {
  std::vector<std::string> out;
  auto view = r.view();
  for (std::int64_t skip = 0;; skip += limit) {
    auto page = view->look({.contains = contains, .skip = skip, .limit = limit});
    EXPECT_EQ(page.before, std::min(skip, page.total));
    if (page.users.empty()) {
      EXPECT_EQ(static_cast<std::int64_t>(out.size()), page.total);
      return out;
    }
    for (const auto& u : page.users) out.push_back(u.email);
  }
}

std::string some_address() {
  // Few letters, so that terms are found often, across blocks and at the ends of addresses.
  auto text = *rc::gen::nonEmpty(
      rc::gen::container<std::string>(rc::gen::elementOf(std::string{"ab_%\\"})));
  return text.substr(0, 30) + "@x." + *rc::gen::element<std::string>("org", "com");
}

project_user some_user(std::uint64_t number) {
  auto logged_in = *rc::gen::arbitrary<bool>();
  auto second = *rc::gen::inRange(0, 20);
  return person(number, some_address(), logged_in ? std::optional{second} : std::nullopt);
}

TEST(Roster, IsEmptyAtFirst) {
  roster r;
  r.ready(3);

  EXPECT_EQ(r.as_of(), 3U);
  EXPECT_EQ(r.view()->look({}).total, 0);
  EXPECT_TRUE(all(r, "x").empty());
}

TEST(Roster, GivesBackWhatItWasGiven) {
  plain_roster plain;
  auto ann = person(1, "ann@x.org", 5);
  plain.users[ann.id.value] = ann;

  auto seen = roster_of(plain).view()->look({}).users.at(0);

  EXPECT_EQ(seen.id, ann.id);
  EXPECT_EQ(seen.email, ann.email);
  EXPECT_EQ(seen.last_auth_provider, "email");
  EXPECT_EQ(seen.login_count, 7);
  EXPECT_EQ(seen.created_at, dawn);
  EXPECT_EQ(seen.last_login_at, dawn + seconds{5});
}

TEST(Roster, FindsTermsLiterally) {
  plain_roster plain;
  for (auto email : {"a_b@x.org", "acb@x.org", "a%b@x.org", "a\\b@x.org"}) {
    auto u = person(plain.users.size() + 1, email);
    plain.users[u.id.value] = u;
  }
  auto r = roster_of(plain);

  EXPECT_EQ(all(r, "a_b"), std::vector<std::string>{"a_b@x.org"});
  EXPECT_EQ(all(r, "a%b"), std::vector<std::string>{"a%b@x.org"});
  EXPECT_EQ(all(r, "a\\b"), std::vector<std::string>{"a\\b@x.org"});
  EXPECT_TRUE(all(r, "%").size() == 1 && all(r, "_").size() == 1);
  EXPECT_TRUE(all(r, "org\nacb").empty()); // addresses are not run together
}

TEST(Roster, ShowsPagesThatAreTogetherWhatThereIs) {
  EXPECT_TRUE(rc::check([] {
    plain_roster plain;
    auto count = *rc::gen::inRange<std::uint64_t>(0, 40);
    for (std::uint64_t i = 1; i <= count; ++i) {
      auto u = some_user(i);
      plain.users[u.id.value] = u;
    }
    auto r = roster_of(plain);
    auto term = some_address().substr(0, *rc::gen::inRange<std::size_t>(0, 6));
    auto limit = *rc::gen::inRange<std::int64_t>(1, 9);

    RC_ASSERT(all(r, "", limit) == emails(plain.ordered()));
    RC_ASSERT(all(r, term, limit) == emails(plain.ordered(term)));
  }));
}

TEST(Roster, FollowsChangesWhateverTheyAre) {
  EXPECT_TRUE(rc::check([] {
    plain_roster plain;
    std::uint64_t count = *rc::gen::inRange<std::uint64_t>(0, 30);
    for (std::uint64_t i = 1; i <= count; ++i) {
      auto u = some_user(i);
      plain.users[u.id.value] = u;
    }
    auto r = roster_of(plain);
    for (int round = *rc::gen::inRange(1, 6); round > 0; --round) {
      project_user_changes changes{.as_of = r.as_of() + 1};
      std::map<std::uint64_t, int> chosen;
      for (int i = *rc::gen::inRange(0, 10); i > 0; --i)
        chosen[*rc::gen::inRange<std::uint64_t>(1, 40)] = *rc::gen::inRange(0, 4);
      for (auto [number, what] : chosen) {
        auto u = some_user(number);
        if (what == 0) {
          changes.removed.push_back(u.id);
          plain.users.erase(u.id.value);
          continue;
        }
        if (what == 1) u.blocked_at = dawn;
        changes.changed.push_back(u);
        if (u.blocked_at)
          plain.users.erase(u.id.value);
        else
          plain.users[u.id.value] = u;
      }
      auto before = r.view();
      auto seen_before = before->look({.limit = 100}).users.size();

      r.apply(changes);
      if (*rc::gen::arbitrary<bool>()) r.apply(changes); // as after a lost connection

      RC_ASSERT(all(r) == emails(plain.ordered()));
      RC_ASSERT(before->look({.limit = 100}).users.size() == seen_before);
    }
  }));
}

TEST(Roster, KeepsTheOrderOfManyThatComeAndGo) {
  plain_roster plain;
  for (std::uint64_t i = 1; i <= 3'000; ++i) {
    auto u = person(i, std::to_string(i) + "@x.org", static_cast<int>(i * 7 % 501));
    plain.users[u.id.value] = u;
  }
  auto r = roster_of(plain);
  project_user_changes changes{.as_of = 2};
  for (std::uint64_t i = 1; i <= 6'000; ++i) { // half of them are new, and all but some log in
    auto u = person(i, std::to_string(i) + "@x.org", 9);
    if (i % 5 == 0) u.blocked_at = dawn;
    changes.changed.push_back(u);
    if (u.blocked_at)
      plain.users.erase(u.id.value);
    else
      plain.users[u.id.value] = u;
  }

  r.apply(changes);

  EXPECT_EQ(all(r, "", 1'000), emails(plain.ordered()));
  EXPECT_EQ(all(r, "99", 1'000), emails(plain.ordered("99")));
  EXPECT_EQ(r.view()->size(), 4'800);
}

TEST(Roster, GoesOnAfterAPlaceWhoeverLogsInMeanwhile) {
  EXPECT_TRUE(rc::check([] {
    plain_roster plain;
    auto count = *rc::gen::inRange<std::uint64_t>(1, 30);
    for (std::uint64_t i = 1; i <= count; ++i) {
      auto u = some_user(i);
      u.email = std::to_string(i) + "@x.org";
      plain.users[u.id.value] = u;
    }
    auto r = roster_of(plain);
    std::vector<std::string> seen;
    std::optional<roster_place> after;
    auto second = 100;
    for (;;) {
      auto page = r.view()->look({.after = after, .limit = 4});
      for (const auto& u : page.users) seen.push_back(u.email);
      if (page.before + static_cast<std::int64_t>(page.users.size()) >= page.total) break;
      // As a client has it.
      after = roster_place_of(to_text(*page.last));
      RC_ASSERT(after == page.last);
      auto who = *rc::gen::inRange<std::uint64_t>(1, count + 10);
      project_user_changes login{.as_of = r.as_of() + 1};
      login.changed = {person(who, std::to_string(who) + "@x.org", second++)};
      r.apply(login);
    }

    auto unique = seen;
    std::ranges::sort(unique);
    RC_ASSERT(std::ranges::adjacent_find(unique) == unique.end()); // nobody twice
  }));
}

TEST(RosterPlace, IsReadAsItWasWritten) {
  roster_place never{.who = {1, 2}};
  roster_place once{.last_login = -5, .who = {~std::uint64_t{0}, ~std::uint64_t{0}}};

  EXPECT_EQ(roster_place_of(to_text(never)), never);
  EXPECT_EQ(roster_place_of(to_text(once)), once);
  for (auto text :
       {"", ".", "-", "-.", "1.x", "x.00000000000000000000000000", ".00000000000000000000000000",
        "1.80000000000000000000000000", "99999999999999999999.00000000000000000000000000"})
    EXPECT_FALSE(roster_place_of(text)) << text;
}

} // namespace
} // namespace binnacle
