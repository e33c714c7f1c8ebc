// The limiter's decision, taken once per request: while a user's window is filling, and when it is
// full of a large limit's slots.
#include "actors/sliding_window.hpp"

#include <benchmark/benchmark.h>

#include <chrono>

namespace {

using namespace std::chrono_literals;

// One request every `range(0)` milliseconds against 60 a minute: at 2,000 all are admitted, at 10
// nearly all are refused.
void admit_small_limit(benchmark::State& state) {
  binnacle::rate_limit limit{60, 60s};
  binnacle::sliding_window window;
  auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  for (auto _ : state) {
    now += std::chrono::milliseconds{state.range(0)};
    benchmark::DoNotOptimize(window.admit(limit, now));
  }
}
BENCHMARK(admit_small_limit)->Arg(2000)->Arg(10);

// The limit of a load test: admissions are counted in slots.
void admit_large_limit(benchmark::State& state) {
  binnacle::rate_limit limit{60'000'000, 60s};
  binnacle::sliding_window window;
  auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  for (auto _ : state) {
    now += 1ms;
    benchmark::DoNotOptimize(window.admit(limit, now));
  }
}
BENCHMARK(admit_large_limit);

} // namespace
