#include "actors/usage_collector.hpp"

#include "config/base/json.hpp"
#include "config/base/metrics.hpp"
#include "deterministic_system.hpp"
#include "integrations/opencost.hpp"
#include "integrations/vault.hpp"

#include <boost/json.hpp>
#include <set>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;
using persistence::cluster;
using testing::fake_database;
using hour_list = std::vector<time_point>;

const char* const kubeconfig = R"(
apiVersion: v1
kind: Config
current-context: main
contexts: [{name: main, context: {cluster: main, user: main}}]
clusters: [{name: main, cluster: {server: "https://kubernetes:6443"}}]
users: [{name: main, user: {token: "abc"}}]
)";

/// The tables that the collector writes, in memory. What they promise is tested with PostgreSQL.
struct fake_books {
  struct hour_state {
    bool booked = false;
    bool complete = false;
    std::string holder{};
    time_point until{};
    std::string failure{};
    std::vector<persistence::hour_row> rows{};
  };
  std::vector<cluster> clusters{};
  std::map<std::pair<std::string, time_point>, hour_state> hours{};
  std::map<std::string, user_id> owners{{"analytics", {"usr_1"}}};
  std::optional<fault> booking_fault{};
  int bookings = 0;
  bool rolls_back = false; // by the fault that a dry run returns

  hour_list claim(const cluster_id& id, const hour_list& wanted, const std::string& holder,
                  milliseconds lease, bool again, time_point now) {
    hour_list out;
    for (auto hour : wanted) {
      auto& h = hours[{id.value, hour}];
      if (!h.holder.empty() && h.holder != holder && h.until > now) continue;
      if (h.complete && !again) continue;
      h.holder = holder;
      h.until = now + lease;
      out.push_back(hour);
    }
    return out;
  }

  usage_books functions() {
    using tx = persistence::transaction;
    usage_books out;
    out.clusters = [this](tx&) -> result<std::vector<cluster>> { return clusters; };
    out.missing = [this](tx&, const cluster_id& id, time_point from, time_point to,
                         std::int64_t most) -> result<hour_list> {
      hour_list found;
      for (auto hour = from; hour < to; hour += std::chrono::hours{1})
        if (!hours[{id.value, hour}].complete && std::ssize(found) < most) found.push_back(hour);
      return found;
    };
    out.claim = [this](tx&, const cluster_id& id, const hour_list& wanted,
                       const std::string& holder, milliseconds lease, bool again,
                       time_point now) -> result<hour_list> {
      return claim(id, wanted, holder, lease, again, now);
    };
    out.release = [this](tx&, const cluster_id& id, const hour_list& list, const std::string&,
                         const std::string& why, time_point) -> result<done> {
      for (auto hour : list) {
        auto& h = hours[{id.value, hour}];
        h.holder.clear();
        h.failure = why;
      }
      return done{};
    };
    out.book = [this](tx& t, const cluster_id& id,
                      const std::vector<persistence::hour_of_usage>& list,
                      time_point) -> result<persistence::booking> {
      if (booking_fault) return *booking_fault;
      ++bookings;
      t.touch({persistence::topic::usage, {"usr_1"}});
      persistence::booking made;
      std::set<std::string> seen;
      for (const auto& u : list) {
        if (!rolls_back)
          hours[{id.value, u.hour}] = {.booked = true, .complete = u.complete, .rows = u.rows};
        for (const auto& r : u.rows)
          if (seen.insert(r.name_space).second)
            made.rows.push_back({r.name_space, owners[r.name_space], r.name_space});
      }
      return made;
    };
    return out;
  }
};

