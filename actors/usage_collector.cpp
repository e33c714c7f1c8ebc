#include "actors/usage_collector.hpp"

#include "actors/cluster_links.hpp"
#include "actors/collection_run.hpp"
#include "actors/one_at_a_time.hpp"
#include "actors/patient_scope.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <map>
#include <set>

namespace binnacle {
namespace {

using persistence::access;
using persistence::transaction;
using hour_list = std::vector<time_point>;
template <class T>
using sql = std::function<result<T>(transaction&)>;

constexpr seconds heartbeat{1};
/// A dead node's hours are free again after this; a living one renews its claims well before.
constexpr seconds lease{30};
constexpr seconds renewal{10};
constexpr std::size_t batch_hours = 24;
constexpr std::size_t batch_rows = 20'000;
/// So many hours in a row that OpenCost fails for, and the cluster is left for the next time.
constexpr int most_failures = 3;
constexpr std::int64_t most_missing = 24 * 366;
/// For what need not succeed: claims run out by themselves.
constexpr seconds claim_patience{60};
/// Usage is booked for nobody meanwhile, and theirs as soon as they are known.
constexpr seconds search_patience{30};
/// Without the front end nobody reads.
constexpr seconds catching_up{10};

fault no_clusters() { return {errc::unprocessable, "No cluster has a kubeconfig", {}, {}}; }

/// A booking that is not to last is made and rolled back, so that the report can say exactly what
/// it would have been.
constexpr errc rolled_back = errc::none;

sql<persistence::booking> booking_of(const usage_books& books, cluster_id cluster,
                                     std::vector<persistence::hour_of_usage> hours, time_point now,
                                     std::shared_ptr<persistence::booking> tried) {
  // Copies: the worker may run it when the collector has ended.
  return [book = books.book, cluster = std::move(cluster), hours = std::move(hours), now,
          tried = std::move(tried)](transaction& tx) -> result<persistence::booking> {
    auto booked = book(tx, cluster, hours, now);
    if (!booked || !tried) return booked;
    *tried = std::move(*booked);
    return fault{rolled_back};
  };
}

struct collector_state : patient_scope<usage_collector_actor::base> {
  static inline constexpr const char* name = "usage-collector";
  explicit collector_state(usage_collector_actor::pointer s) : patient_scope{s} {}
  ~collector_state() { clear(); }

