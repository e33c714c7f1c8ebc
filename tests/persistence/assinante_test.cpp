#include "persistence/assinante_invoices.hpp"
#include "persistence/assinante_orders.hpp"
#include "persistence/assinante_subscriptions.hpp"
#include "persistence/subscribers.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <rapidcheck.h>

namespace binnacle::persistence::assinante {
namespace {

const auto now = *parse_iso("2026-03-01T12:00:00Z");
constexpr auto first_address = R"({"street":"Rua das Flores","zipCode":"35300-000"})";

date day(const char* text) { return *parse_date(text); }

class Assinante : public testing::Test {
protected:
  void SetUp() override {
    for (const auto* name : {"ana", "bia"}) {
      subscriber who{.name = name, .email = std::string{name} + "@example.com", .created_at = now};
      must(writing(
          db, [&](transaction& tx) { return upsert_subscriber(tx, who, {}, user_id{name}, now); }));
    }
  }

  subscription plan(const std::string& id, const user_id& who, const char* status = "active") {
    return {.id = id,
            .who = who,
            .plan_name = "Plano Mensal",
            .status = status,
            .price = *decimal::parse("89.90"),
            .start_date = day("2025-10-01"),
            .renewal_date = day("2025-11-01"),
            .payment_method = "credit_card",
            .shipping_address = first_address,
            .created_at = now};
  }
  order parcel(const std::string& id, const std::string& subscription, time_point at = now,
               const char* status = "delivered") {
    return {.id = id,
            .subscription = subscription,
            .number = "SV-" + id,
            .status = status,
            .total = *decimal::parse("89.90"),
            .created_at = at};
  }
  invoice bill(const std::string& id, const char* status, const char* amount, const char* due) {
    return {.id = id,
            .subscription = "sub",
            .number = "NF-" + id,
            .status = status,
            .amount = *decimal::parse(amount),
            .due_date = day(due),
            .payment_method = "pix",
            .created_at = now};
  }
  std::vector<outcome> bring(const std::vector<subscription>& given) {
    return must(writing(
        db, [&](transaction& tx) { return upsert_subscriptions(tx, given, by_admin, now); }));
  }
  std::vector<outcome> bring(const std::vector<order>& given) {
    return must(writing(db, [&](transaction& tx) { return upsert_orders(tx, given, now); }));
  }
  std::vector<outcome> bring(const std::vector<invoice>& given) {
    return must(writing(db, [&](transaction& tx) { return upsert_invoices(tx, given, now); }));
  }
  order_page page(const user_id& who, const order_filter& filter) {
    return must(reading(db, [&](transaction& tx) { return orders_of(tx, who, filter); }));
  }

  using outcomes = std::vector<outcome>;
  const author by_admin{.actor = "admin", .client_address = "10.0.0.1", .user_agent = "test"};
  const user_id ana{"ana"}, bia{"bia"};
  test_database where{};
  database db = where.connect();
};

TEST_F(Assinante, TakesTheSameRowsAgainWithoutChangingAnything) {
  std::vector plans{plan("sub", ana), plan("other", bia)};
  std::vector parcels{parcel("o1", "sub"), parcel("o2", "other")};

  EXPECT_EQ(bring(plans), (outcomes{outcome::created, outcome::created}));
  EXPECT_EQ(bring(parcels), (outcomes{outcome::created, outcome::created}));
  EXPECT_EQ(bring(plans), (outcomes{outcome::unchanged, outcome::unchanged}));
  parcels[1].status = "shipped";
  EXPECT_EQ(bring(parcels), (outcomes{outcome::unchanged, outcome::changed}));
}

TEST_F(Assinante, RefusesWhatBelongsToNobodyOrToSomebodyElse) {
  bring(std::vector{plan("sub", ana), plan("other", bia)});
  bring(std::vector{parcel("o1", "sub")});

  EXPECT_EQ(bring(std::vector{plan("sub", bia), plan("new", user_id{"nobody"})}),
            (outcomes{outcome::foreign, outcome::orphaned}));
  EXPECT_EQ(bring(std::vector{parcel("o1", "other"), parcel("o2", "none")}),
            (outcomes{outcome::foreign, outcome::orphaned}));
  EXPECT_EQ(page(bia, {}).total, 0);
}

TEST_F(Assinante, ShowsTheNewestActiveSubscription) {
  auto newer = plan("newer", ana);
  newer.created_at = now + hours{1};
  auto newest = plan("newest", ana, "cancelled");
  newest.created_at = now + hours{2};
  bring(std::vector{plan("old", ana), newer, newest});

  auto found = must(reading(db, [&](transaction& tx) { return active_subscription(tx, ana); }));

  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, "newer");
  EXPECT_EQ(found->price.str(), "89.9");
  EXPECT_FALSE(*reading(db, [&](transaction& tx) { return active_subscription(tx, bia); }));
}

TEST_F(Assinante, NotesWhoChangedAnAddressFromWhatToWhat) {
  bring(std::vector{plan("sub", ana)});
  constexpr auto next = R"({"street": "Rua Nova"})";
  author herself{.actor = "ana", .client_address = "10.0.0.2", .user_agent = "browser"};

  auto changed = must(writing(db, [&](transaction& tx) {
    return change_shipping_address(tx, ana, next, herself, now + hours{1});
  }));

  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->subscription, "sub");
  EXPECT_EQ(changed->at, now + hours{1});
  EXPECT_EQ(where.query("SELECT concat_ws('|', change, old_value->>'street', new_value->>'street', "
                        "actor, client_address, user_agent) FROM assinante_history"),
            "ADDRESS_UPDATE|Rua das Flores|Rua Nova|ana|10.0.0.2|browser");
  EXPECT_FALSE(*writing(
      db, [&](transaction& tx) { return change_shipping_address(tx, bia, next, herself, now); }));

