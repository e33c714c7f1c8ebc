#include "actors/timers.hpp"

#include "actors/async.hpp"
#include "actors/reconciler.hpp"
#include "actors/token_pairs.hpp"
#include "config/base/json.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "integrations/object_cache.hpp"
#include "persistence/api_keys.hpp"
#include "persistence/credits.hpp"
#include "persistence/database.hpp"
#include "persistence/idempotency.hpp"
#include "persistence/mail.hpp"
#include "persistence/newsletter.hpp"
#include "persistence/project_users.hpp"
#include "persistence/rate_windows.hpp"
#include "persistence/refresh_tokens.hpp"
#include "persistence/stripe_events.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <array>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <random>

namespace binnacle {
namespace {

using persistence::access;

constexpr seconds heartbeat{1};
constexpr seconds storage_patience{10};
/// After a database or an actor was not there.
constexpr seconds soon{5};
/// A run that another node claimed is looked at again after this: that node may have died.
constexpr seconds second_look{60};
constexpr std::int64_t most_expiring = 1'000; // users in a sweep
/// Hours that another collector was at are free again by then if it has died.
constexpr seconds after_held_hours{45};
/// A long backfill may take that long; our claim on the timer does not, as hours have their own.
constexpr hours collection_patience{6};
constexpr seconds show_interval{60};
constexpr minutes healing_patience{10};
/// Longer than Stripe can be asked for an event, and than anybody wonders about one.
constexpr hours payload_life{90 * 24};
constexpr std::int64_t payloads_per_sweep = 10'000;
/// An object whose removal fails is tried again after this.
constexpr minutes removal_lease{5};
constexpr std::int64_t objects_per_removal = 100;
constexpr seconds removal_patience{30};
/// What became of a mail can be seen for that long.
constexpr hours mail_record_life{90 * 24};
constexpr std::int64_t mails_per_sweep = 10'000;
constexpr std::int64_t project_users_per_sweep = 10'000; // of deleted projects
/// Longer than a roster lives that nobody brings up to date.
constexpr hours removal_memory{24};
/// Whoever follows a link that late is still told that it has expired.
constexpr hours expired_link_life{7 * 24};
/// An API key is listed as revoked for that long.
constexpr hours revoked_key_life{90 * 24};

/// What a run did: JSON for the table, and whether to run once more outside the schedule.
struct run_outcome {
  std::string json{};
  std::optional<seconds> again_in{};
};

struct timers_state;
struct schedule {
  const char* name;
  task<run_outcome> (timers_state::*run)();
  persistence::timer_rhythm rhythm{};
  milliseconds jitter{};
  milliseconds lease{};
  bool always = false; // run at the next chance even if no run is due
  bool running = false;
  time_point not_before{};
};

struct timers_state : actor_scope<timers_actor::base> {
  static inline constexpr const char* name = "timers";
  explicit timers_state(timers_actor::pointer s) : actor_scope{s} {}
  ~timers_state() { clear(); }

  void tick() {
    self()->delayed_send(timers_actor{self()}, heartbeat, caf::tick_atom_v);
    log::flush();
    auto now = app->time->now();
    for (auto& s : schedules)
      if (!s.running && now >= s.not_before) adopt(attend(s));
    if (now >= next_show) {
      next_show = now + show_interval;
      adopt(show());
    }
  }

  detached_frame attend(schedule& s) {
    s.running = true;
    try {
      s.not_before = co_await run_if_due(s);
    } catch (const std::exception& e) {
      log::error("timer failed", {{"timer", s.name}, {"why", e.what()}});
      s.not_before = app->time->now() + soon;
    }
    s.running = false;
  }