  task<result<collection>> serve(collect_usage what) {
    result<collection> out{fault{}};
    try {
      out = co_await collect(what);
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    claims.clear();
    // Who reads when the answer is there sees what was booked, whatever the session had kept.
    co_await asking<caught_up, usage_collector_actor::base, front_end_actor, catch_up>{
        *this, self(), app->front_end, catching_up, catch_up{}};
    if (!out) {
      // A fresh installation has no cluster yet: that is no fault of anybody's.
      auto at = out.error().code == errc::unprocessable ? log::level::info : log::level::error;
      log::write(at, "nothing collected", {{"why", to_string(out.error())}});
      count_run("failed");
    }
    co_return std::move(out);
  }

  /// Notices come by way of the database as well; this one is not late.
  void on_committed(const std::vector<persistence::change>& changes) override {
    self()->send(app->front_end, changed{changes, true});
  }

  // -- a collection ---------------------------------------------------------------------------

  task<result<collection>> collect(collect_usage what) {
    auto now = app->time->now();
    auto range = plan_collection(what, now, app->config.collector.backfill_hours);
    if (!range) co_return range.error();
    auto listing = bind_sql(config.books.clusters);
    auto known = co_await stored<std::vector<persistence::cluster>>(app->storage, access::read,
                                                                    std::move(listing));
    if (!known) co_return known.error();
    std::erase_if(*known, [](const auto& c) { return c.kubeconfig_sealed.empty(); });
    links->keep_only(*known);
    if (known->empty()) co_return no_clusters();

    auto run = std::make_shared<collection_run>();
    run->what = what;
    run->report = collection_report{now, what.dry_run};
    again = what.again;
    for (const auto& cluster : *known) {
      auto hours = co_await hours_of(cluster.id, what, *range);
      if (!hours) co_return hours.error();
      auto index = run->report.add_cluster(cluster.id, cluster.name);
      run->total += static_cast<std::int64_t>(hours->size());
      run->todo.push_back({cluster, index, {hours->begin(), hours->end()}});
    }
    step(*run, 0);

    auto count = std::min(config.lanes, run->todo.size());
    run->open.opened(count);
    for (auto i = count; i > 0; --i) adopt(lane(run));
    co_await run->open.all_closed();
    step(*run, run->total - run->done); // a claim that failed was not counted
    co_await note_progress(what, *range, std::move(*known));
    co_return finish(*run);
  }

  /// The hours to ask for, newest first; the present one before all others.
  task<result<hour_list>> hours_of(cluster_id cluster, collect_usage what, collection_range range) {
    hour_list out;
    if (range.present_hour) out.push_back(range.to);
    if (what.again) {
      for (auto hour : hours_newest_first(range.from, range.to)) out.push_back(hour);
      co_return std::move(out);
    }
    auto body =
        bind_sql(config.books.missing, std::move(cluster), range.from, range.to, most_missing);
    auto missing = co_await stored<hour_list>(app->storage, access::read, std::move(body));
    if (!missing) co_return missing.error();
    out.insert(out.end(), missing->rbegin(), missing->rend());
    co_return std::move(out);
  }

  collection finish(const collection_run& run) {
    auto out = run.report.finish();
    auto failed = run.report.failed_clusters();
    count_run(failed == 0 ? "success" : failed < run.report.clusters() ? "partial" : "failed");
    if (!run.what.dry_run) {
      hours_total->Increment(static_cast<double>(out.hours));
      if (failed == 0) last_success->Set(static_cast<double>(unix_seconds(app->time->now())));
    }
    log::info("usage collected", {{"clusters", run.report.clusters()},
                                  {"clusters_failed", failed},
                                  {"hours", out.hours},
                                  {"hours_held", out.held},
                                  {"namespaces", out.successful},
                                  {"failed", out.failed},
                                  {"dry_run", run.what.dry_run}});
    return out;
  }

  /// Up to when all hours of all clusters are there, for the lag.
  task<done> note_progress(collect_usage what, collection_range range,
                           std::vector<persistence::cluster> clusters) {
    if (what.dry_run || what.from != 0 || what.to != 0) co_return done{};
    auto until = range.to;
    for (const auto& c : clusters) {
      auto body = bind_sql(config.books.missing, c.id, range.from, range.to, std::int64_t{1});
      auto oldest = co_await stored<hour_list>(app->storage, access::read, std::move(body));
      if (!oldest) co_return done{};
      if (!oldest->empty()) until = std::min(until, oldest->front());
    }
    collected_until = until;
    show_lag();
    co_return done{};
  }

  // -- lanes: clusters side by side -----------------------------------------------------------

  detached_frame lane(run_ptr run) {
    while (!run->todo.empty()) {
      auto plan = std::move(run->todo.front());
      run->todo.pop_front();
      try {
        auto collected = co_await collect_cluster(run, plan);
        if (!collected) fail(*run, plan.index, collected.error());
      } catch (const std::exception& e) {
        fail(*run, plan.index, internal_fault(e.what()));
      }
      co_await cluster_plan::end_of_booking{plan};
      if (plan.failure) fail(*run, plan.index, *plan.failure);
      claims.erase(plan.what.id);
      step(*run, static_cast<std::int64_t>(plan.hours.size())); // those it did not come to
    }
    run->open.closed(*this);
  }

  void fail(collection_run& run, std::size_t cluster, const fault& why) {
    log::warn("cluster not collected", {{"why", to_string(why)}});
    run.report.add_failure(cluster, std::string{why.message()});
  }

  /// Asks for one batch of hours after the other; each is booked while the next is asked for.
  task<result<done>> collect_cluster(run_ptr run, cluster_plan& plan) {
    auto opencost = links->open(*self(), plan.what);
    if (!opencost) co_return opencost.error();
    while (!plan.hours.empty() && !plan.failure) {
      auto wanted = plan.next(batch_hours);
      auto claimed = co_await claim(run, plan.what.id, wanted);
      if (!claimed) co_return claimed.error();
      auto asked = co_await ask_for(run, plan, *opencost, std::move(*claimed));
      co_await cluster_plan::end_of_booking{plan};
      auto last = asked.give_up;
      plan.booking = true;
      adopt(settle(run, plan, std::move(asked)));
      if (last) break;
    }
    co_return done{};
  }

  /// Books what there is of a batch and gives the rest of its claims back.
  detached_frame settle(run_ptr run, cluster_plan& plan, collected_batch asked) {
    try {
      auto booked = co_await book(run, plan, asked);
      if (!booked) {
        plan.failure = booked.error();
        hour_list failed;
        for (const auto& h : asked.hours) failed.push_back(h.hour);
        asked.given_back["not booked: " + to_string(booked.error())] = std::move(failed);
      }
      // Not waited for long: what cannot be given back runs out by itself.
      if (!run->what.dry_run) co_await give_back(plan.what.id, asked);
    } catch (const std::exception& e) {
      plan.failure = internal_fault(e.what());
    }
    auto& claimed = claims[plan.what.id];
    for (const auto& h : asked.hours) claimed.erase(h.hour);
    for (const auto& [why, hours] : asked.given_back)
      for (auto hour : hours) claimed.erase(hour);
    plan.booking = false;
    if (auto waiter = std::exchange(plan.after_booking, {})) resume(waiter);
  }

  sql<hour_list> claim_of(const cluster_id& cluster, const hour_list& hours) {
    return bind_sql(config.books.claim, cluster, hours, app->node, milliseconds{lease}, again,
                    app->time->now());
  }

  /// Which of the hours are ours to collect, in the order given.
  task<result<hour_list>> claim(run_ptr run, cluster_id cluster, hour_list wanted) {
    if (run->what.dry_run) co_return std::move(wanted);
    auto body = claim_of(cluster, wanted);
    auto got = co_await stored<hour_list>(app->storage, access::write, std::move(body));
    if (!got) co_return got.error();
    hour_list out, held;
    for (auto hour : wanted)
      (std::ranges::find(*got, hour) == got->end() ? held : out).push_back(hour);
    auto present = start_of_hour(app->time->now());
    run->report.add_held(std::ranges::count_if(held, [&](auto h) { return h < present; }));
    step(*run, static_cast<std::int64_t>(held.size()));
    claims[cluster].insert(out.begin(), out.end());
    co_return std::move(out);
  }

  task<collected_batch> ask_for(run_ptr run, cluster_plan& plan, opencost_actor opencost,
                                hour_list wanted) {
    collected_batch out;
    int failures = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (out.rows >= batch_rows) { // enough for one transaction: the rest is the next batch
        plan.put_back(wanted.begin() + static_cast<std::ptrdiff_t>(i), wanted.end());
        break;
      }
      auto window = window_of(wanted[i], app->time->now());
      query_allocations query{unix_seconds(window.hour), unix_seconds(window.to)};
      auto answer =
          co_await asking<allocations, usage_collector_actor::base, opencost_actor,
                          query_allocations>{*this, self(), opencost, query_patience, query};
      step(*run, 1);
      auto why = !answer               ? std::string{answer.error().message()}
                 : !answer->set        ? answer->failure
                 : !answer->set->known ? "OpenCost has no data for this hour"
                                       : std::string{};
      if (why.empty()) {
        out.windows.push_back(window);
        out.hours.push_back(to_hour_of_usage(window, *answer->set));
        out.rows += answer->set->rows.size();
        failures = 0;
        continue;
      }
      out.given_back[why].push_back(wanted[i]);
      if (answer && answer->set) continue; // no data is an answer, too
      run->report.add_failure(plan.index, why);
      if (++failures < most_failures) continue;
      out.give_up = true;
      auto rest = hour_list(wanted.begin() + static_cast<std::ptrdiff_t>(i) + 1, wanted.end());
      step(*run, static_cast<std::int64_t>(rest.size()));
      if (!rest.empty()) out.given_back["not tried: OpenCost failed for hours before"] = rest;
      break;
    }
    co_return std::move(out);
  }

