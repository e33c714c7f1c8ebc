#include "actors/project_sync.hpp"

#include "actors/hopsworks.hpp"
#include "config/base/json.hpp"
#include "deterministic_system.hpp"

#include <algorithm>
#include <map>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using persistence::cluster;
using testing::fake_database;

using answering_hopsworks = hopsworks_actor::extend<caf::reacts_to<caf::tick_atom>>;
struct fake_hopsworks_state {
  explicit fake_hopsworks_state(answering_hopsworks::pointer) {}
};

/// Clusters, and the Hopsworks of each.
class project_sync_test : public testing::deterministic_system {
protected:
  using tx = persistence::transaction;

  /// While it hangs it keeps every call: a promise is kept by the actor that made it.
  static answering_hopsworks::behavior_type
  fake(answering_hopsworks::stateful_pointer<fake_hopsworks_state> self, project_sync_test* test) {
    return {[self, test](const call_hopsworks& c) -> caf::result<hopsworks_answer> {
              test->asked.push_back(c.where->id.value + " " + c.what->path);
              auto reply = self->make_response_promise<hopsworks_answer>();
              if (test->hangs)
                test->hanging.push_back({c, reply});
              else
                reply.deliver(test->answer(c));
              return reply;
            },
            [test](caf::tick_atom) {
              for (auto& h : std::exchange(test->hanging, {}))
                h.reply.deliver(test->answer(h.call));
            }};
  }
  struct hanging_call {
    call_hopsworks call{};
    caf::typed_response_promise<hopsworks_answer> reply{};
  };
  hopsworks_answer answer(const call_hopsworks& c) const {
    if (broken == c.where->id.value)
      return {std::make_shared<const result<http_answer>>(
          fault{errc::upstream_failed, {}, {}, "reset"})};
    auto of_users = c.what->path.starts_with("/admin/users");
    std::string body =
        of_users
            ? R"({"items":[{"id":7,"username":"ana7","email":"ana@example.com",)"
              R"("accountType":"OAUTH2","status":2,"maxNumProjects":5,"numActiveProjects":1}]})"
            : R"({"items":[{"id":70,"name":"churn","creator":{"username":"ana7"}}]})";
    return {std::make_shared<const result<http_answer>>(
        http_answer{.status = 200, .headers = {}, .body = std::move(body)})};
  }

  void SetUp() override {
    app.time = &time;
    upstream = owned(system.spawn(&fake, this));
    app.hopsworks = upstream;
    app.storage =
        owned(testing::spawn_fake_storage<std::vector<cluster>, cluster_sync>(system, db));
    for (auto* id : {"alpha", "beta"}) {
      cluster c;
      c.id = {id};
      c.name = id;
      c.api_key_sealed = "sealed";
      clusters.push_back(std::move(c));
    }
    project_sync_config config;
    config.queue = 2;
    config.clusters = [this](tx&) -> result<std::vector<cluster>> { return clusters; };
    config.apply = [this](tx&, const cluster_listing& l, time_point) -> result<cluster_sync> {
      applied.push_back(l);
      return cluster_sync{.users = 1,
                          .users_with_projects = 1,
                          .found = std::ssize(l.projects),
                          .changes = {.synced = std::ssize(l.projects)}};
    };
    actor = owned(spawn_project_sync(system, app, std::move(config)));
  }
  void TearDown() override {
    hanging.clear();
    upstream = nullptr;
    app.hopsworks = nullptr;
    deterministic_system::TearDown();
  }
  void let_go() {
    hangs = false;
    tell(upstream, caf::tick_atom_v);
  }

  fake_database db{};
  services app{};
  std::vector<cluster> clusters{};
  std::vector<cluster_listing> applied{};
  std::vector<std::string> asked{};
  std::string broken{}; // the cluster whose Hopsworks cannot be asked
  bool hangs = false;
  std::vector<hanging_call> hanging{};
  answering_hopsworks upstream{};
  project_sync_actor actor{};
};

TEST_F(project_sync_test, StoresWhatEveryClusterLists) {
  auto said = ask<synced_projects>(actor, sync_projects{});

  ASSERT_TRUE(said);
  EXPECT_EQ(said->synced, 2);
  EXPECT_EQ(said->failed, 0);
  ASSERT_EQ(applied.size(), 2U);
  EXPECT_EQ(applied[0].where.id.value, "alpha");
  ASSERT_EQ(applied[1].projects.size(), 1U);
  EXPECT_EQ(applied[1].projects[0].name, "churn");
  EXPECT_EQ(applied[1].projects[0].owner, "ana7");
}

TEST_F(project_sync_test, LeavesAClusterAloneThatCannotBeAskedAndGoesOnWithTheOthers) {
  broken = "alpha";

  auto said = ask<synced_projects>(actor, sync_projects{});

  ASSERT_TRUE(said);
  EXPECT_EQ(said->synced, 1);
  EXPECT_EQ(said->failed, 1);
  ASSERT_EQ(applied.size(), 1U);
  EXPECT_EQ(applied[0].where.id.value, "beta");
  EXPECT_NE(said->report.find(R"("success":false)"), std::string::npos) << said->report;
  EXPECT_NE(said->report.find("alpha: "), std::string::npos) << said->report;
}

TEST_F(project_sync_test, AsksNoClusterWithoutAnApiKey) {
  clusters[0].api_key_sealed.clear();

  auto said = ask<synced_projects>(actor, sync_projects{});

  ASSERT_TRUE(said);
  EXPECT_TRUE(std::ranges::none_of(asked, [](const auto& a) { return a.starts_with("alpha"); }));
}

TEST_F(project_sync_test, MakesOneRunAtATimeAndLetsAFewWait) {
  hangs = true;
  auto first = start(actor, sync_projects{});
  auto second = start(actor, sync_projects{});
  auto third = start(actor, sync_projects{});
  auto fourth = start(actor, sync_projects{});

  EXPECT_EQ(asked.size(), 1U);
  EXPECT_EQ(to_fault(reply_of<synced_projects>(fourth).error()).code, errc::overloaded);
  let_go();
  EXPECT_TRUE(reply_of<synced_projects>(first));
  EXPECT_TRUE(reply_of<synced_projects>(second));
  EXPECT_TRUE(reply_of<synced_projects>(third));
  EXPECT_EQ(applied.size(), 6U);
}

TEST_F(project_sync_test, GoesOnWhenHopsworksDoesNotAnswer) {
  hangs = true;
  auto run_of_two = start(actor, sync_projects{});

  pass(61s); // alpha's patience
  hanging.erase(hanging.begin());
  let_go(); // beta's list

  auto said = reply_of<synced_projects>(run_of_two);
  ASSERT_TRUE(said);
  EXPECT_EQ(said->failed, 1);
  ASSERT_EQ(applied.size(), 1U);
  EXPECT_EQ(applied[0].where.id.value, "beta");
}

TEST_F(project_sync_test, WaitsForADatabaseThatIsAway) {
  db.up = false;
  auto asking = start(actor, sync_projects{});
  pass(5s);
  EXPECT_TRUE(asked.empty());

  db.up = true;
  pass(3s);

  EXPECT_TRUE(reply_of<synced_projects>(asking));
  EXPECT_EQ(applied.size(), 2U);
}

} // namespace
} // namespace binnacle