  /// When to look again.
  task<time_point> run_if_due(schedule& s) {
    std::string timer = s.name;
    auto claim =
        bind_sql(config.books.claim, timer, app->node, s.rhythm, s.lease, app->time->now());
    auto claimed = co_await storage_call<bool>{*this, app->storage, storage_patience, access::write,
                                               std::move(claim)};
    if (!claimed) co_return app->time->now() + soon;
    if (!*claimed && !s.always)
      co_return std::min<time_point>(next_of(s), app->time->now() + second_look);

    s.always = false;
    auto outcome = co_await (this->*s.run)();
    if (*claimed) {
      auto finish = bind_sql(config.books.finish, timer, app->node, outcome.json, app->time->now());
      auto finished = co_await storage_call<done>{*this, app->storage, storage_patience,
                                                  access::write, std::move(finish)};
      if (!finished) log::warn("timer not finished", {{"why", to_string(finished.error())}});
      adopt(show());
    }
    if (!outcome.again_in) co_return next_of(s);
    s.always = true;
    co_return std::min<time_point>(next_of(s), app->time->now() + *outcome.again_in);
  }

  task<run_outcome> collect() {
    run_outcome out;
    auto got =
        co_await asking<collection, timers_actor::base, usage_collector_actor, collect_usage>{
            *this, self(), app->usage_collector, collection_patience, collect_usage{}};
    if (got) {
      out.json = json::to_text(json::object{{"successful", got->successful},
                                            {"failed", got->failed},
                                            {"hours", got->hours},
                                            {"hoursHeld", got->held}});
      if (got->held > 0) out.again_in = after_held_hours;
    } else if (got.error().code == errc::unprocessable) {
      out.json = json::to_text(json::object{{"skipped", "no cluster has a kubeconfig"}});
    } else {
      out.json = json::to_text(json::object{{"error", describe(got.error().code).name}});
      out.again_in = second_look;
    }
    co_return std::move(out);
  }

  task<run_outcome> sync_meters_daily() { return report_meters({}); }
  task<run_outcome> resend_meters() { return report_meters({.plan = false}); }

  task<run_outcome> report_meters(sync_meters what) {
    run_outcome out;
    auto got = co_await asking<meter_sync, timers_actor::base, meter_sync_actor, sync_meters>{
        *this, self(), app->meter_sync, collection_patience, what};
    if (got) {
      out.json = std::move(got->report);
    } else {
      out.json = json::to_text(json::object{{"error", describe(got.error().code).name}});
      out.again_in = second_look;
    }
    co_return std::move(out);
  }

  task<run_outcome> heal() {
    run_outcome out;
    auto got =
        co_await asking<healed_events, timers_actor::base, stripe_inbox_actor, heal_stripe_events>{
            *this, self(), app->stripe_inbox, healing_patience, heal_stripe_events{}};
    if (got)
      out.json = json::to_text(json::object{{"listed", got->listed}, {"missed", got->missed}});
    else
      out.json = json::to_text(json::object{{"error", describe(got.error().code).name}});
    co_return std::move(out);
  }

  task<run_outcome> sync_all_projects() {
    run_outcome out;
    auto got =
        co_await asking<synced_projects, timers_actor::base, project_sync_actor, sync_projects>{
            *this, self(), app->project_sync, collection_patience, sync_projects{}};
    out.json = got ? std::move(got->report)
                   : json::to_text(json::object{{"error", describe(got.error().code).name}});
    co_return std::move(out);
  }

  task<run_outcome> reconcile() {
    run_outcome out;
    auto what = plan_reconciliation({}, {}, app->time->now());
    if (!what) co_return std::move(out);
    what->stripe = app->config.stripe.configured();
    auto got =
        co_await asking<reconciled_books, timers_actor::base, reconciler_actor, reconcile_books>{
            *this, self(), app->reconciler, collection_patience, *what};
    if (got) {
      out.json = json::to_text(json::object{{"differences", got->what->found.differences()},
                                            {"notCompared", got->what->incomplete.size()}});
    } else {
      out.json = json::to_text(json::object{{"error", describe(got.error().code).name}});
      out.again_in = second_look;
    }
    co_return std::move(out);
  }