  /// One booking at a time: in the database they would wait for each other, each with a worker.
  task<result<done>> book(run_ptr run, cluster_plan& plan, collected_batch& asked) {
    if (asked.hours.empty()) co_return done{};
    auto tried = run->what.dry_run ? std::make_shared<persistence::booking>() : nullptr;
    auto body = booking_of(config.books, plan.what.id, asked.hours, app->time->now(), tried);
    co_await turn{*this};
    result<persistence::booking> booked{fault{}};
    try {
      booked = co_await stored<persistence::booking>(app->storage, access::write, std::move(body));
    } catch (const std::exception& e) {
      booked = internal_fault(e.what()); // the turn must end all the same
    }
    end_turn();
    if (!booked && tried && booked.error().code == rolled_back) booked = std::move(*tried);
    if (!booked) co_return booked.error();
    if (!run->what.dry_run) co_await find_owners(*run, plan.what.id, *booked);
    run->report.add_booking(plan.index, asked.windows, asked.hours, *booked);
    co_return done{};
  }

  /// Asks Hopsworks whose the namespaces are that we know nothing of, each once in a run. What was
  /// booked for them is theirs then.
  task<done> find_owners(collection_run& run, const cluster_id& cluster,
                         persistence::booking& booked) {
    find_project_owners wanted;
    wanted.cluster = cluster;
    for (const auto& r : booked.rows)
      if (r.owner.empty() && run.searched.emplace(cluster, r.name_space).second)
        wanted.namespaces.push_back(r.name_space);
    if (!app->project_sync || wanted.namespaces.empty()) co_return done{};
    auto found = co_await asking<found_project_owners, usage_collector_actor::base,
                                 project_sync_actor, find_project_owners>{
        *this, self(), app->project_sync, search_patience, std::move(wanted)};
    if (!found) co_return done{};
    for (const auto& p : found->projects)
      for (auto& r : booked.rows)
        if (r.name_space == p.name_space) {
          r.owner = p.owner;
          r.project_name = p.name;
        }
    co_return done{};
  }