  bring(std::vector{plan("sub", ana)}); // an admin brings the old address again
  EXPECT_EQ(where.query("SELECT actor || (new_value->>'street') FROM assinante_history "
                        "ORDER BY id DESC LIMIT 1"),
            "adminRua das Flores");
}

TEST_F(Assinante, RegistersOnceAndLogsWhatWasConsentedTo) {
  const user_id eva{"eva"};
  must(writing(db,
               [&](transaction& tx) { return insert_user(tx, {.id = eva, .created_at = now}); }));
  subscriber who{.id = eva,
                 .name = "Eva Souza",
                 .email = "eva@example.com",
                 .phone = "5533999898026",
                 .cpf = "12345678909",
                 .birth_date = parse_date("1958-05-15", 1900),
                 .address = first_address};
  auto registering = [&](const subscriber& s) {
    return writing(db, [&](transaction& tx) { return register_subscriber(tx, s, by_admin, now); });
  };

  must(registering(who));

  auto found = must(reading(db, [&](transaction& tx) { return find_subscriber(tx, eva); }));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "Eva Souza");
  EXPECT_EQ(found->birth_date, who.birth_date);
  EXPECT_EQ(where.query("SELECT string_agg(consent, ',' ORDER BY id) FROM consent_log"),
            "TERMS,DATA_PROCESSING");
  EXPECT_EQ(registering(who).error().code, errc::conflict);
  EXPECT_EQ(registering(who).error().field, "");
  who.email = "ana@example.com";
  EXPECT_EQ(registering(who).error().field, "email");
}

TEST_F(Assinante, FindsWhoComesInFromOutsideByLoginAndByAddress) {
  auto bringing = [&](const subscriber& s, const login_at& login) {
    return writing(
        db, [&](transaction& tx) { return upsert_subscriber(tx, s, login, {"fresh"}, now); });
  };
  subscriber who{.name = "Ana", .email = "ana@example.com", .created_at = now};

  EXPECT_EQ(must(bringing(who, {"firebase", "uid"})).who, ana);
  EXPECT_EQ(must(bringing(who, {"firebase", "uid"})).what, outcome::unchanged);
  who.email.clear();
  who.phone = "5533999898026";
  auto by_login = must(bringing(who, {"firebase", "uid"}));
  EXPECT_EQ(by_login.who, ana);
  EXPECT_EQ(by_login.what, outcome::changed);
  who.email = "bia@example.com";
  EXPECT_EQ(bringing(who, {"firebase", "uid"}).error().field, "email");
}

TEST_F(Assinante, PagesCoverEveryOrderOnceAndAgreeWithTheTotal) {
  bring(std::vector{plan("sub", ana), plan("old", ana, "cancelled"), plan("hers", bia)});
  std::vector<order> all{parcel("of bia", "hers")};
  constexpr const char* statuses[]{"delivered", "pending"};
  for (auto i = 0; i < 37; ++i) // times and ids in no common order, some times twice
    all.push_back(parcel("o" + std::to_string(i), i % 3 ? "sub" : "old", now + hours{(i * 7) % 11},
                         statuses[i % 2]));
  bring(all);

  EXPECT_TRUE(rc::check([&] {
    order_filter filter{.status = *rc::gen::element<std::string>("", "delivered", "pending"),
                        .limit = *rc::gen::inRange<std::int64_t>(1, 51)};
    std::vector<order> seen;
    std::int64_t total = 0;
    for (auto more = true; more; filter.offset += filter.limit) {
      auto found = page(ana, filter);
      total = found.total;
      seen.insert(seen.end(), found.orders.begin(), found.orders.end());
      more = filter.offset + static_cast<std::int64_t>(found.orders.size()) < total;
      RC_ASSERT(!more || static_cast<std::int64_t>(found.orders.size()) == filter.limit);
    }
    RC_ASSERT(static_cast<std::int64_t>(seen.size()) == total);
    auto newest_first = [](const order& a, const order& b) {
      return std::tie(a.created_at, a.id) > std::tie(b.created_at, b.id);
    };
    RC_ASSERT(std::ranges::is_sorted(seen, newest_first));
    RC_ASSERT(std::ranges::adjacent_find(seen, {}, &order::id) == seen.end());
    for (const auto& o : seen) RC_ASSERT(filter.status.empty() || o.status == filter.status);
  }));
}

TEST_F(Assinante, SumsTheInvoicesOfAYearExactly) {
  bring(std::vector{plan("sub", ana)});
  bring(std::vector{
      bill("1", "paid", "0.10", "2025-01-01"), bill("2", "paid", "0.20", "2025-12-31"),
      bill("3", "pending", "89.90", "2025-06-01"), bill("4", "overdue", "1.01", "2025-06-02"),
      bill("5", "cancelled", "7.00", "2025-06-03"), bill("6", "paid", "500", "2024-12-31")});

  auto sums = must(reading(db, [&](transaction& tx) { return sum_invoices(tx, ana, 2025); }));

  EXPECT_EQ(sums.paid.str(), "0.3");
  EXPECT_EQ(sums.pending.str(), "89.9");
  EXPECT_EQ(sums.overdue.str(), "1.01");
  auto of_year = must(reading(
      db, [&](transaction& tx) { return invoices_of(tx, ana, {.year = 2025, .status = "paid"}); }));
  ASSERT_EQ(of_year.size(), 2u);
  EXPECT_EQ(of_year[0].id, "2"); // the latest due date first
  EXPECT_FALSE(*reading(db, [&](transaction& tx) { return find_invoice(tx, bia, "1"); }));
}

} // namespace
} // namespace binnacle::persistence::assinante