class usage_collector_test : public testing::deterministic_system {
protected:
  struct opencost_state {
    explicit opencost_state(opencost_actor::pointer) {}
  };
  static opencost_actor::behavior_type
  opencost(opencost_actor::stateful_pointer<opencost_state> self, usage_collector_test* test,
           cluster_id id) {
    return {[self, test, id](const query_allocations& q) -> caf::result<allocations> {
              test->asked.emplace_back(id.value, q);
              if (test->crashing) {
                self->quit(caf::exit_reason::unhandled_exception);
                return allocations{{}, "crashed"};
              }
              if (test->holding) {
                test->held.push_back(self->make_response_promise<allocations>());
                return test->held.back();
              }
              return test->answer(id, q);
            },
            // A promise must be kept by the actor that made it, while that runs.
            [test, id](caf::tick_atom) {
              for (auto& promise : std::exchange(test->held, {}))
                promise.deliver(test->answer(id, {}));
            }};
  }
  struct front_end_state {
    explicit front_end_state(front_end_actor::pointer) {}
  };
  /// Notes what it hears and is behind until it is told to drain.
  static front_end_actor::behavior_type
  front_end(front_end_actor::stateful_pointer<front_end_state> self, usage_collector_test* test) {
    return {[](incoming&) {},
            [](authenticated&) {},
            [test](const changed& c) { test->heard = c.what; },
            [](const session_ended&) {},
            [](const sweep&) {},
            [test](const drain&) {
              test->behind->deliver(caught_up{});
              return drained{};
            },
            [self, test](const catch_up&) -> caf::result<caught_up> {
              EXPECT_FALSE(test->heard.empty()) << "first the changes";
              test->behind = self->make_response_promise<caught_up>();
              return *test->behind;
            }};
  }
  void let_go() {
    holding = false;
    tell(last, caf::tick_atom_v);
  }

  void SetUp() override {
    app.time = &time;
    app.node = "node-1";
    app.config.collector.backfill_hours = 3;
    app.vault = *integrations::vault::open(secret{std::string(64, 'a')}, {});
    app.storage = owned(
        testing::spawn_fake_storage<std::vector<cluster>, hour_list, done, persistence::booking>(
            system, db));
    books.clusters = {make_cluster("clu_1")};
    collector_config config;
    config.books = books.functions();
    config.queue = 2;
    config.on_progress = [this](std::int64_t n, std::int64_t of) { progress = {n, of}; };
    config.opencost = [this](caf::actor_system& sys, const services&, opencost_target target) {
      spawned.push_back(target.id.value);
      targets.push_back(target);
      last = sys.spawn(opencost, this, target.id);
      return last;
    };
    collector = owned(spawn_usage_collector(system, app, std::move(config)));
  }
  void TearDown() override {
    last = nullptr;
    held.clear();
    behind.reset();
    app.front_end = nullptr;
    deterministic_system::TearDown();
  }

  cluster make_cluster(const std::string& id, const std::string& yaml = kubeconfig) {
    return {.id = {id},
            .name = id + "-name",
            .kubeconfig_sealed = app.vault->seal(secret{yaml}, "kubeconfig:" + id)};
  }

  allocations answer(const cluster_id& id, const query_allocations& q) {
    if (failing.contains(id.value)) return {{}, "connection refused"};
    auto out = std::make_shared<integrations::allocation_set>();
    out->known = !nulls.contains(q.from);
    if (out->known)
      for (const auto& name : namespaces)
        out->rows.push_back(
            {.name_space = name,
             .cpu_core_hours = unknown_cpu ? std::nullopt : std::optional{decimal{1}},
             .gpu_hours = decimal{},
             .ram_byte_hours = decimal{std::int64_t{1} << 31},
             .pv_byte_hours = decimal{}});
    return {out, {}};
  }

  static collect_usage range(time_point from, time_point to) {
    return {.from = unix_seconds(from), .to = unix_seconds(to)};
  }
  caf::expected<collection> collect(collect_usage what = {}) {
    return ask<collection>(collector, what);
  }
  static bj::object parsed(const collection& c) { return json::parse(c.report)->as_object(); }
  fake_books::hour_state& state(time_point hour, const std::string& id = "clu_1") {
    return books.hours[{id, hour}];
  }

  const time_point present = *parse_iso("2026-03-10T12:00:00Z");
  fake_database db{};
  services app{};
  fake_books books{};
  usage_collector_actor collector{};
  std::vector<std::pair<std::string, query_allocations>> asked{};
  std::vector<std::string> spawned{};
  std::vector<opencost_target> targets{};
  std::vector<caf::typed_response_promise<allocations>> held{};
  opencost_actor last{};
  std::vector<persistence::change> heard{};
  std::optional<caf::typed_response_promise<caught_up>> behind{};
  std::set<std::string> failing{};
  std::set<std::int64_t> nulls{};
  std::vector<std::string> namespaces{"analytics"};
  bool holding = false;
  bool crashing = false;
  bool unknown_cpu = false;
  std::pair<std::int64_t, std::int64_t> progress{};
};

