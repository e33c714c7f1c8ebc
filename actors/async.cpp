#include "actors/async.hpp"

#include "persistence/database.hpp"

#include <caf/sec.hpp>

namespace binnacle {

fault to_fault(const caf::error& e) {
  if (e == caf::sec::request_timeout) return {errc::timed_out};
  if (e.category() == caf::atom("binnacle")) {
    fault out{static_cast<errc>(e.code())};
    if (const auto& texts = e.context(); texts.match_elements<std::string, std::string>()) {
      out.text = texts.get_as<std::string>(0);
      out.detail = texts.get_as<std::string>(1);
    }
    return out;
  }
  return {errc::unavailable, {}, {}, "actor error " + caf::to_string(e)};
}

caf::error to_error(const fault& f) { return caf::make_error(f.code, f.text, f.detail); }

namespace {

fault waited_too_long() { return {errc::timed_out, {}, {}, "waited too long for a worker"}; }

void note_outcome(const worker_tools& tools) {
  if (tools.database_up) tools.database_up->store(tools.db->connected(), std::memory_order_relaxed);
}

} // namespace

result<done> storage_job_base::run_in_transaction(
    worker_tools& tools, const std::function<result<done>(persistence::transaction&)>& body) {
  auto start = std::chrono::steady_clock::now();
  if (start > deadline) return waited_too_long();
  auto out = tools.db->run(how, body, &changes);
  took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               start);
  note_outcome(tools);
  return out;
}

void query_job_base::run(worker_tools& tools) {
  query_job_base* me[]{this};
  run_together(me, tools);
}

void query_job_base::run_together(std::span<query_job_base* const> queries, worker_tools& tools) {
  auto start = std::chrono::steady_clock::now();
  std::vector<persistence::question*> questions;
  for (auto* q : queries) {
    if (start > q->deadline)
      q->question().refuse(waited_too_long());
    else
      questions.push_back(&q->question());
  }
  if (questions.empty()) return;
  tools.db->ask(questions);
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  for (auto* q : queries) q->took = took;
  note_outcome(tools);
}

void async_scope::adopt(detached_frame frame) {
  if (!frame.finished()) frames_.push_back(std::move(frame));
}

void async_scope::resume(std::coroutine_handle<> waiter) {
  waiter.resume();
  reap();
  if (frames_.empty()) on_idle();
}

void async_scope::reap() {
  frames_.remove_if([](const detached_frame& f) { return f.finished(); });
}

} // namespace binnacle
