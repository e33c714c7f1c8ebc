#include "persistence/prices.hpp"

#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2025-03-01T12:00:00Z");

decimal number(const char* text) { return *decimal::parse(text); }

class Prices : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  /// `from` as the database reads it.
  void set(const std::string& product, const std::string& price, const std::string& from) {
    where.query("INSERT INTO stripe_products (product_type, unit_price, valid_from) VALUES ('" +
                product + "', " + price + ", '" + from + "')");
  }
  price_list at(time_point when) {
    return must(run_in(db, access::read, [&](transaction& tx) { return load_prices(tx, when); }));
  }
  void book(time_point hour) {
    must(writing(db, [&](transaction& tx) -> result<done> {
      must(insert_cluster(tx, {.id = {"cls_1"}, .name = "c", .api_url = "https://c"}, noon));
      must(book_usage(tx, {"cls_1"}, {{.hour = hour}}, noon));
      return done{};
    }));
  }
};

TEST_F(Prices, AreTheBuiltInOnesUnlessSet) { EXPECT_EQ(at(noon), default_price_list()); }

TEST_F(Prices, OfActiveProductsReplaceTheBuiltInOnes) {
  where.query("INSERT INTO stripe_products (product_type, unit_price, active, valid_from) VALUES "
              "('compute_credits', 0.42, true, '2025-01-01'), "
              "('storage_online_gb', 9, false, '2025-01-01'), "
              "('storage_offline_gb', 0.05, true, '2025-01-01'), "
              "('something_else', 7, true, '2025-01-01')");

  auto list = at(noon);

  EXPECT_EQ(list, make_price_list(number("0.42"), number("0.5"), number("0.05")));
  EXPECT_EQ(list.cpu_hour, number("0.21"));
}

TEST_F(Prices, AreThoseOfTheirTime) {
  set("compute_credits", "1", "2025-03-01T12:00:00Z");
  set("compute_credits", "3", "2025-03-01T14:00:00Z");
  set("storage_online_gb", "9", "2025-03-01T13:00:00Z");
  auto offline = default_price_list().storage_offline_gb;

  EXPECT_EQ(at(noon - 1us), default_price_list());
  EXPECT_EQ(at(noon), make_price_list(decimal{1}, number("0.5"), offline));
  EXPECT_EQ(at(noon + 1h), make_price_list(decimal{1}, decimal{9}, offline));
  EXPECT_EQ(at(noon + 2h), make_price_list(decimal{3}, decimal{9}, offline));
}

TEST_F(Prices, AreValidFromNowOnUnlessSaidOtherwise) {
  where.query(
      "INSERT INTO stripe_products (product_type, unit_price) VALUES ('compute_credits', 1)");
  auto now = must(run_in(db, access::read, database_now));

  EXPECT_EQ(at(now).compute_credits, decimal{1});
  EXPECT_EQ(at(now - 1h), default_price_list());
}

TEST_F(Prices, AreOnePerProductAndTime) {
  set("compute_credits", "1", "2025-03-01");

  EXPECT_ANY_THROW(set("compute_credits", "2", "2025-03-01"));
  EXPECT_NO_THROW(set("compute_credits", "2", "2025-03-02"));
}

TEST_F(Prices, OfABookedHourCannotBeChangedAnyMore) {
  set("compute_credits", "1", "2025-03-01T12:00:00Z");
  set("compute_credits", "2", "2025-03-01T15:00:00Z");
  book(noon + 1h);

  EXPECT_ANY_THROW(set("compute_credits", "3", "2025-03-01T13:00:00Z"));
  EXPECT_ANY_THROW(where.query("UPDATE stripe_products SET unit_price = 3"));
  EXPECT_ANY_THROW(where.query("UPDATE stripe_products SET active = false"));
  EXPECT_ANY_THROW(where.query("UPDATE stripe_products SET valid_from = '2025-03-01T14:00:00Z' "
                               "WHERE unit_price = 1"));
  EXPECT_ANY_THROW(where.query("DELETE FROM stripe_products"));
  EXPECT_EQ(at(noon + 1h).compute_credits, decimal{1});
}

TEST_F(Prices, ToComeCanBeChangedAndWithdrawn) {
  set("compute_credits", "1", "2025-03-01T12:00:00Z");
  set("compute_credits", "2", "2025-03-01T14:00:00Z");
  book(noon + 1h);

  where.query("UPDATE stripe_products SET unit_price = 3 WHERE unit_price = 2");
  EXPECT_EQ(at(noon + 2h).compute_credits, decimal{3});
  where.query("UPDATE stripe_products SET active = false WHERE unit_price = 3");
  EXPECT_EQ(at(noon + 2h).compute_credits, decimal{1});
  set("compute_credits", "4", "2025-03-01T14:00:00Z");
  EXPECT_EQ(at(noon + 2h).compute_credits, decimal{4});
}

TEST_F(Prices, CanBeToldTheirStripeIdsAtAnyTime) {
  set("compute_credits", "1", "2025-03-01T12:00:00Z");
  book(noon + 1h);

  EXPECT_NO_THROW(where.query("UPDATE stripe_products SET stripe_price_id = 'price_1'"));
}

} // namespace
} // namespace binnacle::persistence
