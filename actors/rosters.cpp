#include "actors/rosters.hpp"

#include "actors/async.hpp"
#include "actors/services.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <unordered_map>

namespace binnacle {
namespace {

constexpr minutes idle_life{15};
constexpr std::size_t most_bytes = 512 * 1024 * 1024; // of all together
constexpr std::int64_t most_changes = 20'000;         // more are read anew, all of them
constexpr seconds patience{60};                       // with a project of some million users

using shared_roster = std::shared_ptr<roster>;

result<shared_roster> read_roster(persistence::transaction& tx,
                                  const developer_project_id& project) {
  auto out = std::make_shared<roster>();
  auto as_of = persistence::read_project_users(
      tx, project, [&](persistence::project_user&& u) { out->append(u); });
  if (!as_of) return as_of.error();
  out->ready(*as_of);
  return out;
}

/// Null when too much has changed.
result<shared_roster> bring_up_to_date(persistence::transaction& tx,
                                       const developer_project_id& project, shared_roster what) {
  auto changes = persistence::project_users_changed(tx, project, what->as_of(), most_changes);
  if (!changes) return changes.error();
  if (changes->too_many) return shared_roster{};
  what->apply(*changes);
  return what;
}

struct entry {
  shared_roster what{}; // null: to be read; a job that is under way has it
  bool busy = false;
  time_point used{};
  std::vector<caf::typed_response_promise<found_roster>> waiting{};
};

struct rosters_state : actor_scope<rosters_actor::base> {
  static inline constexpr const char* name = "rosters";
  explicit rosters_state(rosters_actor::pointer s) : actor_scope{s} {}
  ~rosters_state() { clear(); }

  caf::result<found_roster> find(const developer_project_id& project) {
    auto& of = entries[project.value];
    auto reply = self()->make_response_promise<found_roster>();
    of.waiting.push_back(reply);
    of.used = app->time->now();
    if (!of.busy) adopt(serve(project, of));
    return reply;
  }

  /// Whoever has come before the database is asked shares the answer.
  detached_frame serve(developer_project_id project, entry& of) {
    of.busy = true;
    while (!of.waiting.empty()) {
      auto served = std::exchange(of.waiting, {});
      auto known = std::exchange(of.what, nullptr);
      auto first = !known;
      auto run = refresh(project, std::move(known));
      auto found = co_await std::move(run);
      if (found) of.what = *found;
      for (auto& reply : served)
        if (found)
          reply.deliver(found_roster{(*found)->view()});
        else
          reply.deliver(to_error(found.error()));
      if (first) make_room();
    }
    of.busy = false;
  }

  task<result<shared_roster>> refresh(developer_project_id project, shared_roster known) {
    if (known) {
      auto body = bind_sql(bring_up_to_date, project, std::move(known));
      auto fresh = co_await storage_call<shared_roster>{*this, app->storage, patience,
                                                        persistence::access::read, std::move(body)};
      if (!fresh || *fresh) co_return fresh;
    }
    auto body = bind_sql(read_roster, project);
    co_return co_await storage_call<shared_roster>{*this, app->storage, patience,
                                                   persistence::access::snapshot, std::move(body)};
  }

  void tick() {
    auto now = app->time->now();
    std::erase_if(entries,
                  [&](const auto& e) { return !e.second.busy && now - e.second.used > idle_life; });
    make_room();
    self()->delayed_send(rosters_actor{self()}, minutes{1}, caf::tick_atom_v);
  }

  /// Drops what was used least recently, but not what was used last.
  void make_room() {
    std::vector<std::pair<time_point, std::string>> idle;
    std::size_t bytes = 0;
    for (const auto& [project, of] : entries) {
      if (!of.what) continue;
      bytes += of.what->bytes();
      idle.emplace_back(of.used, project);
    }
    std::ranges::sort(idle);
    for (std::size_t i = 0; i + 1 < idle.size() && bytes > most_bytes; ++i) {
      auto& of = entries[idle[i].second];
      bytes -= of.what->bytes();
      of.what = nullptr; // the entry goes when it has been idle for long enough
    }
    size.Set(static_cast<double>(bytes));
  }

  services* app = nullptr;
  std::unordered_map<std::string, entry> entries{}; // whose values stay where they are
  prometheus::Gauge& size =
      metrics::gauge("binnacle_roster_bytes", "Users of developers' projects in memory");
};

rosters_actor::behavior_type rosters(rosters_actor::stateful_pointer<rosters_state> self,
                                     services* app) {
  self->state.app = app;
  self->delayed_send(rosters_actor{self}, minutes{1}, caf::tick_atom_v);
  return {
      [self](const find_roster& f) { return self->state.find(f.project); },
      [self](caf::tick_atom) { self->state.tick(); },
  };
}

} // namespace

rosters_actor spawn_rosters(caf::actor_system& system, services& app) {
  return system.spawn(rosters, &app);
}

} // namespace binnacle
