#include "actors/meter_sync.hpp"

#include "actors/lanes.hpp"
#include "actors/one_at_a_time.hpp"
#include "actors/patient_scope.hpp"
#include "actors/stripe.hpp"
#include "config/base/json.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <set>

namespace binnacle {
namespace {

using persistence::access;
using persistence::meter_report;
using persistence::report_outcome;
using persistence::report_state;
using persistence::transaction;

constexpr seconds heartbeat{1};
constexpr std::int64_t rows_per_plan = 2'000;
constexpr std::int64_t everything = 1'000'000;
constexpr std::int64_t days_per_settlement = 1'000;
constexpr std::size_t most_errors = 100; // shown; all are counted

/// A plan that is not to last is made and rolled back, so that it can be told exactly.
constexpr errc rolled_back = errc::none;

struct sync_run {
  sync_meters what{};
  time_point began{};
  std::int64_t planned = 0; // reports
  std::int64_t settled = 0; // days
  std::int64_t disputed = 0;
  std::set<std::string> delivered{}, failed{}; // usage rows
  std::vector<std::string> errors{};

  // The batch that the lanes work on.
  std::vector<meter_report> batch{};
  std::vector<report_outcome> outcomes{};
  std::size_t next = 0;
  lanes open{};

  /// Rows with nothing left to report; one with a failure is none, whatever else of it arrived.
  std::int64_t successful() const {
    return std::ranges::count_if(delivered,
                                 [this](const auto& row) { return !failed.contains(row); });
  }
  void complain(const std::string& about, const std::string& why) {
    if (errors.size() < most_errors) errors.push_back(about + ": " + why);
  }
  /// "{usage row}:{meter}:{revision}"
  static std::string row_of(const std::string& identifier) {
    return identifier.substr(0, identifier.find(':'));
  }
};

json::object shown(const meter_report& r) {
  return {{"identifier", r.identifier}, {"userId", r.who.value},
          {"payerId", r.payer.value},   {"date", format_date(start_of(r.day))},
          {"meter", r.meter},           {"amount", r.amount},
          {"carriedIn", r.carried_in},  {"value", r.value},
          {"carriedOut", r.carried_out}};
}

/// In the shape of platform.md §7, and what else there is to know.
std::string report_of(const sync_run& run) {
  json::object out;
  auto date = format_date(start_of(date_of(run.began)) - std::chrono::days{1});
  auto nothing = run.delivered.empty() && run.failed.empty() && run.settled == 0;
  out.add("message", nothing ? "No unreported usage found" : "Usage sync completed");
  out.add("date", date);
  if (nothing) return json::to_text(out);
  json::array errors;
  for (const auto& e : run.errors) errors.emplace_back(e);
  out.add("results", json::object{{"successful", run.successful()},
                                  {"failed", run.failed.size()},
                                  {"errors", std::move(errors)},
                                  {"planned", run.planned},
                                  {"settled", run.settled},
                                  {"disputed", run.disputed}});
  return json::to_text(out);
}

struct sync_state : patient_scope<meter_sync_actor::base> {
  static inline constexpr const char* name = "meter-sync";
  explicit sync_state(meter_sync_actor::pointer s) : patient_scope{s} {}
  ~sync_state() { clear(); }

  using run_ptr = std::shared_ptr<sync_run>;

  task<result<meter_sync>> serve(sync_meters what) {
    auto out = co_await synchronise(what);
    if (!out) log::error("usage not reported to Stripe", {{"why", to_string(out.error())}});
    co_return std::move(out);
  }

  task<result<meter_sync>> synchronise(sync_meters what) {
    if (what.dry_run) co_return co_await preview();
    if (!app->config.stripe.configured())
      co_return fault{errc::internal, "stripe_not_configured", {}, {}};
    auto run = std::make_shared<sync_run>();
    run->what = what;
    run->began = app->time->now();
    if (what.plan)
      if (auto planned = co_await plan_all(run); !planned) co_return planned.error();
    if (auto settled = co_await settle(run); !settled) co_return settled.error();
    if (auto sent = co_await send_all(run); !sent) co_return sent.error();
    co_await show_backlog();
    meter_sync out;
    out.successful = run->successful();
    out.failed = static_cast<std::int64_t>(run->failed.size());
    out.report = report_of(*run);
    co_return out;
  }

  // -- planning ----------------------------------------------------------------------------------

