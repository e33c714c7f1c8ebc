/// Private to this folder: a transaction over libpqxx, parameters to PostgreSQL and values back.
/// The differences between libpqxx 6 and 7 are here and nowhere else.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/time.hpp"
#include "persistence/database.hpp"
#include "persistence/query.hpp"

#include <concepts>
#include <initializer_list>
#include <libpq-fe.h>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace binnacle::persistence {

// -- connection ------------------------------------------------------------------------------

/// The configured address with the session's settings in it (time-outs, UTC, durability,
/// keepalives), so that a connection is ready for use without a further round trip.
secret connection_string(const database_config& config);

#if PQXX_VERSION_MAJOR < 7
/// pqxx::connection, with the libpq connection inside, which libpqxx has no pipeline mode for.
class sql_link final : public pqxx::connection_base {
public:
  explicit sql_link(const std::string& address) : connection_base{how_}, how_{address} { init(); }
  ~sql_link() noexcept { close(); }
  PGconn* raw() const { return how_.opened; }

private:
  struct remembering final : pqxx::connect_direct {
    using connect_direct::connect_direct;
    handle do_startconnect(handle before) override {
      return opened = connect_direct::do_startconnect(before);
    }
    handle opened = nullptr;
  };
  remembering how_;
};
#else
class sql_link final : public pqxx::connection {
public:
  explicit sql_link(const std::string& address) : sql_link{PQconnectdb(address.c_str())} {}
  PGconn* raw() const { return opened_; }

private:
  explicit sql_link(PGconn* opened) : connection{seize_raw_connection(opened)}, opened_{opened} {}
  PGconn* opened_;
};
#endif

/// An open connection. Throws pqxx::broken_connection when there is none to be had.
class sql_connection {
public:
  explicit sql_connection(const database_config& config);

  sql_link& link() { return link_; }
  bool is_open() const { return link_.is_open(); }
  /// Prepares the statement under its name, unless this connection has it.
  void prepare(const char* name, const char* sql);

  /// How PostgreSQL refused a question.
  struct refusal {
    std::string state{}; // SQLSTATE; empty: it was not run, because one before it was refused
    std::string text{};
  };
  /// Sends the questions in one go and answers them in their order. Those that were refused come
  /// back, and with them all that followed the first of them: one implicit transaction holds them.
  /// Only outside of a transaction. Throws pqxx::broken_connection; some are answered then.
  std::vector<std::pair<question*, refusal>> ask(std::span<question* const> questions);

private:
  sql_link link_;
  // Server notices belong to the exception that follows, not on our standard error.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // libpqxx 7.10 has another spelling
  pqxx::quiet_errorhandler quiet_{link_};
#pragma GCC diagnostic pop
  std::unordered_set<std::string_view> prepared_{};
  std::unordered_set<std::string_view>
      asked_{}; // prepared by `ask`; no statement is used both ways
};

/// When to try to connect again: 50 ms after a failure, doubling to 1 s.
class backoff {
public:
  using steady = std::chrono::steady_clock;
  steady::time_point next() const { return next_; }
  void failed();
  void succeeded() { *this = {}; }

private:
  std::chrono::milliseconds step_{50};
  steady::time_point next_{};
};

/// The first line of what PostgreSQL said: the lines after it quote the row, and with it hashes.
std::string first_line(const std::exception& e);

// -- parameters ------------------------------------------------------------------------------

/// A parameter in PostgreSQL's text form, or NULL.
class param {
public:
  param(std::nullptr_t) : null_{true} {}
  param(std::string text) : text_{std::move(text)} {}
  param(std::string_view text) : text_{text} {}
  param(const char* text) : text_{text} {}
  param(std::same_as<bool> auto b) : text_{b ? "true" : "false"} {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) param(T n) : text_{std::to_string(n)} {}
  param(decimal d) : text_{d.str()} {}
  param(time_point t);
  param(date d) : text_{format_date(start_of(d))} {}
  template <class Tag>
  param(const id<Tag>& x) : text_{x.value} {}
  template <class T>
  param(const std::optional<T>& x) : param{x ? param{*x} : param{nullptr}} {}

  const char* text() const { return null_ ? nullptr : text_.c_str(); }

private:
  std::string text_{};
  bool null_ = false;
};

/// Empty text, or an empty id, as NULL.
inline param or_null(const std::string& text) {
  return text.empty() ? param{nullptr} : param{text};
}
template <class Tag>
param or_null(const id<Tag>& x) {
  return or_null(x.value);
}
/// Raw bytes as bytea.
param bytes(std::string_view raw);

/// An array literal, built element by element; a parameter of type text[], numeric[], ….
class array_param {
public:
  void add(std::string_view text); // quoted
  void add_null() { next().append("NULL"); }
  void add(decimal d) { d.append_to(next()); }
  void add(const std::optional<decimal>& d) { d ? add(*d) : add_null(); }
  void add(std::int64_t n) { next().append(std::to_string(n)); }
  void add(std::same_as<bool> auto b) { next().append(b ? "t" : "f"); }
  void add(time_point t) { next().append("\"").append(param{t}.text()).append("\""); }
  void add(date d) { next().append(param{d}.text()); }

