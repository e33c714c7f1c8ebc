// The ledger of one user with many entries, in a private cluster of its own: how long its balance
// takes, and a use that is committed to disk.
// Usage: binnacle_bench_ledger DIRECTORY POSTGRES_BIN ENTRIES READS; prints one line of JSON.
#include "config/credits.hpp"
#include "persistence/credits.hpp"
#include "persistence/database.hpp"
#include "persistence/migrations.hpp"
#include "persistence/private_cluster.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

using namespace binnacle;
using namespace binnacle::persistence;

namespace {

const user_id who{"usr_bench"};
const auto start = *parse_iso("2024-01-01T00:00:00Z");

template <class T>
T must(result<T> r) {
  if (r) return std::move(*r);
  std::fprintf(stderr, "%s\n", to_string(r.error()).c_str());
  std::exit(1);
}

void write(database& db, const std::function<void(transaction&)>& body) {
  must(db.run(access::write, [&](transaction& tx) -> result<done> {
    body(tx);
    return done{};
  }));
}

std::int64_t entries_of(database& db) {
  std::int64_t out = 0;
  must(db.run(access::read, [&](transaction& tx) -> result<done> {
    auto newest = must(credit_entries_of(tx, who, {}, 1));
    out = newest.empty() ? 0 : static_cast<std::int64_t>(newest[0].id);
    return done{};
  }));
  return out;
}

time_point time_of_call(std::int64_t n) { return start + minutes{10} * n; }

/// One call in a hundred is a pack that expires as packs do, one in twenty a refund of the use
/// before it; all others are uses. Some 280 packs are open at a time.
void call(transaction& tx, std::int64_t n) {
  auto at = time_of_call(n);
  auto name = [](const char* prefix, std::int64_t i) { return prefix + std::to_string(i); };
  if (n % 100 == 0) {
    must(grant_credits(tx, who, {name("checkout:", n), 2000, pack_expiry(at), at}, at));
  } else if (n % 20 == 0) {
    use_refund whole{.use = name("job:", n - 1), .source = name("failed:", n - 1)};
    must(refund_use(tx, who, whole, at));
  } else {
    must(use_credits(tx, who, name("job:", n), 5 + n % 13, at));
  }
}

using steady = std::chrono::steady_clock;
double microseconds_since(steady::time_point began) {
  return std::chrono::duration<double, std::micro>(steady::now() - began).count();
}

/// Calls `body` so many times and prints the percentiles.
void measure(const char* name, std::int64_t times, const std::function<void(std::int64_t)>& body) {
  std::vector<double> took;
  for (std::int64_t n = 0; n < times; ++n) {
    auto began = steady::now();
    body(n);
    took.push_back(microseconds_since(began));
  }
  std::sort(took.begin(), took.end());
  std::printf(R"("%sP50": %.1f, "%sP99": %.1f)", name, took[took.size() / 2], name,
              took[took.size() * 99 / 100]);
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s DIRECTORY POSTGRES_BIN ENTRIES READS\n", argv[0]);
    return 2;
  }
  auto entries = std::atoll(argv[3]);
  auto reads = std::atoll(argv[4]);
  auto cluster = must(private_cluster::start({.data_dir = argv[1], .postgres_bin = argv[2]}));
  database_config config{.url = cluster->url()};
  must(migrate(config));
  database db{config};

  write(db, [](transaction& tx) { must(insert_user(tx, {.id = who, .created_at = start})); });
  auto began = steady::now();
  std::int64_t calls = 0;
  while (entries_of(db) < entries)
    write(db, [&, from = calls](transaction& tx) {
      for (calls = from; calls < from + 1'000; ++calls) call(tx, calls);
    });
  auto filled = microseconds_since(began) / 1e6;
  auto now = time_of_call(calls);

  auto balance = [&](std::int64_t) {
    must(db.run(access::read, [&](transaction& tx) -> result<done> {
      must(credit_balance(tx, who, now));
      return done{};
    }));
  };
  for (int n = 0; n < 200; ++n) balance(n); // unrecorded
  std::printf(R"({"entries": %lld, "callsPerSecond": %.0f, )",
              static_cast<long long>(entries_of(db)), static_cast<double>(calls) / filled);
  measure("balance", reads, balance);
  std::printf(", ");
  measure("use", std::max(reads / 20, 1LL), [&](std::int64_t n) {
    write(db, [&](transaction& tx) {
      must(use_credits(tx, who, "measured:" + std::to_string(n), 1, now));
    });
  });
  std::printf(", ");
  measure("verify", 1, [&](std::int64_t) {
    must(db.run(access::read, [&](transaction& tx) -> result<done> {
      for (const auto& difference : must(verify_ledger(tx, who))) {
        std::fprintf(stderr, "%s\n", difference.c_str());
        std::exit(1);
      }
      return done{};
    }));
  });
  std::printf("}\n");
  return 0;
}
