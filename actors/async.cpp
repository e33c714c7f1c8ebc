#include "actors/async.hpp"

#include "persistence/database.hpp"

#include <caf/sec.hpp>

namespace binnacle {

fault to_fault(const caf::error& e) {
  if (e == errc::overloaded) return {errc::overloaded};
  if (e == caf::sec::request_timeout) return {errc::timed_out};
  if (e.category() == caf::atom("binnacle")) return {static_cast<errc>(e.code())};
  return {errc::unavailable, {}, {}, "actor error " + caf::to_string(e)};
}

result<done> storage_job_base::run_in_transaction(
    worker_tools& tools, const std::function<result<done>(persistence::transaction&)>& body) {
  auto start = std::chrono::steady_clock::now();
  if (start > deadline) return fault{errc::timed_out, {}, {}, "waited too long for a worker"};
  auto out = tools.db->run(how, body, &changes);
  took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               start);
  if (tools.database_up) tools.database_up->store(tools.db->connected(), std::memory_order_relaxed);
  return out;
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
