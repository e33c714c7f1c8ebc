#include "actors/reconciler.hpp"
#include "actors/timers.hpp"
#include "actors/worker_pool.hpp"
#include "integrations/object_cache.hpp"
#include "integrations/object_store.hpp"

#include "deterministic_system.hpp"

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using persistence::timer_run;
using persistence::unwanted_object;

class timers_test : public testing::deterministic_system {
protected:
  struct collector_state {
    explicit collector_state(usage_collector_actor::pointer) {}
  };
  static usage_collector_actor::behavior_type
  collector(usage_collector_actor::stateful_pointer<collector_state>, timers_test* test) {
    return {[test](const collect_usage& what) -> caf::result<collection> {
              EXPECT_EQ(what.from, 0);
              EXPECT_EQ(what.to, 0);
              ++test->collections;
              if (test->refusal != errc::none) return test->refusal;
              return collection{.successful = 2, .hours = 3, .held = test->held};
            },
            [](caf::tick_atom) {}};
  }

  struct reconciler_state {
    explicit reconciler_state(reconciler_actor::pointer) {}
  };
  static reconciler_actor::behavior_type
  reconciler(reconciler_actor::stateful_pointer<reconciler_state>, timers_test* test) {
    return {[test](const reconcile_books& what) {
      test->compared.push_back(what);
      auto report = std::make_shared<books_report>();
      report->found.add({.check = persistence::comparison::day, .what = "credits"});
      return reconciled_books{report};
    }};
  }

  /// The rules of persistence/timers.cpp, in memory.
  timer_books books() {
    timer_books out;
    out.claim = [this](auto&, const std::string& name, const std::string& holder,
                       persistence::timer_rhythm rhythm, milliseconds lease,
                       time_point now) -> result<bool> {
      auto& mine = rows[name];
      auto due = mine.holder.empty() ? mine.next_due <= now : mine.until <= now;
      if (!due) return false;
      mine.next_due = rhythm.next_after(now);
      mine.holder = holder;
      mine.until = now + lease;
      ++mine.runs;
      return true;
    };
    out.finish = [this](auto&, const std::string& name, const std::string&,
                        const std::string& outcome, time_point) -> result<done> {
      rows[name].holder.clear();
      rows[name].outcome = outcome;
      return done{};
    };
    out.list = [](auto&) -> result<std::vector<timer_run>> { return std::vector<timer_run>{}; };
    out.sweep = [this](auto&, time_point) -> result<std::int64_t> {
      ++sweeps;
      return 7;
    };
    out.hold_unwanted = [this](auto&, milliseconds, std::int64_t,
                               time_point) -> result<std::vector<unwanted_object>> {
      return std::exchange(unwanted, {});
    };
    out.forget_unwanted = [this](auto&, const persistence::stored_object& o) -> result<done> {
      forgotten.push_back(o.key);
      return done{};
    };
    return out;
  }

  /// Removes everything but what is called "stuck".
  struct fake_objects final : integrations::object_store {
    result<done> put(const integrations::object_name&, std::string_view, const std::string&,
                     instant) override {
      return done{};
    }
    result<std::shared_ptr<const integrations::object>> find(const integrations::object_name&,
                                                             instant) override {
      return std::shared_ptr<const integrations::object>{};
    }
    result<done> remove(const integrations::object_name& name, instant) override {
      if (name.key == "stuck") return fault{errc::upstream_failed, {}, {}, "not today"};
      removed.push_back(name.key);
      return done{};
    }
    std::vector<std::string> removed{};
  };

  void start_timers() {
    app.time = &time;
    app.node = "node-1";
    app.storage =
        owned(testing::spawn_fake_storage<bool, done, std::int64_t, std::vector<timer_run>,
                                          std::vector<unwanted_object>>(system, db));
    app.objects = owned(spawn_worker_pool(system, {.name = "objects", .detached = false}));
    app.object_store = objects;
    app.object_cache = std::make_shared<integrations::object_cache>();
    app.usage_collector = owned(system.spawn(collector, this));
    app.reconciler = owned(system.spawn(reconciler, this));
    owned(spawn_timers(system, app, {.books = books(), .random = [] { return 0.5; }}));
    run();
  }

  struct row {
    std::string holder{};
    time_point until{};
    time_point next_due{};
    std::string outcome{};
    int runs = 0;
  };
  testing::fake_database db{};
  services app{};
  std::map<std::string, row> rows{};
  std::vector<reconcile_books> compared{};
  std::shared_ptr<fake_objects> objects = std::make_shared<fake_objects>();
  std::vector<unwanted_object> unwanted{};
  std::vector<std::string> forgotten{};
  int collections = 0;
  int sweeps = 0;
  std::int64_t held = 0;
  errc refusal = errc::none;
};

