/// A real PostgreSQL for tests: one private cluster per test program, made at first use and gone at
/// its end, and a fresh database per `test_database`.
#pragma once

#include "persistence/database.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace binnacle::persistence {

enum class schema { migrated, empty };

class test_database {
public:
  explicit test_database(schema with = schema::migrated);
  ~test_database();
  test_database(const test_database&) = delete;
  test_database& operator=(const test_database&) = delete;

  const database_config& config() const { return config_; }
  database connect() const { return database{config_}; }

  /// Runs SQL on a connection of its own and returns the first value, or "" when there is none.
  std::string query(const std::string& sql) const;

  /// The one server of this program, for fault tests. Stopping breaks every connection at once.
  static void stop_server();
  static void start_server();

private:
  std::string name_;
  database_config config_;
};

/// The value of a result that must not be a fault.
template <class T>
T must(result<T> r) {
  if (!r) throw std::runtime_error{to_string(r.error())};
  return std::move(*r);
}

/// Runs `body`, which returns a result, in a transaction and returns its result.
template <class Body>
auto run_in(database& db, access how, Body body) -> std::invoke_result_t<Body, transaction&> {
  using answer = typename std::invoke_result_t<Body, transaction&>::value_type;
  std::optional<answer> out;
  auto ran = db.run(how, [&](transaction& tx) -> result<done> {
    auto r = body(tx);
    if (!r) return r.error();
    out = std::move(*r);
    return done{};
  });
  if (!ran) return ran.error();
  return std::move(*out);
}

template <class Body>
auto reading(database& db, Body body) {
  return run_in(db, access::snapshot, body);
}
template <class Body>
auto writing(database& db, Body body) {
  return run_in(db, access::write, body);
}

} // namespace binnacle::persistence