  task<run_outcome> sweep() {
    run_outcome out;
    auto body = bind_sql(config.books.sweep, app->time->now());
    auto swept = co_await storage_call<std::int64_t>{*this, app->storage, storage_patience,
                                                     access::write, std::move(body)};
    if (swept)
      out.json = json::to_text(json::object{{"deleted", *swept}});
    else
      out.json = json::to_text(json::object{{"error", describe(swept.error().code).name}});
    co_return std::move(out);
  }

  task<run_outcome> remove_objects() {
    run_outcome out;
    auto hold = bind_sql(config.books.hold_unwanted, milliseconds{removal_lease},
                         objects_per_removal, app->time->now());
    auto due = co_await storage_call<std::vector<persistence::unwanted_object>>{
        *this, app->storage, storage_patience, access::write, std::move(hold)};
    if (!due) {
      out.json = json::to_text(json::object{{"error", describe(due.error().code).name}});
      co_return std::move(out);
    }
    std::int64_t removed = 0;
    for (const auto& each : *due) {
      auto job = remove_one(each.what);
      removed += co_await std::move(job) ? 1 : 0;
    }
    out.json = json::to_text(json::object{
        {"removed", removed}, {"failed", static_cast<std::int64_t>(due->size()) - removed}});
    if (due->size() == static_cast<std::size_t>(objects_per_removal)) out.again_in = seconds{1};
    co_return std::move(out);
  }

  task<bool> remove_one(persistence::stored_object what) {
    integrations::object_name object{what.bucket, what.key};
    app->object_cache->forget(object);
    std::function<result<done>()> remove = [store = app->object_store, object] {
      return store->remove(object, std::chrono::steady_clock::now() + removal_patience);
    };
    auto removed = co_await compute_call<result<done>>{
        *this, app->objects, removal_patience + seconds{5}, std::move(remove)};
    if (removed) {
      auto forget = bind_sql(config.books.forget_unwanted, what);
      removed = co_await storage_call<done>{*this, app->storage, storage_patience, access::write,
                                            std::move(forget)};
    }
    if (!removed)
      log::warn("object not removed", {{"key", what.key}, {"why", to_string(removed.error())}});
    co_return removed.has_value();
  }

  /// The next multiple of the interval, where runs become due, and a bit.
  time_point next_of(const schedule& s) {
    auto next = s.rhythm.next_after(app->time->now());
    auto bit = static_cast<double>(s.jitter.count()) * config.random();
    return next + milliseconds{static_cast<std::int64_t>(bit)};
  }

  detached_frame show() {
    try {
      auto body = bind_sql(config.books.list);
      auto runs = co_await storage_call<std::vector<persistence::timer_run>>{
          *this, app->storage, storage_patience, access::read, std::move(body)};
      if (!runs) co_return;
      for (const auto& r : *runs) {
        show_one("binnacle_timer_last_run_seconds", "Unix time of the last start", r.name,
                 r.last_started);
        show_one("binnacle_timer_next_run_seconds", "Unix time at which a run is due", r.name,
                 r.next_due);
      }
    } catch (const std::exception& e) {
      log::warn("timers not shown", {{"why", e.what()}});
    }
  }
  static void show_one(const char* metric, const char* help, const std::string& timer,
                       const std::optional<time_point>& when) {
    if (when)
      metrics::gauge(metric, help, {{"timer", timer}})
          .Set(static_cast<double>(unix_seconds(*when)));
  }

