#include "actors/reconciler.hpp"

#include "deterministic_system.hpp"
#include "integrations/http_client.hpp"
#include "integrations/opencost.hpp"
#include "integrations/stripe/calls.hpp"
#include "integrations/vault.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using persistence::comparison;
using persistence::delivered_day;
using persistence::ledgers_reconciled;
using persistence::reconciliation;
using strings = std::vector<std::string>;

const char* const kubeconfig = R"(
apiVersion: v1
kind: Config
current-context: main
contexts: [{name: main, context: {cluster: main, user: main}}]
clusters: [{name: main, cluster: {server: "https://kubernetes:6443"}}]
users: [{name: main, user: {token: "abc"}}]
)";

struct fake_state {
  template <class Pointer>
  explicit fake_state(Pointer) {}
};

/// Storage, Stripe and OpenCost say what the test wants. What PostgreSQL finds in the books is
/// tested with PostgreSQL (persistence/reconciliation_test.cpp).
class reconciler_test : public testing::deterministic_system {
protected:
  template <class T>
  static bool answer(job& what, result<T> with) {
    auto* mine = dynamic_cast<storage_job<T>*>(&what);
    if (mine) mine->outcome = std::move(with);
    return mine != nullptr;
  }
  static pool_actor::behavior_type storage(pool_actor::stateful_pointer<fake_state>,
                                           reconciler_test* test) {
    return {[test](perform& p) {
              auto& t = *test;
              t.comparisons += dynamic_cast<storage_job<reconciliation>*>(p.what.get()) != nullptr;
              if (!(answer<reconciliation>(*p.what, t.found) ||
                    answer<ledgers_reconciled>(*p.what, t.ledgers()) ||
                    answer<std::vector<persistence::cluster>>(*p.what, t.clusters) ||
                    answer<std::vector<delivered_day>>(*p.what, t.delivered)))
                ADD_FAILURE() << "a job of an unknown type";
              return performed{};
            },
            [](const worker_idled&) {}};
  }
  static stripe_actor::behavior_type stripe_api(stripe_actor::stateful_pointer<fake_state>,
                                                reconciler_test* test) {
    return {[test](const call_stripe& c) {
              return stripe_answer{
                  std::make_shared<const result<integrations::http_answer>>(test->told(*c.what))};
            },
            [](const stripe_call_due&) {}, [](caf::tick_atom) {}};
  }
  static opencost_actor::behavior_type opencost(opencost_actor::stateful_pointer<fake_state>,
                                                reconciler_test* test) {
    return {[test](const query_allocations& q) { return test->hour(q); }, [](caf::tick_atom) {}};
  }

  void SetUp() override {
    app.time = &time;
    app.vault = *integrations::vault::open(secret{std::string(64, 'a')}, {});
    app.storage = owned(system.spawn(storage, this));
    app.stripe = owned(system.spawn(stripe_api, this));
    reconciler_config config;
    config.lanes = 2;
    config.opencost = [this](caf::actor_system& sys, const services&, opencost_target) {
      return sys.spawn(opencost, this);
    };
    reconciler = owned(spawn_reconciler(system, app, std::move(config)));
  }

  /// Some pages of ledgers, each with one.
  ledgers_reconciled ledgers() {
    ledgers_reconciled out;
    out.found.compared(comparison::ledger, 1);
    if (--pages_of_ledgers > 0) out.last = {"usr_1"};
    return out;
  }
  result<integrations::http_answer> told(const stripe::call& c) {
    auto is_count = c.path.find("event_summaries") != std::string::npos;
    if (!is_count)
      return listed(R"({"id":"mtr_1","object":"billing.meter",)"
                    R"("event_name":"compute_credits","display_name":"Compute",)"
                    R"("status":"active"})");
    ++counts;
    if (!stripe_up) return fault{errc::unavailable};
    std::string all;
    for (const auto& [day, value] : counted)
      all.append(all.empty() ? "" : ",")
          .append(R"({"object":"billing.meter_event_summary","id":"mtrusg_1","meter":"mtr_1",)")
          .append(R"("aggregated_value":)" + std::to_string(value))
          .append(R"(,"start_time":)" + std::to_string(unix_seconds(start_of(day))))
          .append(R"(,"end_time":)" + std::to_string(unix_seconds(start_of(day) + 24h)) + "}");
    return listed(all);
  }
  static integrations::http_answer listed(const std::string& data) {
    return {.status = 200,
            .headers = {},
            .body = R"({"object":"list","has_more":false,"data":[)" + data + "]}"};
  }
  allocations hour(const query_allocations& q) {
    ++hours_asked;
    if (!opencost_up) return {{}, "connection refused"};
    auto set = std::make_shared<integrations::allocation_set>();
    set->known = !hours_without_data.contains(q.from);
    return {set, {}};
  }

