#include "actors/reconciler.hpp"

#include "actors/cluster_links.hpp"
#include "actors/collection_plan.hpp"
#include "actors/lanes.hpp"
#include "actors/meter_sync.hpp"
#include "actors/one_at_a_time.hpp"
#include "actors/stripe.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <map>

namespace binnacle {
namespace {

using persistence::comparison;
using persistence::delivered_day;
using persistence::difference;
using persistence::reconciliation;

using std::chrono::days;

constexpr minutes storage_patience{10};
constexpr std::int64_t ledgers_at_once = 100;
/// So many hours in a row that OpenCost fails for, and the rest of the cluster is left out.
constexpr int most_failures = 3;
constexpr std::size_t most_complaints = 100;

date after(date d) { return std::chrono::sys_days{d} + days{1}; }

/// What Stripe is asked about in one question: one customer's days of one meter.
using meter_days = std::vector<delivered_day>;

struct comparison_run {
  std::shared_ptr<books_report> report = std::make_shared<books_report>();

  // Questions to Stripe that the lanes work on.
  std::map<std::string, std::string> meters{}; // ids by event name
  std::vector<meter_days> questions{};
  std::size_t next = 0;
  lanes open{};

  void complain(std::string about, std::string_view why) {
    if (report->incomplete.size() >= most_complaints) return;
    report->incomplete.push_back(std::move(about.append(": ").append(why)));
  }
};

/// What Stripe has counted with what it must have; days whose outcome is unknown are not compared.
reconciliation compare_counts(const meter_days& delivered,
                              const std::vector<stripe::meter_summary>& summaries) {
  std::map<date, decimal> counted;
  for (const auto& s : summaries) counted[date_of(s.start_time)] += s.aggregated_value;
  reconciliation out;
  auto compare = [&](date day, decimal expected) {
    auto actual = counted[day];
    counted.erase(day);
    out.compared(comparison::stripe, 1);
    if (actual == expected) return;
    out.add({.check = comparison::stripe,
             .who = delivered.front().payer,
             .day = day,
             .meter = delivered.front().meter,
             .identifier = delivered.front().customer,
             .what = "value",
             .expected = expected.str(),
             .against = "meter_reports",
             .actual = actual.str()});
  };
  for (const auto& d : delivered) {
    if (d.unsettled)
      counted.erase(d.day);
    else
      compare(d.day, d.value);
  }
  while (!counted.empty()) compare(counted.begin()->first, decimal{}); // nobody reported these
  return out;
}

struct reconciler_state : actor_scope<reconciler_actor::base> {
  static inline constexpr const char* name = "reconciler";
  explicit reconciler_state(reconciler_actor::pointer s) : actor_scope{s} {}
  ~reconciler_state() { clear(); }

  using run_ptr = std::shared_ptr<comparison_run>;

  task<result<reconciled_books>> serve(reconcile_books what) {
    auto run = std::make_shared<comparison_run>();
    auto ended = co_await reconcile(run, what);
    if (!ended) {
      log::error("books not compared", {{"why", to_string(ended.error())}});
      co_return ended.error();
    }
    publish(*run->report);
    co_return reconciled_books{run->report};
  }

  task<result<done>> reconcile(run_ptr run, reconcile_books what) {
    auto& report = *run->report;
    report.from = date_of(from_unix(what.from));
    report.to = date_of(from_unix(what.to) - days{1});
    report.who = {what.user};
    report.stripe = what.stripe;
    report.opencost = what.opencost;
    auto compared = co_await compare_layers(run);
    if (compared) compared = co_await compare_ledgers(run);
    if (compared && what.opencost) compared = co_await compare_opencost(run);
    if (compared && what.stripe) compared = co_await compare_stripe(run);
    co_return compared;
  }

  /// Runs `body` in a snapshot of its own.
  template <class T, class F, class... Args>
  task<result<T>> looked_up(F f, Args... args) {
    auto body = bind_sql(f, std::move(args)...);
    co_return co_await storage_call<T>{*this, app->storage, storage_patience,
                                       persistence::access::snapshot, std::move(body)};
  }

  // -- the books with themselves ----------------------------------------------------------------

