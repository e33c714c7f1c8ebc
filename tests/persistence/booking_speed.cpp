/// Rows per second of book_usage against COPY of the same rows into a bare table, alternating.
/// Usage: booking_speed [rounds]
#include "config/base/ids.hpp"
#include "persistence/clusters.hpp"
#include "persistence/subprocess.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <chrono>
#include <cstdio>
#include <pqxx/pqxx>

using namespace binnacle;
using namespace binnacle::persistence;

namespace {

constexpr int namespaces = 100;
constexpr int hours_per_call = 24;
constexpr int calls = 42; // 100,800 rows

const auto start = *parse_iso("2025-01-01T00:00:00Z");

std::string name_of(int i) { return "project-" + std::to_string(i); }

hour_of_usage hour_at(int n) {
  hour_of_usage out{.hour = start + hours{n}};
  auto value = [&](int i, int k) {
    return decimal::parse("0." + std::to_string(100'000'000 + n * 7919 + i * 104'729 + k * 15'485));
  };
  for (int i = 0; i < namespaces; ++i)
    out.rows.push_back({.name_space = name_of(i),
                        .cpu_hours = value(i, 1),
                        .gpu_hours = decimal{},
                        .ram_gb_hours = value(i, 2),
                        .online_gb_hours = value(i, 3),
                        .offline_gb_hours = value(i, 4),
                        .cpu_efficiency = value(i, 5),
                        .ram_efficiency = value(i, 6),
                        .upstream_cost = value(i, 7)});
  return out;
}

double seconds_of(const std::function<void()>& work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void prepare(database& db, const cluster_id& where) {
  must(writing(db, [&](transaction& tx) -> result<done> {
    must(insert_cluster(tx, {.id = where, .name = where.value, .api_url = "https://c"}, start));
    for (int i = 0; i < namespaces; ++i) {
      user_id who{"usr_" + std::to_string(i)};
      must(insert_user(tx, {.id = who, .username = who.value, .created_at = start}));
      must(assign_project(
          tx, {.owner = who, .cluster = where, .name = name_of(i), .name_space = name_of(i)},
          start));
    }
    return done{};
  }));
}

void book(database& db, const cluster_id& where, const std::vector<hour_of_usage>& all) {
  for (std::size_t at = 0; at < all.size(); at += hours_per_call) {
    std::vector<hour_of_usage> batch{all.begin() + static_cast<long>(at),
                                     all.begin() + static_cast<long>(at) + hours_per_call};
    must(writing(db, [&](transaction& tx) { return book_usage(tx, where, batch, start); }));
  }
}

} // namespace

int main(int argc, char** argv) {
  auto rounds = argc > 1 ? std::atoi(argv[1]) : 3;
  std::vector<hour_of_usage> all;
  for (int n = 0; n < hours_per_call * calls; ++n) all.push_back(hour_at(n));
  auto rows = static_cast<double>(all.size()) * namespaces;
  for (int round = 0; round < rounds; ++round) {
    test_database where;
    where.query("ALTER SYSTEM SET fsync = on");
    where.query("SELECT pg_reload_conf()");
    auto db = where.connect();
    cluster_id cluster{"cls_1"};
    prepare(db, cluster);
    auto booking_time = seconds_of([&] { book(db, cluster, all); });
    auto again_time = seconds_of([&] { book(db, cluster, all); });
    where.query("COPY usage_hourly TO '/tmp/binnacle-booked.copy'");
    where.query("CREATE TABLE bare (LIKE usage_hourly)");
    // The server reading a file of its own is the fastest COPY there is; a client sending the rows
    // is what a collector could do at best.
    auto file_time = seconds_of([&] { where.query("COPY bare FROM '/tmp/binnacle-booked.copy'"); });
    where.query("TRUNCATE bare");
    auto client_time = seconds_of([&] {
      must(run_program({.argv = {"/usr/bin/psql", where.config().url.reveal(), "-qc",
                                 "\\copy bare from '/tmp/binnacle-booked.copy'"}}));
    });
    std::printf("booked %.0f rows/s, again %.0f rows/s; COPY from client %.0f rows/s: ratio %.2f; "
                "COPY from file %.0f rows/s: ratio %.2f\n",
                rows / booking_time, rows / again_time, rows / client_time,
                client_time / booking_time, rows / file_time, file_time / booking_time);
  }
  std::remove("/tmp/binnacle-booked.copy");
  return 0;
}