TEST_F(usage_collector_test, CollectsThePresentHourAndWhatIsMissingBeforeIt) {
  auto got = collect();

  ASSERT_TRUE(got);
  EXPECT_EQ(got->hours, 4);
  EXPECT_EQ(got->successful, 1);
  EXPECT_EQ(got->failed, 0);
  ASSERT_EQ(asked.size(), 4u);
  EXPECT_EQ(asked[0].second.from, unix_seconds(present));
  EXPECT_EQ(asked[0].second.to, unix_seconds(time.now()));
  for (std::size_t i = 1; i < 4; ++i) {
    auto hour = present - hours{i};
    EXPECT_EQ(asked[i].second.from, unix_seconds(hour));
    EXPECT_EQ(asked[i].second.to, unix_seconds(hour + hours{1}));
    EXPECT_TRUE(state(hour).complete);
  }
  EXPECT_TRUE(state(present).booked);
  EXPECT_FALSE(state(present).complete);
  EXPECT_EQ(books.bookings, 1);
  EXPECT_EQ(state(present - hours{1}).rows[0].ram_gb_hours, decimal{2});
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{4, 4}));
}

TEST_F(usage_collector_test, RepliesWhenTheSessionsKnowWhatWasBooked) {
  app.front_end = owned(system.spawn(front_end, this));
  auto asked_for = start(collector, collect_usage{});
  EXPECT_EQ(heard, (std::vector<persistence::change>{{persistence::topic::usage, {"usr_1"}}}));
  ASSERT_TRUE(behind);
  EXPECT_FALSE(self->has_next_message());

  tell(app.front_end, drain{});

  EXPECT_TRUE(reply_of<collection>(asked_for));
}

TEST_F(usage_collector_test, AsksAgainForThePresentHourOnly) {
  collect();
  asked.clear();

  EXPECT_EQ(collect()->hours, 1);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].second.from, unix_seconds(present));

  advance(1h);
  EXPECT_EQ(collect()->hours, 2);
  EXPECT_TRUE(state(present).complete);
}

TEST_F(usage_collector_test, CollectsCompleteHoursOnlyWhenTold) {
  auto what = range(present - 48h, present);
  EXPECT_EQ(collect(what)->hours, 48);
  EXPECT_EQ(books.bookings, 2); // 24 hours each
  EXPECT_EQ(collect(what)->hours, 0);

  what.again = true;
  EXPECT_EQ(collect(what)->hours, 48);
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{48, 48}));
}

TEST_F(usage_collector_test, KnowsHowFarBehindItIs) {
  auto& lag = metrics::gauge("binnacle_collector_lag_seconds", "");
  collect();
  EXPECT_EQ(lag.Value(), 20 * 60 + 30);
  advance(10s);
  EXPECT_EQ(lag.Value(), 20 * 60 + 40);

  books.hours[{"clu_1", present - 2h}].complete = false;
  nulls = {unix_seconds(present - 2h)};
  collect();
  EXPECT_EQ(lag.Value(), 2 * 3'600 + 20 * 60 + 40);
}

TEST_F(usage_collector_test, KeepsCountOfManyClustersWithBookingsThatTakeTurns) {
  for (int i = 2; i <= 9; ++i) books.clusters.push_back(make_cluster("clu_" + std::to_string(i)));

  auto got = collect(range(present - 60h, present));

  EXPECT_EQ(got->hours, 9 * 60);
  EXPECT_EQ(books.bookings, 9 * 3);
  for (auto& [key, hour] : books.hours) EXPECT_TRUE(hour.complete);
}

TEST_F(usage_collector_test, AsksForTheNextHoursWhileABatchIsBooked) {
  db.holds = [](const job& j) {
    return dynamic_cast<const storage_job<persistence::booking>*>(&j) != nullptr;
  };

  [[maybe_unused]] auto waiting = start(collector, range(present - 72h, present));

  EXPECT_EQ(asked.size(), 48u); // the batch that is booked, and one more
  for (int i = 1; i <= 48; ++i) EXPECT_EQ(state(present - hours{i}).holder, "node-1");
}

TEST_F(usage_collector_test, StopsAtABookingThatFailsAndGivesItsHoursBack) {
  books.booking_fault = fault{errc::internal};

  auto got = collect(range(present - 96h, present));

  EXPECT_EQ(got->failed, 1);
  EXPECT_EQ(asked.size(), 48u);
  for (int i = 1; i <= 96; ++i) EXPECT_EQ(state(present - hours{i}).holder, "");
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{96, 96}));
}

TEST_F(usage_collector_test, RefusesHoursThatAreNotOver) {
  auto got = collect(range(present, present + 1h));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), errc::bad_request);
  EXPECT_TRUE(asked.empty());
}

