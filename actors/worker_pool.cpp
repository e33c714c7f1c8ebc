#include "actors/worker_pool.hpp"

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

using worker_actor = caf::typed_actor<caf::replies_to<perform>::with<performed>>;

struct worker_state {
  explicit worker_state(worker_actor::pointer) {}
  worker_tools tools{};
  static inline constexpr const char* name = "worker";
};

worker_actor::behavior_type worker(worker_actor::stateful_pointer<worker_state> self,
                                   const std::shared_ptr<pool_config>& config, pool_actor pool,
                                   std::uint64_t index) {
  self->state.tools = config->make_tools();
  return {[self, pool, index](const perform& p) {
    try {
      p.what->run(self->state.tools);
    } catch (const std::exception& e) {
      log::error("job failed", {{"what", e.what()}});
    }
    self->send(pool, worker_idled{index});
    return performed{};
  }};
}

struct pool_state {
  explicit pool_state(pool_actor::pointer) {}

  struct waiting_job {
    perform what;
    caf::typed_response_promise<performed> reply;
  };
  std::size_t queue_limit = 0;
  std::vector<worker_actor> workers{};
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
    state.workers.push_back(config->detached
                                ? self->spawn<caf::detached + caf::linked>(worker, config, me, i)
                                : self->spawn<caf::linked>(worker, config, me, i));
    state.idle.push_back(i);
  }
  return {[self](perform& p) -> caf::result<performed> {
            auto& s = self->state;
            if (!s.idle.empty()) {
              auto index = s.idle.back();
              s.idle.pop_back();
              s.observe();
              return self->delegate(s.workers[index], std::move(p));
            }
            if (s.waiting.size() >= s.queue_limit) {
              s.refused->Increment();
              return errc::overloaded;
            }
            auto reply = self->make_response_promise<performed>();
            s.waiting.push_back({std::move(p), reply});
            s.observe();
            return reply;
          },
          [self](const worker_idled& w) {
            auto& s = self->state;
            if (s.waiting.empty()) {
              s.idle.push_back(w.index);
            } else {
              auto next = std::move(s.waiting.front());
              s.waiting.pop_front();
              next.reply.delegate(s.workers[w.index], std::move(next.what));
            }
            s.observe();
          },
          [self](const get_status&) {
            auto& s = self->state;
            return status{{{"workers", static_cast<std::int64_t>(s.workers.size())},
                           {"idle", static_cast<std::int64_t>(s.idle.size())},
                           {"waiting", static_cast<std::int64_t>(s.waiting.size())}}};
          }};
}

} // namespace

pool_actor spawn_worker_pool(caf::actor_system& system, pool_config config) {
  return system.spawn(pool, std::make_shared<pool_config>(std::move(config)));
}

} // namespace binnacle