  task<done> give_back(cluster_id cluster, const collected_batch& asked) {
    for (const auto& [why, hours] : asked.given_back) {
      auto body = bind_sql(config.books.release, cluster, hours, app->node, why, app->time->now());
      co_await storage_call<done>{*this, app->storage, claim_patience, access::write,
                                  std::move(body)};
    }
    co_return done{};
  }

  // -- claims ---------------------------------------------------------------------------------

  /// Runs beside the lanes, so that a slow OpenCost does not cost us the hours that wait for it.
  detached_frame renew_claims() {
    renewing = true;
    try {
      auto present = claims;
      for (const auto& [cluster, hours] : present) {
        if (hours.empty() || !claims.contains(cluster)) continue; // ended while we waited
        auto body = claim_of(cluster, {hours.begin(), hours.end()});
        co_await storage_call<hour_list>{*this, app->storage, claim_patience, access::write,
                                         std::move(body)};
      }
    } catch (const std::exception& e) {
      log::warn("claims not renewed", {{"why", e.what()}});
    }
    renewing = false;
  }

  void tick() {
    self()->delayed_send(usage_collector_actor{self()}, heartbeat, caf::tick_atom_v);
    show_lag();
    auto now = self()->clock().now();
    if (!claims.empty() && !renewing && now >= next_renewal) {
      next_renewal = now + renewal;
      adopt(renew_claims());
    }
    wake_sleepers();
  }

  void show_lag() {
    if (collected_until == time_point{}) return;
    lag->Set(std::chrono::duration<double>(app->time->now() - collected_until).count());
  }

  void step(collection_run& run, std::int64_t hours) {
    run.done += hours;
    if (config.on_progress) config.on_progress(run.done, run.total);
  }

  void count_run(const char* outcome) {
    metrics::counter("binnacle_collector_runs_total", "Collections", {{"outcome", outcome}})
        .Increment();
  }

  services* app = nullptr;
  collector_config config{};
  caf::timespan query_patience{};
  std::unique_ptr<cluster_links> links{};
  one_at_a_time<collect_usage, collection> collections{
      *this, [this](collect_usage what) { return serve(what); }};
  bool again = false;                                  // of the collection that runs
  std::map<cluster_id, std::set<time_point>> claims{}; // being worked on
  bool renewing = false;
  caf::actor_clock::time_point next_renewal{};
  time_point collected_until{};
  prometheus::Counter* hours_total = nullptr;
  prometheus::Gauge* last_success = nullptr;
  prometheus::Gauge* lag = nullptr;
};

usage_collector_actor::behavior_type
collector(usage_collector_actor::stateful_pointer<collector_state> self, services* app,
          collector_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  state.query_patience = longest_query(opencost_config_of(app->config.collector)) + minutes{1};
  state.links = std::make_unique<cluster_links>(*app, state.config.opencost);
  state.hours_total = &metrics::counter("binnacle_collector_hours_total", "Hours booked");
  state.last_success = &metrics::gauge("binnacle_collector_last_success_seconds",
                                       "Unix time of the last collection without a fault");
  state.lag = &metrics::gauge("binnacle_collector_lag_seconds",
                              "Since the end of the last hour up to which everything is collected");
  self->set_down_handler([self](const caf::down_msg& m) { self->state.links->forget(m.source); });
  self->delayed_send(usage_collector_actor{self}, heartbeat, caf::tick_atom_v);
  return {[self](const collect_usage& what) {
            auto& s = self->state;
            return s.collections.take(self, what, s.config.queue);
          },
          [self](caf::tick_atom) { self->state.tick(); }};
}

} // namespace

usage_collector_actor spawn_usage_collector(caf::actor_system& system, services& app,
                                            collector_config config) {
  return system.spawn(collector, &app, std::move(config));
}

} // namespace binnacle