  task<result<meter_sync>> preview() {
    auto made = std::make_shared<std::vector<meter_report>>();
    auto now = app->time->now();
    sql<done> body = [made, now](transaction& tx) -> result<done> {
      auto planned = persistence::plan_meter_reports(tx, everything, now);
      if (!planned) return planned.error();
      *made = std::move(*planned);
      return fault{rolled_back};
    };
    auto tried = co_await stored<done>(app->storage, access::write, std::move(body));
    if (!tried && tried.error().code != rolled_back) co_return tried.error();
    json::array reports;
    for (const auto& r : *made) reports.emplace_back(shown(r));
    meter_sync out;
    out.report = json::to_text(json::object{{"message", "Nothing was sent: this is a dry run"},
                                            {"planned", made->size()},
                                            {"reports", std::move(reports)}});
    co_return out;
  }

  task<result<done>> plan_all(run_ptr run) {
    for (;;) {
      auto body = bind_sql(persistence::plan_meter_reports, rows_per_plan, run->began);
      auto made =
          co_await stored<std::vector<meter_report>>(app->storage, access::write, std::move(body));
      if (!made) co_return made.error();
      if (made->empty()) co_return done{};
      run->planned += static_cast<std::int64_t>(made->size());
      for (const auto& r : *made)
        if (r.state == report_state::delivered)
          run->delivered.insert(sync_run::row_of(r.identifier));
    }
  }

  // -- settling ----------------------------------------------------------------------------------

  task<result<done>> settle(run_ptr run) {
    auto body = bind_sql(persistence::unsettled_meter_days, days_per_settlement, run->began);
    auto days = co_await stored<std::vector<persistence::unsettled_day>>(app->storage, access::read,
                                                                         std::move(body));
    if (!days) co_return days.error();
    if (days->empty()) co_return done{};
    auto meters = co_await ask_stripe(*this, self(), app->stripe, config.patience,
                                      stripe::list_meters(), stripe::read_meters);
    if (!meters) {
      run->complain("meters", to_string(meters.error()));
      co_return done{};
    }
    for (const auto& day : *days) {
      auto found = std::ranges::find(meters->data, event_name_of(app->config.stripe, day.meter),
                                     &stripe::meter::event_name);
      if (found == meters->data.end()) {
        run->complain(day.meter, "Stripe has no such meter");
        continue;
      }
      co_await settle_day(run, found->id, day);
    }
    co_return done{};
  }

  task<bool> settle_day(run_ptr run, std::string meter, persistence::unsettled_day day) {
    auto from = start_of(day.day);
    auto question =
        stripe::meter_event_summaries(meter, day.customer, from, from + std::chrono::days{1});
    auto counted = co_await ask_stripe(*this, self(), app->stripe, config.patience,
                                       std::move(question), stripe::read_meter_summaries);
    if (!counted) {
      run->complain(day.unknown.front().identifier, to_string(counted.error()));
      co_return false;
    }
    decimal sum;
    for (const auto& s : counted->data) sum += s.aggregated_value;
    auto body = bind_sql(persistence::settle_meter_day, day, sum, app->time->now());
    auto verdict = co_await stored<report_state>(app->storage, access::write, std::move(body));
    if (!verdict) {
      run->complain(day.unknown.front().identifier, to_string(verdict.error()));
      co_return false;
    }
    if (*verdict == report_state::sent) co_return false; // somebody reports it just now
    ++run->settled;
    for (const auto& r : day.unknown)
      if (*verdict == report_state::delivered)
        run->delivered.insert(sync_run::row_of(r.identifier));
    if (*verdict == report_state::disputed) {
      ++run->disputed;
      run->failed.insert(sync_run::row_of(day.unknown.front().identifier));
      run->complain(day.unknown.front().identifier,
                    "Stripe's count fits neither with nor without it");
    }
    co_return true;
  }

  // -- sending -----------------------------------------------------------------------------------