TEST_F(usage_collector_test, SaysWhenNoClusterHasAKubeconfig) {
  books.clusters = {{.id = {"clu_9"}, .name = "bare"}};
  auto got = collect();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), errc::unprocessable);
}

TEST_F(usage_collector_test, AnHourWithoutDataStaysMissing) {
  nulls = {unix_seconds(present - 2h)};

  auto got = collect();

  EXPECT_EQ(got->hours, 3);
  EXPECT_EQ(got->failed, 0);
  EXPECT_FALSE(state(present - 2h).booked);
  EXPECT_EQ(state(present - 2h).failure, "OpenCost has no data for this hour");
  EXPECT_EQ(state(present - 2h).holder, "");

  nulls.clear();
  EXPECT_EQ(collect()->hours, 2);
  EXPECT_TRUE(state(present - 2h).complete);
}

TEST_F(usage_collector_test, AnHourWithAGapIsBookedAndAskedForAgain) {
  unknown_cpu = true;
  EXPECT_EQ(collect(range(present - 1h, present))->hours, 1);
  EXPECT_TRUE(state(present - 1h).booked);
  EXPECT_FALSE(state(present - 1h).complete);

  unknown_cpu = false;
  EXPECT_EQ(collect(range(present - 1h, present))->hours, 1);
  EXPECT_TRUE(state(present - 1h).complete);
}

TEST_F(usage_collector_test, BooksNamespacesWithoutAnOwnerAndReportsThem) {
  namespaces = {"analytics", "stray"};

  auto got = collect();

  EXPECT_EQ(got->successful, 1);
  EXPECT_EQ(got->failed, 1);
  EXPECT_EQ(state(present).rows.size(), 2u);
  EXPECT_EQ(parsed(*got).at("results").at("errors"),
            bj::value({"Namespace stray: No user mapping found"}));
}

TEST_F(usage_collector_test, OneClusterThatFailsDoesNotHoldUpTheOthers) {
  for (int i = 2; i <= 6; ++i) books.clusters.push_back(make_cluster("clu_" + std::to_string(i)));
  failing = {"clu_1", "clu_4"};

  auto got = collect(range(present - 10h, present));

  ASSERT_TRUE(got);
  EXPECT_EQ(got->hours, 40);
  EXPECT_EQ(got->failed, 2);
  auto doc = parsed(*got);
  EXPECT_EQ(doc.at("clustersProcessed"), 6);
  EXPECT_EQ(doc.at("results").at("clusters").at(0).at("error"), "connection refused");
  // Three failures in a row are enough.
  EXPECT_EQ(std::ranges::count_if(asked, [](auto& a) { return a.first == "clu_1"; }), 3);
  for (int i = 1; i <= 10; ++i) EXPECT_EQ(state(present - hours{i}).holder, "");
  EXPECT_EQ(state(present - 1h).failure, "connection refused");
  EXPECT_EQ(state(present - 9h).failure, "not tried: OpenCost failed for hours before");
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{60, 60}));
}

TEST_F(usage_collector_test, AKubeconfigThatCannotBeReadIsReported) {
  books.clusters.push_back(make_cluster("clu_2", "no: kubeconfig"));
  books.clusters.push_back({.id = {"clu_3"}, .name = "three", .kubeconfig_sealed = "v1:junk"});

  auto got = collect();

  ASSERT_TRUE(got);
  EXPECT_EQ(got->hours, 4);
  EXPECT_EQ(got->failed, 2);
}

TEST_F(usage_collector_test, ADryRunBooksAndClaimsNothing) {
  books.rolls_back = true;
  namespaces = {"analytics", "stray"};
  auto what = range(present - 2h, present);
  what.dry_run = true;

  auto got = collect(what);

  ASSERT_TRUE(got);
  EXPECT_EQ(got->hours, 2);
  EXPECT_EQ(got->successful, 1);
  EXPECT_EQ(got->failed, 1);
  auto doc = parsed(*got);
  EXPECT_EQ(doc.at("dryRun"), true);
  EXPECT_EQ(doc.at("results").at("namespaces").at(0).at("userId"), "usr_1");
  for (auto& [key, hour] : books.hours) {
    EXPECT_FALSE(hour.booked);
    EXPECT_EQ(hour.holder, "");
    EXPECT_EQ(hour.failure, "");
  }
}

