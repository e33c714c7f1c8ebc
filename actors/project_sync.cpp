#include "actors/project_sync.hpp"

#include "actors/hopsworks.hpp"
#include "actors/patient_scope.hpp"
#include "config/base/json.hpp"
#include "config/base/log.hpp"
#include "persistence/database.hpp"
#include "persistence/hopsworks_accounts.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <set>

namespace binnacle {
namespace {

using persistence::access;
using persistence::cluster;
using persistence::cluster_account;
using persistence::transaction;

constexpr seconds heartbeat{1};
/// Of one call to Hopsworks: a list of thousands.
constexpr seconds call_patience{60};

const cluster_account* owner_called(const std::vector<cluster_account>& accounts,
                                    const std::string& username) {
  auto found = std::ranges::find_if(accounts, [&](const auto& a) {
    return a.owns_projects && !username.empty() && a.username == username;
  });
  return found == accounts.end() ? nullptr : &*found;
}

/// What the accounts are now; the id tells who is who, as names may change.
result<done> refresh(transaction& tx, const cluster_listing& listing,
                     std::vector<cluster_account>& accounts) {
  for (auto& a : accounts) {
    auto seen = std::ranges::find(listing.users, a.id, &hopsworks::user::id);
    if (seen == listing.users.end() ||
        (seen->username == a.username && seen->active_projects == a.active_projects))
      continue;
    a.username = seen->username;
    auto stored = persistence::store_hopsworks_account(
        tx, a.who, listing.where.id, {seen->id, seen->username, seen->active_projects});
    if (!stored) return stored;
  }
  return done{};
}

/// The outcome of a run.
struct sync_report {
  std::int64_t clusters = 0, failed = 0, users = 0, users_with_projects = 0, found = 0, synced = 0,
               deactivated = 0;
  std::vector<std::string> errors{};

  void add(const std::string& where, const result<cluster_sync>& of) {
    ++clusters;
    if (!of) {
      ++failed;
      errors.push_back(where + ": " + std::string{of.error().message()});
      return;
    }
    users += of->users;
    users_with_projects += of->users_with_projects;
    found += of->found;
    synced += of->changes.synced;
    deactivated += of->changes.deactivated;
    for (const auto& name : of->changes.refused)
      errors.push_back(where + ": namespace " + name + " belongs to another user");
    if (of->changes.kept > 0)
      errors.push_back(where + ": Hopsworks lists no projects; none was deactivated");
  }

  std::string to_json(milliseconds took) const {
    json::array said;
    for (const auto& e : errors) said.emplace_back(e);
    auto message = "Synced " + std::to_string(synced) + " projects of " + std::to_string(users) +
                   " users on " + std::to_string(clusters) + " clusters";
    json::object stats{{"totalUsers", users},
                       {"usersWithProjects", users_with_projects},
                       {"totalProjectsFound", found},
                       {"totalProjectsSynced", synced},
                       {"projectsDeactivated", deactivated},
                       {"errors", std::move(said)},
                       {"syncDuration", took.count()}};
    return json::to_text(json::object{{"success", errors.empty()},
                                      {"message", std::move(message)},
                                      {"stats", std::move(stats)},
                                      {"totalProjects", synced}});
  }
};

struct project_sync_state : patient_scope<project_sync_actor::base> {
  static inline constexpr const char* name = "project-sync";
  explicit project_sync_state(project_sync_actor::pointer s) : patient_scope{s} {}
  ~project_sync_state() { clear(); }

  using promise = caf::typed_response_promise<synced_projects>;

  template <class T>
  auto ask(const cluster& c, hopsworks::call what,
           result<T> (*read)(const integrations::http_answer&)) {
    return ask_hopsworks(*this, self(), app->hopsworks, call_patience, c, std::move(what), read);
  }

  // -- a run --------------------------------------------------------------------------------------

  caf::result<synced_projects> take() {
    if (busy && waiting.size() >= config.queue) return errc::overloaded;
    auto reply = self()->make_response_promise<synced_projects>();
    if (busy)
      waiting.push_back(reply);
    else
      adopt(serve(reply));
    return reply;
  }

