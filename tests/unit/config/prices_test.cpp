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

TEST(PriceHistory, KnowsTheListOfEveryTime) {
  auto noon = *parse_iso("2025-03-01T12:00:00Z");
  auto dear = make_price_list(d("1"), d("1"), d("1"));
  auto dearer = make_price_list(d("2"), d("2"), d("2"));
  price_history prices;
  EXPECT_EQ(prices.at(noon), default_price_list());
  EXPECT_EQ(prices.next_change(noon), std::nullopt);

  prices.add(noon, dear);
  prices.add(noon + hours{1}, dearer);

  EXPECT_EQ(prices.at(noon - milliseconds{1}), default_price_list());
  EXPECT_EQ(prices.at(noon), dear);
  EXPECT_EQ(prices.at(noon + minutes{59}), dear);
  EXPECT_EQ(prices.at(noon + hours{1}), dearer);
  EXPECT_EQ(prices.next_change(noon - hours{1}), noon);
  EXPECT_EQ(prices.next_change(noon), noon + hours{1});
  EXPECT_EQ(prices.next_change(noon + hours{1}), std::nullopt);
}

} // namespace