  static date on(const char* text) { return date_of(*parse_iso(std::string{text} + "T00:00:00Z")); }
  static reconcile_books range(const char* from, const char* to) {
    return {.from = unix_seconds(start_of(on(from))), .to = unix_seconds(start_of(on(to)) + 24h)};
  }
  delivered_day sent(const char* day, std::int64_t value, bool unsettled = false) const {
    return {.customer = "cus_1",
            .payer = {"usr_1"},
            .meter = "compute_credits",
            .day = on(day),
            .value = decimal{value},
            .unsettled = unsettled};
  }
  std::shared_ptr<const books_report> compare(reconcile_books what) {
    auto out = ask<reconciled_books>(reconciler, std::move(what));
    if (!out) {
      ADD_FAILURE() << caf::to_string(out.error());
      return std::make_shared<books_report>();
    }
    return out->what;
  }
  /// "2026-03-01 expected actual"
  static strings differences(const books_report& report) {
    strings out;
    for (const auto& d : report.found.shown())
      out.push_back(format_date(start_of(*d.day)) + " " + d.expected + " " + d.actual);
    return out;
  }

  services app{};
  reconciler_actor reconciler{};
  result<reconciliation> found{reconciliation{}};
  std::int64_t comparisons = 0;
  int pages_of_ledgers = 1;
  std::vector<persistence::cluster> clusters{};
  std::vector<delivered_day> delivered{};
  std::map<date, std::int64_t> counted{}; // by Stripe
  int counts = 0;
  bool stripe_up = true;
  bool opencost_up = true;
  int hours_asked = 0;
  std::set<std::int64_t> hours_without_data{};
};

TEST_F(reconciler_test, ComparesEachDayEachMonthTheMetersAndAllLedgers) {
  reconciliation one;
  one.compared(comparison::day, 1);
  found = one;
  pages_of_ledgers = 3;

  auto report = compare(range("2026-02-27", "2026-03-02"));

  EXPECT_EQ(comparisons, 4 + 2 + 1); // days, February and March, meters
  EXPECT_EQ(report->found.rows(comparison::day), comparisons);
  EXPECT_EQ(report->found.rows(comparison::ledger), 3);
  EXPECT_EQ(report->from, on("2026-02-27"));
  EXPECT_EQ(report->to, on("2026-03-02"));
  EXPECT_TRUE(report->agrees());
}

TEST_F(reconciler_test, AsksNobodyElseUnlessToldTo) {
  delivered = {sent("2026-03-01", 7)};
  clusters = {{.id = {"clu_1"}, .kubeconfig_sealed = "sealed"}};

  compare(range("2026-03-01", "2026-03-01"));

  EXPECT_EQ(counts, 0);
  EXPECT_EQ(hours_asked, 0);
}

TEST_F(reconciler_test, FindsWhatStripeHasCountedOtherwise) {
  delivered = {sent("2026-03-01", 7), sent("2026-03-02", 5)};
  counted = {{on("2026-03-01"), 7}, {on("2026-03-02"), 6}, {on("2026-03-03"), 1}};
  auto asked = range("2026-03-01", "2026-03-03");
  asked.stripe = true;

  auto report = compare(asked);

  EXPECT_EQ(differences(*report), (strings{"2026-03-02 5 6", "2026-03-03 0 1"}));
  EXPECT_EQ(report->found.rows(comparison::stripe), 3);
  EXPECT_FALSE(report->agrees());
}

TEST_F(reconciler_test, LeavesOutDaysWhoseReportsAreUnsettled) {
  delivered = {sent("2026-03-01", 7, true), sent("2026-03-02", 5)};
  counted = {{on("2026-03-01"), 9}, {on("2026-03-02"), 5}};
  auto asked = range("2026-03-01", "2026-03-02");
  asked.stripe = true;

  auto report = compare(asked);

  EXPECT_EQ(report->found.rows(comparison::stripe), 1);
  EXPECT_TRUE(report->agrees());
}

