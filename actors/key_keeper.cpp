#include "actors/key_keeper.hpp"

#include "actors/async.hpp"
#include "actors/known_keys.hpp"
#include "config/base/metrics.hpp"
#include "persistence/api_keys.hpp"
#include "persistence/database.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <map>
#include <unordered_map>

namespace binnacle {
namespace {

using persistence::access;

constexpr seconds storage_patience{10};
constexpr seconds write_interval{5};
constexpr std::size_t most_waiting = 10'000;
constexpr std::size_t most_at_once = 1'000;

struct keeper_state : actor_scope<key_keeper_actor::base> {
  static inline constexpr const char* name = "key-keeper";
  explicit keeper_state(key_keeper_actor::pointer s) : actor_scope{s} {}
  ~keeper_state() { clear(); }

  // -- reading ------------------------------------------------------------------------------------

  using waiting_for_key = std::vector<caf::typed_response_promise<found_key>>;

  caf::result<found_key> find(const find_key& what) {
    if (waiting >= most_waiting) return to_error({errc::overloaded, {}, {}, "too many API keys"});
    auto reply = self()->make_response_promise<found_key>();
    wanted[what.client_id].push_back(reply);
    ++waiting;
    if (!reading) {
      reading = true;
      adopt(read());
    }
    return reply;
  }

  detached_frame read() {
    while (!wanted.empty()) {
      std::unordered_map<std::string, waiting_for_key> asked;
      std::vector<std::string> names;
      while (!wanted.empty() && names.size() < most_at_once) {
        auto node = wanted.extract(wanted.begin());
        names.push_back(node.key());
        asked.insert(std::move(node));
      }
      auto version = app->api_keys->version();
      result<std::vector<persistence::verifiable_key>> found{fault{errc::unavailable}};
      try {
        auto body = bind_sql(persistence::find_verifiable_keys, std::move(names));
        found = co_await storage_call<std::vector<persistence::verifiable_key>>{
            *this, app->storage, storage_patience, access::read, std::move(body)};
      } catch (const std::exception& e) {
        found = internal_fault(e.what());
      }
      reads.Increment();
      answer(asked, found, version);
    }
    reading = false;
  }

  void answer(std::unordered_map<std::string, waiting_for_key>& asked,
              result<std::vector<persistence::verifiable_key>>& found, std::uint64_t version) {
    std::unordered_map<std::string, std::shared_ptr<const known_key>> keys;
    if (found)
      for (auto& each : *found) {
        auto client_id = each.client_id;
        keys[client_id] = std::make_shared<const known_key>(std::move(each));
      }
    for (auto& [client_id, replies] : asked) {
      waiting -= replies.size();
      auto key = keys[client_id];
      if (found) app->api_keys->keep(client_id, key, version);
      for (auto& reply : replies) {
        if (found)
          reply.deliver(found_key{key});
        else
          reply.deliver(to_error(found.error()));
      }
    }
  }

  // -- uses ---------------------------------------------------------------------------------------

  void note(const key_used& u) {
    auto& at = uses[u.id];
    at = std::max(at, from_unix(u.at));
  }

  /// True when all was written.
  task<bool> write_out() {
    while (!uses.empty()) {
      auto written = std::exchange(uses, {});
      auto body = bind_sql(persistence::note_key_uses, written);
      auto saved = co_await storage_call<done>{*this, app->storage, storage_patience, access::write,
                                               std::move(body)};
      if (saved) continue;
      for (const auto& [id, at] : written) uses[id] = std::max(uses[id], at);
      co_return false;
    }
    co_return true;
  }

  detached_frame write_then_reply(std::vector<caf::typed_response_promise<key_uses_flushed>> to) {
    writing = true;
    auto saved = co_await write_out();
    writing = false;
    for (auto& reply : to) reply.deliver(key_uses_flushed{saved});
    if (!flushes.empty()) adopt(write_then_reply(std::exchange(flushes, {})));
  }

  void tick() {
    if (!writing && !uses.empty()) adopt(write_then_reply({}));
    self()->delayed_send(key_keeper_actor{self()}, write_interval, caf::tick_atom_v);
  }

  caf::result<key_uses_flushed> flush() {
    auto reply = self()->make_response_promise<key_uses_flushed>();
    flushes.push_back(reply);
    if (!writing) adopt(write_then_reply(std::exchange(flushes, {})));
    return reply;
  }

  services* app = nullptr;
  std::unordered_map<std::string, waiting_for_key> wanted{};
  std::size_t waiting = 0; // for a key, in `wanted` or being read
  bool reading = false;
  std::map<std::string, time_point> uses{};
  std::vector<caf::typed_response_promise<key_uses_flushed>> flushes{};
  bool writing = false;
  prometheus::Counter& reads = metrics::counter("binnacle_api_key_reads_total",
                                                "Statements that read API keys not in memory");
};

key_keeper_actor::behavior_type keeper(key_keeper_actor::stateful_pointer<keeper_state> self,
                                       services* app) {
  self->state.app = app;
  self->delayed_send(key_keeper_actor{self}, write_interval, caf::tick_atom_v);
  return {
      [self](const find_key& what) { return self->state.find(what); },
      [self](const key_used& u) { self->state.note(u); },
      [self](const flush_key_uses&) { return self->state.flush(); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

} // namespace

key_keeper_actor spawn_key_keeper(caf::actor_system& system, services& app) {
  return system.spawn(keeper, &app);
}

} // namespace binnacle