  operator param() const { return param{text_ + "}"}; }

private:
  std::string& next() { return text_.append(text_.size() > 1 ? "," : ""); }
  std::string text_ = "{";
};

template <class Range>
param array_of(const Range& xs) {
  array_param out;
  for (const auto& x : xs) out.add(x);
  return out;
}

// -- transactions ----------------------------------------------------------------------------

/// A statement with a name that no other has: it is prepared under it.
struct statement {
  const char* name;
  const char* sql;
};

#if PQXX_VERSION_MAJOR < 7
using snapshot_transaction = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;
#else
using snapshot_transaction =
    pqxx::transaction<pqxx::isolation_level::repeatable_read, pqxx::write_policy::read_only>;
#endif

class sql_transaction final : public transaction {
public:
  sql_transaction(sql_connection& connection, access how);

  template <class... Texts>
  pqxx::result run(const statement& what, Texts... texts) {
    connection_.prepare(what.name, what.sql);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // libpqxx 7.9 has another spelling
    return inside_->exec_prepared(what.name, texts...);
#pragma GCC diagnostic pop
  }
  /// Runs a script of any number of statements, without parameters.
  pqxx::result run_script(const std::string& sql) { return inside_->exec(sql); }
  /// Sends the NOTIFYs of what was touched, as part of this transaction.
  void publish_changes();
  void commit() { inside_->commit(); }

private:
  sql_connection& connection_;
  std::unique_ptr<pqxx::transaction_base> inside_;
};

/// Every transaction is one of ours; the functions of this folder see the base class only.
inline sql_transaction& inside(transaction& tx) { return static_cast<sql_transaction&>(tx); }

/// Runs `what` with `args` as $1, $2, ….
template <class... Args>
pqxx::result exec(transaction& tx, const statement& what, const Args&... args) {
  return inside(tx).run(what, param{args}.text()...);
}

/// From here on, statements of this transaction may take that long.
void allow(transaction& tx, std::chrono::milliseconds statement_timeout);

// -- values ----------------------------------------------------------------------------------

/// A value in PostgreSQL's text form; no text is NULL.
struct cell {
  cell(const pqxx::field& f) : text{f.is_null() ? nullptr : f.c_str()}, column{f.name()} {}
  cell(const char* text_, const char* column_) : text{text_}, column{column_} {}
  bool is_null() const { return text == nullptr; }

  const char* text;
  const char* column; // its name, for errors
};

/// What a query found.
class rows {
public:
  explicit rows(const PGresult* inside) : inside_{inside} {}
  bool empty() const { return PQntuples(inside_) == 0; }

  class row {
  public:
    row(const PGresult* inside, int at) : inside_{inside}, at_{at} {}
    cell operator[](int column) const {
      auto null = PQgetisnull(inside_, at_, column) != 0;
      return {null ? nullptr : PQgetvalue(inside_, at_, column), PQfname(inside_, column)};
    }

  private:
    const PGresult* inside_;
    int at_;
  };
  row operator[](int at) const { return {inside_, at}; }

private:
  const PGresult* inside_;
};

inline std::string text_of(cell c) { return c.is_null() ? "" : c.text; }
std::int64_t integer_of(cell c); // NULL is 0
inline bool truth_of(cell c) { return !c.is_null() && c.text[0] == 't'; }
std::string raw_of(cell c); // of bytea; NULL is empty
decimal decimal_of(cell c); // NULL is 0
time_point time_of(cell c);
date day_of(cell c);

template <class T, class Read>
std::optional<T> optional_of(cell c, Read read) {
  if (c.is_null()) return {};
  return read(c);
}
inline std::optional<decimal> maybe_decimal(cell c) { return optional_of<decimal>(c, decimal_of); }
inline std::optional<time_point> maybe_time(cell c) { return optional_of<time_point>(c, time_of); }

// -- refusals --------------------------------------------------------------------------------

/// A unique constraint and how to tell a client that it is in the way.
struct taken {
  const char* constraint;
  const char* field;
  const char* text;
};

/// Runs `body`; a violation of one of the constraints becomes a conflict that names the field.
/// The transaction is then of no further use.
template <class Body>
result<done> refusing(std::initializer_list<taken> constraints, Body body) {
  try {
    body();
    return done{};
  } catch (const pqxx::unique_violation& e) {
    for (const auto& c : constraints)
      if (std::string_view{e.what()}.find(c.constraint) != std::string_view::npos)
        return fault{errc::conflict, c.text, c.field, {}};
    throw;
  }
}

inline fault missing(std::string text) { return {errc::not_found, std::move(text), {}, {}}; }

} // namespace binnacle::persistence