TEST_F(reconciler_test, ListsWhatStripeCouldNotTellAndCallsItNoDifference) {
  delivered = {sent("2026-03-01", 7)};
  stripe_up = false;
  auto asked = range("2026-03-01", "2026-03-01");
  asked.stripe = true;

  auto report = compare(asked);

  EXPECT_EQ(report->found.differences(), 0);
  ASSERT_EQ(report->incomplete.size(), 1);
  EXPECT_TRUE(report->incomplete[0].starts_with("Stripe's count of compute_credits for cus_1: "));
  EXPECT_FALSE(report->agrees());
}

TEST_F(reconciler_test, SaysWhichMeterStripeHasNot) {
  delivered = {sent("2026-03-01", 7)};
  delivered[0].meter = "storage_online_gb";
  auto asked = range("2026-03-01", "2026-03-01");
  asked.stripe = true;

  EXPECT_EQ(compare(asked)->incomplete, strings{"Stripe: there is no meter storage_online_gb"});
}

TEST_F(reconciler_test, AsksOpenCostForEachHourAndSaysForHowManyItHasNoData) {
  clusters = {{.id = {"clu_1"},
               .name = "harbour",
               .kubeconfig_sealed = app.vault->seal(secret{kubeconfig}, "kubeconfig:clu_1")}};
  hours_without_data = {unix_seconds(*parse_iso("2026-03-01T05:00:00Z"))};
  auto asked = range("2026-03-01", "2026-03-02");
  asked.opencost = true;

  auto report = compare(asked);

  EXPECT_EQ(hours_asked, 48);
  EXPECT_EQ(report->incomplete, strings{"OpenCost of harbour: it has no data for 1 hours"});
}

TEST_F(reconciler_test, GivesUpAClusterThatFailsForThreeHoursInARow) {
  clusters = {{.id = {"clu_1"},
               .name = "harbour",
               .kubeconfig_sealed = app.vault->seal(secret{kubeconfig}, "kubeconfig:clu_1")}};
  opencost_up = false;
  auto asked = range("2026-03-01", "2026-03-02");
  asked.opencost = true;

  auto report = compare(asked);

  EXPECT_EQ(hours_asked, 3);
  ASSERT_EQ(report->incomplete.size(), 4);
  EXPECT_EQ(report->incomplete[0],
            "OpenCost of harbour at 2026-03-01T00:00:00Z: connection refused");
  EXPECT_EQ(report->incomplete[3], "OpenCost of harbour: not asked about later hours");
}

TEST_F(reconciler_test, FailsWhenTheBooksCannotBeReadAndGoesOnWithTheNext) {
  found = fault{errc::unavailable};
  auto failed = ask<reconciled_books>(reconciler, range("2026-03-01", "2026-03-01"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(to_fault(failed.error()).code, errc::unavailable);

  found = reconciliation{};
  EXPECT_TRUE(compare(range("2026-03-01", "2026-03-01"))->agrees());
}

TEST(PlanReconciliation, TakesWholeDaysThatAreOver) {
  auto now = *parse_iso("2026-03-10T12:20:30Z");
  auto day = [](const char* text) { return date_of(*parse_iso(std::string{text} + "T00:00:00Z")); };
  auto midnight = [](const char* text) {
    return unix_seconds(*parse_iso(std::string{text} + "T00:00:00Z"));
  };

  auto usual = plan_reconciliation({}, {}, now);
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->to, midnight("2026-03-10"));
  EXPECT_EQ(usual->from, midnight("2026-02-03"));
  EXPECT_TRUE(plan_reconciliation(day("2026-03-09"), day("2026-03-09"), now));
  EXPECT_EQ(plan_reconciliation(day("2026-03-09"), day("2026-03-10"), now).error().field, "to");
  EXPECT_EQ(plan_reconciliation(day("2026-03-09"), day("2026-03-08"), now).error().field, "from");
  EXPECT_TRUE(plan_reconciliation(day("2025-12-08"), day("2026-03-09"), now));
  EXPECT_EQ(plan_reconciliation(day("2025-12-07"), day("2026-03-09"), now).error().field, "from");
}

} // namespace
} // namespace binnacle
