#include "actors/window_keeper.hpp"

#include "actors/async.hpp"
#include "persistence/database.hpp"
#include "persistence/rate_windows.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <unordered_map>

namespace binnacle {
namespace {

constexpr seconds write_interval{5};
constexpr std::size_t batch = 1'000;
/// Keys that may wait for a database that is down; the oldest budgets are the least worth keeping.
constexpr std::size_t most_waiting = 200'000;

struct keeper_state : actor_scope<window_keeper_actor::base> {
  static inline constexpr const char* name = "window-keeper";
  explicit keeper_state(window_keeper_actor::pointer s) : actor_scope{s} {}
  ~keeper_state() { clear(); }

  void take(const keep_windows& w) {
    auto known = waiting.find(w.key);
    // The sender has counted this one in; one that replaces another, or is dropped, goes out again.
    if (known != waiting.end() || waiting.size() >= most_waiting) app->windows_unsaved.fetch_sub(1);
    if (known == waiting.end() && waiting.size() >= most_waiting) return;
    waiting[w.key] = {w.key, w.state, time_point{milliseconds{w.expires_at}}};
  }

  kept_windows recall(const std::string& key) const {
    for (auto* where : {&waiting, &writing})
      if (auto found = where->find(key); found != where->end()) return {true, found->second.state};
    return {};
  }

  /// Writes everything that waits, a batch at a time. True when all of it was written.
  task<bool> write_out() {
    while (!waiting.empty()) {
      std::vector<persistence::rate_window> rows;
      while (!waiting.empty() && rows.size() < batch) {
        auto node = waiting.extract(waiting.begin());
        rows.push_back(node.mapped());
        writing.insert(std::move(node));
      }
      auto body = bind_sql(persistence::save_rate_windows, std::move(rows));
      auto saved = co_await storage_call<done>{*this, app->storage, seconds{10},
                                               persistence::access::write, std::move(body)};
      if (!saved) {
        waiting.merge(writing); // what came in meanwhile is newer and stays
        app->windows_unsaved.fetch_sub(writing.size());
        writing.clear();
        co_return false;
      }
      written += writing.size();
      app->windows_unsaved.fetch_sub(writing.size());
      writing.clear();
    }
    co_return true;
  }

  detached_frame write_then_reply(std::optional<caf::typed_response_promise<flushed>> reply) {
    busy = true;
    auto before = written;
    auto saved = co_await write_out();
    busy = false;
    if (reply) reply->deliver(flushed{written - before, saved});
    auto next = std::exchange(flushes, {});
    for (auto& r : next) adopt(write_then_reply(r));
  }

  void tick() {
    if (!busy && !waiting.empty()) adopt(write_then_reply({}));
    self()->delayed_send(window_keeper_actor{self()}, write_interval, caf::tick_atom_v);
  }

  caf::result<flushed> flush() {
    auto reply = self()->make_response_promise<flushed>();
    if (busy)
      flushes.push_back(reply);
    else
      adopt(write_then_reply(reply));
    return reply;
  }

  services* app = nullptr;
  std::unordered_map<std::string, persistence::rate_window> waiting{};
  std::unordered_map<std::string, persistence::rate_window> writing{};
  std::vector<caf::typed_response_promise<flushed>> flushes{};
  std::uint64_t written = 0;
  bool busy = false;
};

window_keeper_actor::behavior_type keeper(window_keeper_actor::stateful_pointer<keeper_state> self,
                                          services* app) {
  self->state.app = app;
  self->delayed_send(window_keeper_actor{self}, write_interval, caf::tick_atom_v);
  return {
      [self](const keep_windows& w) { self->state.take(w); },
      [self](const recall_windows& r) { return self->state.recall(r.key); },
      [self](const flush_windows&) { return self->state.flush(); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

} // namespace

window_keeper_actor spawn_window_keeper(caf::actor_system& system, services& app) {
  return system.spawn(keeper, &app);
}

} // namespace binnacle
