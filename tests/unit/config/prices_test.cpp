#include "config/prices.hpp"

#include <gtest/gtest.h>

namespace {

using namespace binnacle;

decimal d(const char* text) { return *decimal::parse(text); }

TEST(Prices, DeriveComputeRatesFromTheCredit) {
  auto prices = default_price_list();
  EXPECT_EQ(prices.cpu_hour, d("0.175"));
  EXPECT_EQ(prices.gpu_hour, d("3.5"));
  EXPECT_EQ(prices.ram_gb_hour, d("0.0175"));
  EXPECT_EQ(prices.network_egress_gb, d("0.14"));
}

TEST(Prices, ChargeComputeAndStorageApart) {
  quantities used{.cpu_hours = d("10"),
                  .gpu_hours = d("1"),
                  .ram_gb_hours = d("100"),
                  .online_gb_hours = d("720"),
                  .offline_gb_hours = d("7200")};

  auto cost = price(used, default_price_list());

  EXPECT_EQ(cost.compute_cost, d("7"));
  EXPECT_EQ(cost.credits, d("20"));
  EXPECT_EQ(cost.storage_cost, d("0.8"));
  EXPECT_EQ(cost.total(), d("7.8"));
}

} // namespace
