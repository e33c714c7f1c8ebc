// The value types on the hot paths: decimals and prices when an hour is booked, JSON when an answer
// is rendered, ids when a request is named.
#include "config/base/decimal.hpp"
#include "config/base/ids.hpp"
#include "config/base/json.hpp"
#include "config/prices.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <string>

namespace {

using binnacle::decimal;

void read_decimal(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(decimal::parse("17179869184.03125"));
}
BENCHMARK(read_decimal);

// What the collector does with each number of an OpenCost answer.
void decimal_of_double(benchmark::State& state) {
  auto x = 3.14159;
  for (auto _ : state) {
    benchmark::DoNotOptimize(x);
    benchmark::DoNotOptimize(decimal::from_double(x));
  }
}
BENCHMARK(decimal_of_double);

void write_decimal(benchmark::State& state) {
  auto x = *decimal::parse("42.75");
  for (auto _ : state) benchmark::DoNotOptimize(x.str());
}
BENCHMARK(write_decimal);

// What one namespace used in one hour.
binnacle::quantities one_hour() {
  return {.cpu_hours = *decimal::parse("12.4"),
          .gpu_hours = decimal{1},
          .ram_gb_hours = *decimal::parse("3.2"),
          .online_gb_hours = decimal{40},
          .offline_gb_hours = *decimal::parse("15.12")};
}

void price_one_hour(benchmark::State& state) {
  auto list = binnacle::default_price_list();
  auto used = one_hour();
  for (auto _ : state) benchmark::DoNotOptimize(binnacle::price(used, list));
}
BENCHMARK(price_one_hour);

binnacle::json::object project() {
  auto used = one_hour();
  return {{"cpuHours", used.cpu_hours},
          {"gpuHours", used.gpu_hours},
          {"ramGBHours", used.ram_gb_hours}};
}

// A body of the size of GET /api/usage with three projects.
void render_usage(benchmark::State& state) {
  for (auto _ : state) {
    binnacle::json::object body{
        {"cpuHours", *decimal::parse("42.75")},
        {"gpuHours", 0},
        {"currentMonth", "2025-02"},
        {"projectBreakdown", binnacle::json::object{{"churn-modeling", project()},
                                                    {"fraud", project()},
                                                    {"search", project()}}}};
    benchmark::DoNotOptimize(binnacle::json::to_text(body));
  }
}
BENCHMARK(render_usage);

void new_ulid(benchmark::State& state) {
  auto now = std::chrono::system_clock::now();
  for (auto _ : state) benchmark::DoNotOptimize(binnacle::make_ulid(now));
}
BENCHMARK(new_ulid)->Threads(1)->Threads(2);

} // namespace