TEST_F(timers_test, CollectsAtTheStartAndThenAtEveryFullHour) {
  start_timers(); // at 12:20:30
  EXPECT_EQ(collections, 1);
  EXPECT_EQ(rows["collect"].outcome, R"({"successful":2,"failed":0,"hours":3,"hoursHeld":0})");

  pass(39min + 30s);
  EXPECT_EQ(collections, 1);
  pass(14s);
  EXPECT_EQ(collections, 1);
  pass(2s); // half of the jitter of 30 s
  EXPECT_EQ(collections, 2);
  pass(1h);
  EXPECT_EQ(collections, 3);
}

TEST_F(timers_test, CatchesUpAtTheStartEvenWhenNoRunIsDue) {
  rows["collect"].next_due = time.now() + 30min;

  start_timers();

  EXPECT_EQ(collections, 1);
  EXPECT_EQ(rows["collect"].runs, 0);
}

TEST_F(timers_test, LeavesARunToTheNodeThatClaimedIt) {
  start_timers();
  rows["collect"].next_due = time.now() + 10h;

  pass(2h);

  EXPECT_EQ(collections, 1);
}

TEST_F(timers_test, TakesOverFromANodeThatDied) {
  start_timers();
  rows["collect"].holder = "node-2";
  rows["collect"].until = *parse_iso("2026-03-10T13:10:00Z");

  pass(49min); // 13:09:30
  EXPECT_EQ(collections, 1);
  pass(2min);

  EXPECT_EQ(collections, 2);
  EXPECT_EQ(rows["collect"].holder, "");
}

TEST_F(timers_test, ComparesTheBooksOfTheLastWeeksEveryMorning) {
  start_timers();
  compared.clear();

  pass(16h + 30min); // 04:50:30
  EXPECT_TRUE(compared.empty());
  pass(20min);

  ASSERT_EQ(compared.size(), 1U);
  EXPECT_EQ(compared[0].to, unix_seconds(start_of_day(time.now())));
  EXPECT_EQ(compared[0].to - compared[0].from, 35 * 24 * 3600);
  EXPECT_FALSE(compared[0].stripe); // not configured
  EXPECT_EQ(rows["reconcile"].outcome, R"({"differences":1,"notCompared":0})");
}

TEST_F(timers_test, TriesAgainSoonWhileTheDatabaseIsDown) {
  db.up = false;
  start_timers();
  pass(60s);
  EXPECT_EQ(collections, 0);

  db.up = true;
  pass(6s);

  EXPECT_EQ(collections, 1);
}

TEST_F(timers_test, LooksAgainAtHoursThatAnotherCollectorHeld) {
  held = 5;
  start_timers();
  held = 0;

  pass(50s);
  EXPECT_EQ(collections, 2);

  pass(10min);
  EXPECT_EQ(collections, 2);
}

TEST_F(timers_test, RepeatsACollectionThatFailedAfterAMinute) {
  refusal = errc::unavailable;
  start_timers();
  EXPECT_EQ(rows["collect"].outcome, R"({"error":"unavailable"})");
  pass(59s);
  EXPECT_EQ(collections, 1);

  refusal = errc::none;
  pass(3s);

  EXPECT_EQ(collections, 2);
}

TEST_F(timers_test, HasNothingToRepeatWithoutClusters) {
  refusal = errc::unprocessable;
  start_timers();
  pass(10min);

  EXPECT_EQ(collections, 1);
  EXPECT_EQ(rows["collect"].outcome, R"({"skipped":"no cluster has a kubeconfig"})");
}

TEST_F(timers_test, DoesNotCollectWhenSwitchedOff) {
  app.config.collector.enabled = false;
  start_timers();
  pass(2h);

  EXPECT_EQ(collections, 0);
  EXPECT_GT(sweeps, 0);
}

TEST_F(timers_test, SweepsEveryTenMinutes) {
  start_timers();
  EXPECT_EQ(sweeps, 1);
  EXPECT_EQ(rows["sweep"].outcome, R"({"deleted":7})");

  pass(1h);

  EXPECT_EQ(sweeps, 7);
}

TEST_F(timers_test, RemovesTheObjectsThatNothingRefersTo) {
  start_timers();
  unwanted = {{{"avatars", "old"}, 1}, {{"avatars", "stuck"}, 1}, {{"avatars", "older"}, 2}};

  pass(2min);

  EXPECT_EQ(objects->removed, (std::vector<std::string>{"old", "older"}));
  EXPECT_EQ(forgotten, objects->removed); // what is stuck is held again when its lease is over
}

} // namespace
} // namespace binnacle