  task<result<done>> send_all(run_ptr run) {
    std::int64_t sent = 0;
    for (;;) {
      auto body = bind_sql(persistence::claim_meter_reports, app->node, config.lease, config.batch,
                           run->began, app->time->now());
      auto claimed =
          co_await stored<std::vector<meter_report>>(app->storage, access::write, std::move(body));
      if (!claimed) co_return claimed.error();
      if (claimed->empty()) co_return done{};
      run->batch = std::move(*claimed);
      run->outcomes.clear();
      run->next = 0;
      auto count = std::min(config.lanes, run->batch.size());
      run->open.opened(count);
      for (std::size_t i = 0; i < count; ++i) adopt(lane(run));
      co_await run->open.all_closed();

      auto finish = bind_sql(persistence::finish_meter_reports, run->outcomes, app->time->now());
      auto stored_them = co_await stored<done>(app->storage, access::write, std::move(finish));
      if (!stored_them) co_return stored_them.error();
      sent += static_cast<std::int64_t>(run->batch.size());
      if (config.on_progress) config.on_progress(sent, std::max(run->planned, sent));
    }
  }

  detached_frame lane(run_ptr run) {
    while (run->next < run->batch.size()) {
      const auto& report = run->batch[run->next++];
      report_outcome outcome{report.identifier, report_state::sent, {}};
      try {
        outcome = co_await send(report);
      } catch (const std::exception& e) {
        outcome.failure = e.what(); // and the outcome stays unknown
      }
      auto row = sync_run::row_of(outcome.identifier);
      if (outcome.state == report_state::delivered) {
        run->delivered.insert(row);
      } else {
        run->failed.insert(row);
        run->complain(outcome.identifier, outcome.failure);
      }
      count(outcome.state);
      run->outcomes.push_back(std::move(outcome));
    }
    run->open.closed(*this);
  }

  task<report_outcome> send(const meter_report& report) {
    stripe::meter_report event;
    event.event_name = event_name_of(app->config.stripe, report.meter);
    event.customer = report.customer;
    event.value = report.value;
    event.identifier = report.identifier;
    event.timestamp = start_of(report.day);
    auto answer = co_await ask_stripe(*this, self(), app->stripe, config.patience,
                                      stripe::send_meter_event(event), stripe::read_meter_event);
    report_outcome out{report.identifier, report_state::delivered, {}};
    // A second event under an identifier is refused: Stripe has the first.
    if (answer || answer.error().code == errc::conflict) co_return out;
    out.failure = to_string(answer.error());
    out.state =
        stripe::may_have_happened(answer.error()) ? report_state::sent : report_state::waiting;
    co_return out;
  }

  static void count(report_state s) {
    metrics::counter("binnacle_meter_reports_total", "Reports sent to Stripe's meters, by outcome",
                     {{"outcome", std::string{persistence::name_of(s)}}})
        .Increment();
  }

  task<bool> show_backlog() {
    auto body = bind_sql(persistence::load_meter_backlog, app->time->now());
    auto load =
        co_await stored<persistence::meter_backlog>(app->storage, access::read, std::move(body));
    if (!load) co_return false;
    auto show = [](const char* state, std::int64_t n) {
      metrics::gauge("binnacle_meter_backlog", "Usage not yet reported to Stripe, by state",
                     {{"state", state}})
          .Set(static_cast<double>(n));
    };
    show("unplanned", load->unplanned);
    show("waiting", load->waiting);
    show("unknown", load->unknown);
    show("disputed", load->disputed);
    show("too_late", load->too_late);
    co_return true;
  }

  services* app = nullptr;
  meter_sync_config config{};
  one_at_a_time<sync_meters, meter_sync> runs{*this,
                                              [this](sync_meters what) { return serve(what); }};
};

meter_sync_actor::behavior_type sync(meter_sync_actor::stateful_pointer<sync_state> self,
                                     services* app, meter_sync_config config) {
  self->state.app = app;
  self->state.config = std::move(config);
  self->send(meter_sync_actor{self}, caf::tick_atom_v);
  return {[self](const sync_meters& what) {
            auto& s = self->state;
            return s.runs.take(self, what, s.config.queue);
          },
          [self](caf::tick_atom) {
            self->delayed_send(meter_sync_actor{self}, heartbeat, caf::tick_atom_v);
            self->state.wake_sleepers();
          }};
}

} // namespace

const std::string& event_name_of(const stripe_settings& stripe, const std::string& meter) {
  if (meter == "storage_online_gb") return stripe.meter_storage_online;
  if (meter == "storage_offline_gb") return stripe.meter_storage_offline;
  return stripe.meter_compute;
}

meter_sync_actor spawn_meter_sync(caf::actor_system& system, services& app,
                                  meter_sync_config config) {
  return system.spawn(sync, &app, std::move(config));
}

} // namespace binnacle
