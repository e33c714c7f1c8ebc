// libpq's pipeline mode: many statements, one round trip.

#include "persistence/sql.hpp"

#include <cerrno>
#include <poll.h>

namespace binnacle::persistence {
namespace {

struct clear_result {
  void operator()(PGresult* r) const { PQclear(r); }
};
using pg_result = std::unique_ptr<PGresult, clear_result>;

std::string field_of(const PGresult* r, int which) {
  auto* text = PQresultErrorField(r, which);
  return text ? text : "";
}

class pipeline {
public:
  explicit pipeline(PGconn* link) : link_{link} {
    need(PQsetnonblocking(link_, 1) == 0);
    need(PQenterPipelineMode(link_) == 1);
  }
  /// Back to what libpqxx expects; with answers unread, that is not possible.
  void leave() {
    need(PQexitPipelineMode(link_) == 1);
    need(PQsetnonblocking(link_, 0) == 0);
  }

  void prepare(const char* name, const char* sql) {
    need(PQsendPrepare(link_, name, sql, 0, nullptr) == 1);
  }
  void run(const char* name, const std::vector<std::string>& args) {
    std::vector<const char*> values;
    for (const auto& a : args) values.push_back(a.c_str());
    need(PQsendQueryPrepared(link_, name, static_cast<int>(values.size()), values.data(), nullptr,
                             nullptr, 0) == 1);
  }
  /// Sends what is not sent yet, reading meanwhile: the server may not take more before it has got
  /// rid of its answers.
  void sync() {
    need(PQpipelineSync(link_) == 1);
    for (;;) {
      auto left = PQflush(link_);
      need(left >= 0);
      if (left == 0) return;
      wait(POLLIN | POLLOUT);
    }
  }
  /// The outcome of the next statement.
  pg_result next() {
    auto out = result();
    need(out != nullptr);
    if (PQresultStatus(out.get()) != PGRES_PIPELINE_SYNC)
      while (result()) {} // nothing follows but the mark of its end
    return out;
  }

private:
  pg_result result() {
    while (PQisBusy(link_)) wait(POLLIN);
    return pg_result{PQgetResult(link_)};
  }
  void wait(int what) {
    pollfd link{.fd = PQsocket(link_), .events = static_cast<short>(what), .revents = 0};
    need(::poll(&link, 1, -1) >= 0 || errno == EINTR);
    if (link.revents & ~POLLOUT) need(PQconsumeInput(link_) == 1);
  }
  void need(bool good) const {
    if (!good || PQstatus(link_) != CONNECTION_OK)
      throw pqxx::broken_connection{PQerrorMessage(link_)};
  }

  PGconn* link_;
};

} // namespace

std::vector<std::pair<question*, sql_connection::refusal>>
sql_connection::ask(std::span<question* const> questions) {
  std::vector<std::pair<question*, refusal>> refused;
  std::vector<const char*> preparing; // by question; null: is prepared
  pipeline line{link_.raw()};
  for (auto* q : questions) {
    const auto& what = q->what();
    auto is_new = asked_.insert(what.name).second;
    preparing.push_back(is_new ? what.name : nullptr);
    if (is_new) line.prepare(what.name, what.sql);
    line.run(what.name, q->args());
  }
  line.sync();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    std::optional<refusal> why;
    auto check = [&](const PGresult* got) {
      auto status = PQresultStatus(got);
      auto good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
      if (!good && !why)
        why = {field_of(got, PG_DIAG_SQLSTATE), field_of(got, PG_DIAG_MESSAGE_PRIMARY)};
      return good;
    };
    if (preparing[i])
      if (auto prepared = line.next(); !check(prepared.get())) asked_.erase(preparing[i]);
    auto found = line.next();
    if (check(found.get())) {
      try {
        questions[i]->answer(rows{found.get()});
      } catch (const std::exception& e) {
        questions[i]->refuse({errc::internal, {}, {}, first_line(e)});
      }
    }
    if (why) refused.emplace_back(questions[i], std::move(*why));
  }
  line.next(); // the mark of the end
  line.leave();
  return refused;
}

} // namespace binnacle::persistence
