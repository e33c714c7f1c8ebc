/// One connection to PostgreSQL and the one way to run work on it.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "persistence/query.hpp"
#include "persistence/transaction.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct database_config {
  secret url{};
  std::chrono::milliseconds statement_timeout{10'000};
  std::chrono::milliseconds connect_timeout{2'000};
  std::string application_name = "binnacle";
};

enum class access {
  read,     // one statement, autocommit: one round trip
  snapshot, // several reads that must agree: read-only, repeatable read
  write,    // read committed, synchronous commit
  append // one statement that writes and may be repeated, autocommit: one round trip; no touching
};

/// Blocking; owned and used by one thread. Connects at first use and again after a loss, at most
/// one attempt per back-off step (50 ms doubling to 1 s), so that a database that comes back is
/// used again within about a second.
class database {
public:
  explicit database(database_config config);
  ~database();

  /// Runs `body` in a transaction and commits. Retries it as a whole on 40001 and 40P01 (up to 5
  /// times with jitter), and once after a lost connection if nothing was sent to be committed.
  /// `body` must therefore have no effect but through the transaction. When `body` returns a
  /// fault, or throws, the transaction is rolled back. Database faults come back as: connection
  /// lost or refused -> unavailable; statement timeout -> timed_out; lost during commit of a
  /// write -> unavailable with the detail "outcome unknown"; everything else -> internal.
  /// On success `changes` holds what was touched; the NOTIFYs went out with the commit.
  result<done> run(access how, const std::function<result<done>(transaction&)>& body,
                   std::vector<change>* changes = nullptr);

  /// Asks all questions in one round trip and gives each its answer or a fault. They share no
  /// snapshot, and what one does wrong is not felt by the others. Faults and retries as above.
  void ask(std::span<question* const> questions);
  template <class T>
  result<T> ask(query<T> one) {
    question* all[]{&one};
    ask(all);
    return std::move(one.outcome);
  }

  bool connected() const;

private:
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

/// Listens for changes that any node commits. Blocking; one thread.
class change_listener {
public:
  explicit change_listener(database_config config);
  ~change_listener();

  /// Waits until something is heard, at most `patience`; unavailable when the connection is
  /// lost. The next call connects again; `on_connected` is called each time LISTEN has succeeded,
  /// since what happened while nobody listened is unknown.
  result<std::vector<change>> wait(std::chrono::milliseconds patience,
                                   const std::function<void()>& on_connected);

private:
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

} // namespace binnacle::persistence
