#include "persistence/database.hpp"

#include "persistence/sql.hpp"

#include <random>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

constexpr int conflict_retries = 5;

/// How one attempt at a transaction ended.
struct outcome {
  enum kind { committed, refused, conflict, lost } how = committed; // ascending: the worst last
  fault why{};
};

outcome lost(const std::string& detail) {
  return {outcome::lost, {errc::unavailable, {}, {}, detail}};
}
outcome refused(errc code, const std::string& detail) {
  return {outcome::refused, {code, {}, {}, detail}};
}

/// The server ended the session: shut down, crashed, or tired of an idle transaction.
bool ends_session(const std::string& state) {
  return state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05" ||
         state == "25P03";
}

bool ran_out_of_time(const std::string& state) { return state == "57014" || state == "55P03"; }

outcome conflict(const std::string& detail) {
  return {outcome::conflict, internal_fault("still in conflict after retries: " + detail)};
}

/// What PostgreSQL's refusal of a statement means.
outcome outcome_of_refusal(const std::string& state, const std::string& text) {
  if (state == "40001" || state == "40P01") return conflict(text);
  if (ends_session(state)) return lost(text);
  if (ran_out_of_time(state)) return refused(errc::timed_out, text);
  return refused(errc::internal, state + " " + text);
}

/// To be called in a handler of any exception from libpqxx or from a transaction's body.
outcome outcome_of_exception(const sql_connection& link) {
  try {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    return lost(first_line(e));
  } catch (const pqxx::broken_connection& e) {
    return lost(first_line(e));
  } catch (const pqxx::serialization_failure& e) {
    return conflict(first_line(e));
  } catch (const pqxx::deadlock_detected& e) {
    return conflict(first_line(e));
  } catch (const pqxx::sql_error& e) {
    if (!link.is_open()) return lost(first_line(e));
    return outcome_of_refusal(e.sqlstate(), first_line(e));
  } catch (const std::exception& e) {
    if (!link.is_open()) return lost(first_line(e));
    return refused(errc::internal, first_line(e));
  }
}

/// A pause before the next try of a transaction that met another: about 2, 4, 8, … ms.
void pause_after_conflict(int tries) {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int> spread{500, 1'500};
  std::this_thread::sleep_for(std::chrono::microseconds{spread(random) << tries});
}

} // namespace

struct database::implementation {
  database_config config;
  std::unique_ptr<sql_connection> link{};
  backoff again{};

  /// Connects, unless the last failure is too recent.
  result<done> connect() {
    if (backoff::steady::now() < again.next())
      return fault{errc::unavailable, {}, {}, "database: waiting to connect again"};
    try {
      link = std::make_unique<sql_connection>(config);
      again.succeeded();
      return done{};
    } catch (const std::exception& e) {
      again.failed();
      return fault{errc::unavailable, {}, {}, "database: " + first_line(e)};
    }
  }

  outcome attempt(access how, const std::function<result<done>(transaction&)>& body,
                  std::vector<change>* changes) {
    bool committing = false;
    auto got = outcome{};
    try {
      sql_transaction tx{*link, how};
      if (auto answer = body(tx); !answer) {
        got = {outcome::refused, answer.error()};
      } else {
        if (how == access::write) {
          tx.publish_changes();
          committing = true;
        } else if (!tx.changes().empty()) {
          return refused(errc::internal, "something was touched outside a write");
        }
        tx.commit();
        if (changes) *changes = tx.changes();
      }
    } catch (const std::exception&) {
      got = outcome_of_exception(*link);
    }
    if (got.how == outcome::lost && committing) {
      got.how = outcome::refused; // it may have been committed: not to be repeated
      got.why.detail = "outcome unknown: " + got.why.detail;
    }
    if (got.how == outcome::lost || !link->is_open()) link.reset();
    return got;
  }

  /// Asks the questions and keeps those that must be asked again; the worst of the reasons comes
  /// back.
  outcome attempt(std::vector<question*>& questions) {
    auto worst = outcome{};
    try {
      std::vector<question*> again_please;
      for (auto& [q, why] : link->ask(questions)) {
        auto got = why.state.empty() ? outcome{} : outcome_of_refusal(why.state, why.text);
        if (got.how == outcome::refused) {
          q->refuse(std::move(got.why));
        } else {
          again_please.push_back(q);
          if (got.how > worst.how) worst = std::move(got);
        }
      }
      questions = std::move(again_please);
    } catch (const std::exception&) {
      worst = outcome_of_exception(*link);
      link.reset(); // in the middle of its answers
    }
    if (worst.how == outcome::lost) link.reset();
    return worst;
  }
};

database::database(database_config config)
    : inside_{std::make_unique<implementation>(implementation{std::move(config)})} {}
database::~database() = default;

bool database::connected() const { return inside_->link && inside_->link->is_open(); }

result<done> database::run(access how, const std::function<result<done>(transaction&)>& body,
                           std::vector<change>* changes) {
  bool lost_before = false;
  for (int conflicts = 0;;) {
    if (!inside_->link)
      if (auto ready = inside_->connect(); !ready) return ready.error();
    auto got = inside_->attempt(how, body, changes);
    switch (got.how) {
    case outcome::committed:
      return done{};
    case outcome::refused:
      return std::move(got.why);
    case outcome::lost:
      if (std::exchange(lost_before, true)) return std::move(got.why);
      break;
    case outcome::conflict:
      if (++conflicts > conflict_retries) return std::move(got.why);
      pause_after_conflict(conflicts);
    }
  }
}

void database::ask(std::span<question* const> questions) {
  std::vector<question*> open{questions.begin(), questions.end()};
  auto give_up = [&](const fault& why) {
    for (auto* q : open) q->refuse(why);
  };
  bool lost_before = false;
  for (int conflicts = 0; !open.empty();) {
    if (!inside_->link)
      if (auto ready = inside_->connect(); !ready) return give_up(ready.error());
    auto got = inside_->attempt(open);
    switch (got.how) {
    case outcome::committed:
      break;
    case outcome::refused:
      return give_up(got.why);
    case outcome::lost:
      if (std::exchange(lost_before, true)) return give_up(got.why);
      break;
    case outcome::conflict:
      if (++conflicts > conflict_retries) return give_up(got.why);
      pause_after_conflict(conflicts);
    }
  }
}

} // namespace binnacle::persistence