  task<result<done>> compare_layers(run_ptr run) {
    auto& report = *run->report;
    for (auto day = report.from; day <= report.to; day = after(day)) {
      auto found = co_await looked_up<reconciliation>(persistence::reconcile_day, report.who, day);
      if (!found) co_return found.error();
      report.found += *found;
      if (day != report.to && after(day).day() != std::chrono::day{1}) continue;
      found = co_await looked_up<reconciliation>(persistence::reconcile_month, report.who, day);
      if (!found) co_return found.error();
      report.found += *found;
    }
    auto found = co_await looked_up<reconciliation>(persistence::reconcile_meters, report.who,
                                                    report.from, report.to);
    if (!found) co_return found.error();
    report.found += *found;
    co_return done{};
  }

  task<result<done>> compare_ledgers(run_ptr run) {
    auto& report = *run->report;
    if (!report.who.empty()) {
      auto found = co_await looked_up<reconciliation>(persistence::reconcile_ledger, report.who);
      if (!found) co_return found.error();
      report.found += *found;
      co_return done{};
    }
    user_id last{};
    do {
      auto some = co_await looked_up<persistence::ledgers_reconciled>(
          persistence::reconcile_ledgers, last, ledgers_at_once);
      if (!some) co_return some.error();
      report.found += some->found;
      last = std::move(some->last);
    } while (!last.empty());
    co_return done{};
  }

  // -- OpenCost ---------------------------------------------------------------------------------

  task<result<done>> compare_opencost(run_ptr run) {
    auto known = co_await looked_up<std::vector<persistence::cluster>>(persistence::list_clusters);
    if (!known) co_return known.error();
    std::erase_if(*known, [](const auto& c) { return c.kubeconfig_sealed.empty(); });
    links->keep_only(*known);
    for (const auto& cluster : *known) {
      auto compared = co_await compare_cluster(run, cluster);
      if (!compared) co_return compared.error();
    }
    co_return done{};
  }

  task<result<done>> compare_cluster(run_ptr run, persistence::cluster cluster) {
    auto& report = *run->report;
    auto opencost = links->open(*self(), cluster);
    if (!opencost) {
      run->complain("OpenCost of " + cluster.name, opencost.error().message());
      co_return done{};
    }
    int failures = 0;
    std::int64_t without_data = 0;
    for (auto day = report.from; day <= report.to; day = after(day)) {
      std::vector<persistence::hour_of_usage> told;
      for (int h = 0; h < 24 && failures < most_failures; ++h) {
        hour_window window{start_of(day) + hours{h}, start_of(day) + hours{h + 1}};
        query_allocations query{unix_seconds(window.hour), unix_seconds(window.to)};
        auto answer =
            co_await asking<allocations, reconciler_actor::base, opencost_actor, query_allocations>{
                *this, self(), *opencost, query_patience, query};
        if (answer && answer->set && answer->set->known) {
          told.push_back(to_hour_of_usage(window, *answer->set));
          failures = 0;
        } else if (answer && answer->set) {
          ++without_data;
        } else {
          ++failures;
          run->complain("OpenCost of " + cluster.name + " at " + format_iso_s(window.hour),
                        answer ? std::string_view{answer->failure} : answer.error().message());
        }
      }
      auto found = co_await looked_up<reconciliation>(persistence::reconcile_hours, report.who,
                                                      cluster, std::move(told));
      if (!found) co_return found.error();
      report.found += *found;
      if (failures < most_failures) continue;
      run->complain("OpenCost of " + cluster.name, "not asked about later hours");
      break;
    }
    if (without_data > 0)
      run->complain("OpenCost of " + cluster.name,
                    "it has no data for " + std::to_string(without_data) + " hours");
    co_return done{};
  }

  // -- Stripe -----------------------------------------------------------------------------------

  task<result<done>> compare_stripe(run_ptr run) {
    auto& report = *run->report;
    auto all = co_await looked_up<meter_days>(persistence::delivered_days, report.who, report.from,
                                              report.to);
    if (!all) co_return all.error();
    auto meters = co_await ask_stripe(*this, self(), app->stripe, config.patience,
                                      stripe::list_meters(), stripe::read_meters);
    if (!meters) {
      run->complain("Stripe", meters.error().message());
      co_return done{};
    }
    for (const auto& m : meters->data) run->meters[m.event_name] = m.id;
    for (auto& d : *all) {
      auto& questions = run->questions;
      if (questions.empty() || questions.back().front().customer != d.customer ||
          questions.back().front().meter != d.meter)
        questions.emplace_back();
      questions.back().push_back(std::move(d));
    }
    auto count = std::min(config.lanes, run->questions.size());
    run->open.opened(count);
    for (std::size_t i = 0; i < count; ++i) adopt(lane(run));
    co_await run->open.all_closed();
    co_return done{};
  }