TEST_F(usage_collector_test, LeavesOutWhatAnotherCollectorIsAt) {
  books.claim({"clu_1"}, {present - 1h, present - 2h}, "node-2", 30s, false, time.now());

  auto got = collect();

  EXPECT_EQ(got->hours, 2);
  EXPECT_EQ(got->held, 2);
  EXPECT_EQ(parsed(*got).at("hoursHeld"), 2);
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{4, 4}));

  advance(31s); // the other one has died
  EXPECT_EQ(collect()->hours, 3);
}

TEST_F(usage_collector_test, KeepsItsClaimsWhileOpenCostIsSlow) {
  holding = true;
  auto waiting = start(collector, range(present - 2h, present));
  pass(120s);

  EXPECT_TRUE(books.claim({"clu_1"}, {present - 1h, present - 2h}, "node-2", 30s, false, time.now())
                  .empty());

  let_go();
  EXPECT_EQ(reply_of<collection>(waiting)->hours, 2);
  pass(60s);
  EXPECT_EQ(state(present - 1h).holder, "");
}

TEST_F(usage_collector_test, CollectsOneAfterTheOtherAndBoundsTheQueue) {
  holding = true;
  auto first = start(collector, range(present - 1h, present));
  auto second = start(collector, range(present - 2h, present));
  auto third = start(collector, range(present - 3h, present));
  EXPECT_EQ(asked.size(), 1u);

  auto refused = collect();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::overloaded);

  let_go();
  EXPECT_EQ(reply_of<collection>(first)->hours, 1);
  EXPECT_EQ(reply_of<collection>(second)->hours, 1);
  EXPECT_EQ(reply_of<collection>(third)->hours, 1);
}

TEST_F(usage_collector_test, WaitsForADatabaseThatComesBack) {
  holding = true;
  auto waiting = start(collector, range(present - 1h, present));
  db.up = false;
  let_go();
  pass(10s);
  EXPECT_EQ(books.bookings, 0);

  db.up = true;
  pass(3s);

  EXPECT_EQ(reply_of<collection>(waiting)->hours, 1);
  EXPECT_TRUE(state(present - 1h).complete);
}

TEST_F(usage_collector_test, GivesUpOnADatabaseThatStaysAway) {
  db.up = false;
  auto waiting = start(collector, collect_usage{});
  pass(40s);

  auto got = reply_of<collection>(waiting);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), errc::unavailable);

  db.up = true;
  EXPECT_EQ(collect()->hours, 4);
}

TEST_F(usage_collector_test, HoursThatCouldNotBeBookedAreGivenBack) {
  books.booking_fault = internal_fault("no such column");

  auto got = collect();

  ASSERT_TRUE(got);
  EXPECT_EQ(got->hours, 0);
  EXPECT_EQ(got->failed, 1);
  EXPECT_EQ(state(present - 1h).holder, "");
  EXPECT_NE(state(present - 1h).failure.find("not booked"), std::string::npos);
  EXPECT_EQ(got->report.find("no such column"), std::string::npos); // for the log only

  books.booking_fault.reset();
  EXPECT_EQ(collect()->hours, 4);
}

TEST_F(usage_collector_test, UsesAnOpenCostActorUntilItsKubeconfigChanges) {
  collect();
  collect();
  EXPECT_EQ(spawned.size(), 1u);
  EXPECT_FALSE(*targets[0].cancelled);
  EXPECT_EQ(targets[0].access.server, "https://kubernetes:6443");

  books.clusters = {make_cluster("clu_1")}; // sealed anew: another text
  collect();
  EXPECT_EQ(spawned.size(), 2u);
  EXPECT_TRUE(*targets[0].cancelled);
  EXPECT_FALSE(*targets[1].cancelled);

  books.clusters = {make_cluster("clu_2")};
  collect();
  EXPECT_TRUE(*targets[1].cancelled);
}

TEST_F(usage_collector_test, AnOpenCostActorThatDiedIsSpawnedAnew) {
  crashing = true;
  EXPECT_EQ(collect()->failed, 1);
  crashing = false;

  EXPECT_EQ(collect()->hours, 4);
  EXPECT_EQ(spawned.size(), 2u);
}

TEST_F(usage_collector_test, StopsItsOpenCostActorsWithItself) {
  holding = true;
  [[maybe_unused]] auto waiting = start(collector, collect_usage{});
  ASSERT_EQ(held.size(), 1u);

  stop(collector);

  EXPECT_TRUE(*targets[0].cancelled);
  auto refused = ask<allocations>(last, query_allocations{});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), caf::sec::request_receiver_down);
}

} // namespace
} // namespace binnacle