  services* app = nullptr;
  timers_config config{};
  std::vector<schedule> schedules{}; // never resized while a frame refers to one
  time_point next_show{};
};

std::function<double()> any_fraction() {
  auto engine = std::make_shared<std::minstd_rand>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<>{0, 1}(*engine); };
}

timers_actor::behavior_type timers(timers_actor::stateful_pointer<timers_state> self, services* app,
                                   timers_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  if (!state.config.random) state.config.random = any_fraction();
  const auto& collector = app->config.collector;
  if (collector.enabled)
    state.schedules.push_back({.name = "collect",
                               .run = &timers_state::collect,
                               .rhythm = {collector.interval},
                               .jitter = collector.jitter,
                               .lease = minutes{15},
                               .always = true});
  state.schedules.push_back({.name = "sweep",
                             .run = &timers_state::sweep,
                             .rhythm = {minutes{10}},
                             .jitter = minutes{1},
                             .lease = minutes{2}});
  state.schedules.push_back({.name = "sync-projects",
                             .run = &timers_state::sync_all_projects,
                             .rhythm = {minutes{30}},
                             .jitter = minutes{1},
                             .lease = minutes{15}});
  const auto removal_interval = app->config.r2.removal_interval;
  state.schedules.push_back({.name = "remove-objects",
                             .run = &timers_state::remove_objects,
                             .rhythm = {removal_interval},
                             .jitter = removal_interval / 12,
                             .lease = minutes{10}});
  // When the reports of the night have been sent.
  state.schedules.push_back({.name = "reconcile",
                             .run = &timers_state::reconcile,
                             .rhythm = {hours{24}, hours{5}},
                             .jitter = minutes{10},
                             .lease = minutes{15}});
  if (app->config.stripe.configured()) {
    state.schedules.push_back({.name = "sync-stripe",
                               .run = &timers_state::sync_meters_daily,
                               .rhythm = {hours{24}, hours{3}},
                               .jitter = minutes{1},
                               .lease = minutes{15}});
    // Reports whose outcome is unknown must be repeated within hours, not a day later.
    state.schedules.push_back({.name = "resend-meters",
                               .run = &timers_state::resend_meters,
                               .rhythm = {hours{1}},
                               .jitter = minutes{5},
                               .lease = minutes{15}});
    const auto heal_interval = app->config.stripe.heal_interval;
    state.schedules.push_back({.name = "heal-stripe-events",
                               .run = &timers_state::heal,
                               .rhythm = {heal_interval},
                               .jitter = heal_interval / 20,
                               .lease = healing_patience});
  }
  self->send(timers_actor{self}, caf::tick_atom_v);
  return {[self](caf::tick_atom) { self->state.tick(); }};
}

} // namespace

timer_books::timer_books() {
  sweep = [](tx& in, time_point now) -> result<std::int64_t> {
    auto logins = persistence::delete_expired_login_sessions(in, now);
    if (!logins) return logins;
    auto windows = persistence::delete_expired_rate_windows(in, now);
    if (!windows) return windows;
    auto answers = persistence::delete_expired_idempotency_keys(in, now);
    if (!answers) return answers;
    auto payloads = persistence::drop_stripe_payloads(in, now - payload_life, payloads_per_sweep);
    if (!payloads) return payloads;
    // Balances are exact without it; this writes down what has expired.
    auto lots = persistence::expire_credits(in, now, most_expiring);
    if (!lots) return lots;
    auto mails = persistence::sweep_mails(in, now - mail_record_life, mails_per_sweep, now);
    if (!mails) return mails;
    auto requests = persistence::delete_expired_newsletter_requests(in, now - expired_link_life);
    if (!requests) return requests;
    auto keys = persistence::delete_revoked_api_keys(in, now - revoked_key_life);
    if (!keys) return keys;
    auto tokens = persistence::delete_expired_refresh_tokens(in, now - reuse_interval, now);
    if (!tokens) return tokens;
    auto projects = persistence::clear_deleted_projects(in, project_users_per_sweep);
    if (!projects) return projects;
    auto removals = persistence::forget_removed_users(in, now - removal_memory);
    if (!removals) return removals;
    return *logins + *windows + *answers + *lots + *payloads + *mails + *requests + *keys +
           *tokens + *projects + *removals;
  };
}

timers_actor spawn_timers(caf::actor_system& system, services& app, timers_config config) {
  return system.spawn(timers, &app, std::move(config));
}

} // namespace binnacle
