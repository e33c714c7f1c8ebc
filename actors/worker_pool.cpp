#include "actors/worker_pool.hpp"

#include "actors/async.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>

namespace binnacle {
namespace {

using worker_actor = caf::typed_actor<caf::reacts_to<work>>;

/// More share a round trip, and wait for each other longer.
constexpr std::size_t most_together = 32;

struct worker_state {
  explicit worker_state(worker_actor::pointer) {}
  worker_tools tools{};
  static inline constexpr const char* name = "worker";
};

void run(const std::vector<std::shared_ptr<job>>& what, worker_tools& tools) {
  try {
    if (what.size() == 1) return what.front()->run(tools);
    std::vector<query_job_base*> queries;
    for (const auto& j : what) queries.push_back(j->as_query());
    query_job_base::run_together(queries, tools);
  } catch (const std::exception& e) {
    log::error("job failed", {{"what", e.what()}});
  }
}

worker_actor::behavior_type worker(worker_actor::stateful_pointer<worker_state> self,
                                   const std::shared_ptr<pool_config>& config, pool_actor pool,
                                   std::uint64_t index) {
  self->state.tools = config->make_tools();
  return {[self, pool, index](work& w) {
    run(w.what, self->state.tools);
    w.what.clear(); // what is left of them belongs to who waits for them
    self->send(pool, worker_idled{index});
  }};
}

struct pool_state {
  explicit pool_state(pool_actor::pointer s) : self{s} {}

  using reply = caf::typed_response_promise<performed>;
  struct waiting_job {
    std::shared_ptr<job> what;
    reply to;
  };
  struct hand {
    worker_actor who{};
    std::vector<reply> replies{}; // to those whose jobs it runs
  };

  pool_actor::pointer self;
  std::size_t queue_limit = 0;
  std::vector<hand> workers{};
  std::vector<std::uint64_t> idle{};
  std::deque<waiting_job> waiting{};
  prometheus::Gauge* queued = nullptr;
  prometheus::Gauge* busy = nullptr;
  prometheus::Counter* refused = nullptr;
  static inline constexpr const char* name = "pool";

  void observe() {
    queued->Set(static_cast<double>(waiting.size()));
    busy->Set(static_cast<double>(workers.size() - idle.size()));
  }

  /// The oldest job, and the queries directly behind it if it is a query.
  void give_work(std::uint64_t index) {
    auto& worker = workers[index];
    work out;
    do {
      out.what.push_back(std::move(waiting.front().what));
      worker.replies.push_back(std::move(waiting.front().to));
      waiting.pop_front();
    } while (!waiting.empty() && out.what.size() < most_together && out.what.back()->as_query() &&
             waiting.front().what->as_query());
    self->send(worker.who, std::move(out));
  }

  /// Nobody will answer them any more.
  void give_up() {
    for (auto& w : workers)
      for (auto& to : w.replies) to.deliver(caf::make_error(errc::unavailable));
    for (auto& w : waiting) w.to.deliver(caf::make_error(errc::unavailable));
  }
};

pool_actor::behavior_type pool(pool_actor::stateful_pointer<pool_state> self,
                               std::shared_ptr<pool_config> config) {
  auto& state = self->state;
  state.queue_limit = config->queue;
  metrics::labels of{{"pool", config->name}};
  state.queued = &metrics::gauge("binnacle_pool_queue", "Jobs waiting for a worker", of);
  state.busy = &metrics::gauge("binnacle_pool_busy_workers", "Workers at work", of);
  state.refused = &metrics::counter("binnacle_pool_refused_total", "Jobs refused: queue full", of);
  for (std::uint64_t i = 0; i < config->workers; ++i) {
    pool_actor me{self};
    // Linked: a worker lost to a bug takes the pool down, and the supervisor makes both anew.
    state.workers.push_back({config->detached
                                 ? self->spawn<caf::detached + caf::linked>(worker, config, me, i)
                                 : self->spawn<caf::linked>(worker, config, me, i)});
    state.idle.push_back(i);
  }
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.give_up();
    self->quit(m.reason);
  });
  return {[self](perform& p) -> caf::result<performed> {
            auto& s = self->state;
            if (s.idle.empty() && s.waiting.size() >= s.queue_limit) {
              s.refused->Increment();
              return errc::overloaded;
            }
            auto reply = self->make_response_promise<performed>();
            s.waiting.push_back({std::move(p.what), reply});
            if (!s.idle.empty()) {
              auto index = s.idle.back();
              s.idle.pop_back();
              s.give_work(index);
            }
            s.observe();
            return reply;
          },
          [self](const worker_idled& w) {
            auto& s = self->state;
            auto replies = std::exchange(s.workers[w.index].replies, {});
            if (s.waiting.empty())
              s.idle.push_back(w.index);
            else
              s.give_work(w.index);
            s.observe();
            for (auto& to : replies) to.deliver(performed{});
          }};
}

} // namespace

pool_actor spawn_worker_pool(caf::actor_system& system, pool_config config) {
  return system.spawn(pool, std::make_shared<pool_config>(std::move(config)));
}

} // namespace binnacle