  detached_frame lane(run_ptr run) {
    while (run->next < run->questions.size()) {
      const auto& question = run->questions[run->next++];
      try {
        co_await compare_meter(run, question);
      } catch (const std::exception& e) {
        run->complain("Stripe", e.what());
      }
    }
    run->open.closed(*this);
  }

  task<bool> compare_meter(run_ptr run, const meter_days& delivered) {
    const auto& [customer, payer, meter, day, value, unsettled] = delivered.front();
    const auto& event = event_name_of(app->config.stripe, meter);
    auto known = run->meters.find(event);
    if (known == run->meters.end()) {
      run->complain("Stripe", "there is no meter " + event);
      co_return false;
    }
    auto from = start_of(run->report->from), to = start_of(run->report->to) + days{1};
    auto question = stripe::meter_event_summaries(known->second, customer, from, to, "day");
    auto counted = co_await ask_stripe(*this, self(), app->stripe, config.patience,
                                       std::move(question), stripe::read_meter_summaries);
    if (!counted) {
      run->complain("Stripe's count of " + meter + " for " + customer, counted.error().message());
      co_return false;
    }
    run->report->found += compare_counts(delivered, counted->data);
    co_return true;
  }

  // -- telling ----------------------------------------------------------------------------------

  void publish(const books_report& report) {
    const auto& found = report.found;
    log::write(report.agrees() ? log::level::info : log::level::error, "books compared",
               {{"from", format_date(start_of(report.from))},
                {"to", format_date(start_of(report.to))},
                {"differences", found.differences()},
                {"incomplete", static_cast<std::int64_t>(report.incomplete.size())}});
    if (!report.who.empty()) return;
    for (std::size_t i = 0; i < persistence::comparison_count; ++i) {
      auto which = static_cast<comparison>(i);
      if ((which == comparison::opencost && !report.opencost) ||
          (which == comparison::stripe && !report.stripe))
        continue;
      metrics::gauge("binnacle_reconciliation_differences", "Of the last comparison of all users",
                     {{"comparison", std::string{name_of(which)}}})
          .Set(static_cast<double>(found.differences(which)));
    }
    metrics::gauge("binnacle_reconciliation_last_run_seconds",
                   "Unix time of the last comparison of all users")
        .Set(static_cast<double>(unix_seconds(app->time->now())));
  }

  services* app = nullptr;
  reconciler_config config{};
  caf::timespan query_patience{};
  std::unique_ptr<cluster_links> links{};
  one_at_a_time<reconcile_books, reconciled_books> comparisons{
      *this, [this](reconcile_books what) { return serve(std::move(what)); }};
};

reconciler_actor::behavior_type
reconciler(reconciler_actor::stateful_pointer<reconciler_state> self, services* app,
           reconciler_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  state.query_patience = longest_query(opencost_config_of(app->config.collector)) + minutes{1};
  state.links = std::make_unique<cluster_links>(*app, state.config.opencost);
  self->set_down_handler([self](const caf::down_msg& m) { self->state.links->forget(m.source); });
  return {[self](const reconcile_books& what) {
    auto& s = self->state;
    return s.comparisons.take(self, what, s.config.queue);
  }};
}

} // namespace

result<reconcile_books> plan_reconciliation(std::optional<date> from, std::optional<date> to,
                                            time_point now) {
  auto today = start_of_day(now);
  auto end = to ? start_of(*to) + days{1} : today;
  auto begin = from ? start_of(*from) : end - days_reconciled;
  if (end > today) return bad_field("to", "to must be a day that is over");
  if (begin >= end) return bad_field("from", "from must not lie after to");
  if (end - begin > most_days_reconciled) return bad_field("from", "At most 92 days at once");
  reconcile_books out;
  out.from = unix_seconds(begin);
  out.to = unix_seconds(end);
  return out;
}

reconciler_actor spawn_reconciler(caf::actor_system& system, services& app,
                                  reconciler_config config) {
  return system.spawn(reconciler, &app, std::move(config));
}

} // namespace binnacle
