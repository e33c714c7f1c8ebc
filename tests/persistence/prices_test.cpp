#include "persistence/prices.hpp"

#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

decimal number(const char* text) { return *decimal::parse(text); }

TEST(Prices, AreTheBuiltInOnesUnlessSet) {
  test_database where;
  auto db = where.connect();

  EXPECT_EQ(must(run_in(db, access::read, load_prices)), default_price_list());
}

TEST(Prices, OfActiveProductsReplaceTheBuiltInOnes) {
  test_database where;
  where.query("INSERT INTO stripe_products (product_type, unit_price, active) VALUES "
              "('compute_credits', 0.42, true), ('storage_online_gb', 9, false), "
              "('storage_offline_gb', 0.05, true), ('something_else', 7, true)");
  auto db = where.connect();

  auto list = must(run_in(db, access::read, load_prices));

  EXPECT_EQ(list, make_price_list(number("0.42"), number("0.5"), number("0.05")));
  EXPECT_EQ(list.cpu_hour, number("0.21"));
}

TEST(Prices, AreOnePerProduct) {
  test_database where;
  where.query(
      "INSERT INTO stripe_products (product_type, unit_price) VALUES ('compute_credits', 1)");

  EXPECT_ANY_THROW(where.query(
      "INSERT INTO stripe_products (product_type, unit_price) VALUES ('compute_credits', 2)"));
}

} // namespace
} // namespace binnacle::persistence