  detached_frame serve(promise reply) {
    busy = true;
    result<synced_projects> out{fault{}};
    try {
      out = co_await sync();
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    if (!out) log::error("projects not synced", {{"why", to_string(out.error())}});
    out ? reply.deliver(std::move(*out)) : reply.deliver(to_error(out.error()));
    busy = false;
    if (waiting.empty()) co_return;
    auto next = std::move(waiting.front());
    waiting.pop_front();
    adopt(serve(next));
  }

  task<result<synced_projects>> sync() {
    auto began = std::chrono::steady_clock::now();
    auto listing = bind_sql(config.clusters);
    auto clusters =
        co_await stored<std::vector<cluster>>(app->storage, access::read, std::move(listing));
    if (!clusters) co_return clusters.error();
    std::erase_if(*clusters, [](const auto& c) { return c.api_key_sealed.empty(); });
    sync_report report;
    for (const auto& c : *clusters) {
      auto one = co_await sync_cluster(c);
      if (!one)
        log::warn("projects of a cluster not synced",
                  {{"cluster", c.id.value}, {"why", to_string(one.error())}});
      report.add(c.name, one);
    }
    auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
    log::info("projects synced", {{"clusters", report.clusters},
                                  {"clusters_failed", report.failed},
                                  {"projects", report.synced},
                                  {"deactivated", report.deactivated}});
    co_return synced_projects{report.synced, std::ssize(report.errors), report.to_json(took)};
  }

  task<result<cluster_sync>> sync_cluster(const cluster& c) {
    auto listing = co_await list(c);
    if (!listing) co_return listing.error();
    auto body = bind_sql(config.apply, std::move(*listing), app->time->now());
    co_return co_await stored<cluster_sync>(app->storage, access::write, std::move(body));
  }

  task<result<cluster_listing>> list(const cluster& c) {
    auto users = co_await ask(c, hopsworks::list_users(), hopsworks::read_users);
    if (!users) co_return users.error();
    auto projects = co_await ask(c, hopsworks::list_projects(), hopsworks::read_projects);
    if (!projects) co_return projects.error();
    cluster_listing out;
    out.where = c;
    out.users = std::move(*users);
    out.projects = std::move(*projects);
    co_return out;
  }

  // -- owners of namespaces -----------------------------------------------------------------------

  caf::result<found_project_owners> find(const find_project_owners& what) {
    auto reply = self()->make_response_promise<found_project_owners>();
    adopt(serve_search(what, reply));
    return reply;
  }

  detached_frame serve_search(find_project_owners what,
                              caf::typed_response_promise<found_project_owners> reply) {
    result<found_project_owners> out{fault{}};
    try {
      out = co_await search(what);
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    if (!out)
      log::warn("owners of namespaces not found",
                {{"cluster", what.cluster.value}, {"why", to_string(out.error())}});
    reply.deliver(out ? std::move(*out) : found_project_owners{});
  }

  task<result<found_project_owners>> search(const find_project_owners& what) {
    auto find_it = bind_sql(persistence::find_cluster, what.cluster);
    auto known =
        co_await stored<std::optional<cluster>>(app->storage, access::read, std::move(find_it));
    if (!known) co_return known.error();
    if (!*known || (*known)->api_key_sealed.empty()) co_return found_project_owners{};
    auto listing = co_await list(**known);
    if (!listing) co_return listing.error();
    auto body = bind_sql(config.assign, std::move(*listing), what.namespaces, app->time->now());
    co_return co_await stored<found_project_owners>(app->storage, access::write, std::move(body));
  }

  services* app = nullptr;
  project_sync_config config{};
  std::deque<promise> waiting{};
  bool busy = false;
};

project_sync_actor::behavior_type
project_sync(project_sync_actor::stateful_pointer<project_sync_state> self, services* app,
             project_sync_config config) {
  self->state.app = app;
  self->state.config = std::move(config);
  self->delayed_send(project_sync_actor{self}, heartbeat, caf::tick_atom_v);
  return {[self](const sync_projects&) { return self->state.take(); },
          [self](const find_project_owners& f) { return self->state.find(f); },
          [self](caf::tick_atom) {
            self->delayed_send(project_sync_actor{self}, heartbeat, caf::tick_atom_v);
            self->state.wake_sleepers();
          }};
}

} // namespace

result<cluster_sync> apply_listing(transaction& tx, const cluster_listing& listing,
                                   time_point now) {
  auto accounts = persistence::accounts_on_cluster(tx, listing.where.id);
  if (!accounts) return accounts.error();
  if (auto fresh = refresh(tx, listing, *accounts); !fresh) return fresh.error();
  cluster_sync out;
  out.users = std::ranges::count_if(*accounts, &cluster_account::owns_projects);
  std::vector<persistence::seen_project> seen;
  std::set<std::string> owners;
  for (const auto& p : listing.projects)
    if (const auto* owner = owner_called(*accounts, p.owner)) {
      seen.push_back({owner->who, p.id, p.name});
      owners.insert(owner->who.value);
    }
  out.found = std::ssize(seen);
  out.users_with_projects = std::ssize(owners);
  auto changes =
      persistence::sync_projects(tx, listing.where.id, seen, listing.projects.size(), now);
  if (!changes) return changes.error();
  out.changes = std::move(*changes);
  return out;
}

result<found_project_owners> assign_found(transaction& tx, const cluster_listing& listing,
                                          const std::vector<std::string>& namespaces,
                                          time_point now) {
  auto accounts = persistence::accounts_on_cluster(tx, listing.where.id);
  if (!accounts) return accounts.error();
  found_project_owners out;
  for (const auto& name_space : namespaces) {
    auto wanted = persistence::namespace_of_project(name_space);
    auto found = std::ranges::find_if(listing.projects, [&](const hopsworks::project& p) {
      return persistence::namespace_of_project(p.name) == wanted &&
             owner_called(*accounts, p.owner);
    });
    if (found == listing.projects.end()) continue;
    persistence::project one{.owner = owner_called(*accounts, found->owner)->who,
                             .cluster = listing.where.id,
                             .name = found->name,
                             .name_space = name_space,
                             .upstream_id = found->id};
    if (auto assigned = persistence::assign_project(tx, one, now); !assigned)
      return assigned.error();
    out.projects.push_back(std::move(one));
  }
  return out;
}

project_sync_actor spawn_project_sync(caf::actor_system& system, services& app,
                                      project_sync_config config) {
  return system.spawn(project_sync, &app, std::move(config));
}

} // namespace binnacle
