#include "actors/hopsworks.hpp"

#include "deterministic_system.hpp"
#include "integrations/vault.hpp"

#include <deque>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using integrations::http_call;

class hopsworks_test : public testing::deterministic_system {
protected:
  void SetUp() override {
    app.vault = *integrations::vault::open(secret{std::string(64, 'a')}, "");
    where = cluster("clu_1");
  }
  persistence::cluster cluster(const char* id) {
    persistence::cluster out;
    out.id = cluster_id{id};
    out.api_url = "https://hopsworks.example/hopsworks-api/api/";
    out.api_key_sealed = app.vault->seal(secret{"key"}, std::string{"api_key:"} + id);
    return out;
  }
  /// Answers what the test put into `script`; after that, good ones.
  hopsworks_actor spawn() {
    hopsworks_config config;
    config.detached = false;
    config.retry = {.attempts = 3, .first = 1'000ms, .longest = 30'000ms};
    config.queue = 3;
    config.tolerance = 2;
    config.rest = 60s;
    config.random = [] { return 0.5; };
    config.send = [this](const http_call& call) -> result<http_answer> {
      calls.push_back(call);
      if (script.empty()) return http_answer{.status = 200, .body = "{}"};
      auto next = std::move(script.front());
      script.pop_front();
      return next;
    };
    return owned(spawn_hopsworks(system, app, config));
  }
  call_hopsworks request(caf::timespan patience = 60s) {
    return {std::make_shared<const persistence::cluster>(where),
            std::make_shared<const hopsworks::call>(hopsworks::list_users()), patience};
  }
  static result<http_answer> status(int code, const std::string& retry_after = {}) {
    http_answer out{.status = code};
    if (!retry_after.empty()) out.headers.emplace_back("retry-after", retry_after);
    return out;
  }
  static result<http_answer> no_answer() {
    return fault{errc::upstream_failed, {}, {}, "connection reset"};
  }
  static int status_of(const caf::expected<hopsworks_answer>& got) {
    return got && *got->what ? (*got->what)->status : 0;
  }
  static errc code_of(const caf::expected<hopsworks_answer>& got) {
    return got && !*got->what ? got->what->error().code : errc::none;
  }

  services app{};
  persistence::cluster where{};
  std::deque<result<http_answer>> script{};
  std::vector<http_call> calls{};
};

TEST_F(hopsworks_test, CallsWithTheClustersKeyAtItsAddress) {
  auto actor = spawn();

  EXPECT_EQ(status_of(ask<hopsworks_answer>(actor, request())), 200);

  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].url, "https://hopsworks.example/hopsworks-api/api/admin/users");
  EXPECT_EQ(calls[0].scheme, "ApiKey");
  EXPECT_EQ(calls[0].bearer.reveal(), "key");
  EXPECT_FALSE(calls[0].tls.insecure);
}

TEST_F(hopsworks_test, RepeatsFaultsWithGrowingPauses) {
  auto actor = spawn();
  script = {status(500), no_answer()};

  auto asked = start(actor, request());
  advance(499ms);
  EXPECT_EQ(calls.size(), 1u);
  advance(1ms); // half of 1 s
  EXPECT_EQ(calls.size(), 2u);
  advance(1s); // half of 2 s

  EXPECT_EQ(status_of(reply_of<hopsworks_answer>(asked)), 200);
  EXPECT_EQ(calls.size(), 3u);
}

TEST_F(hopsworks_test, WaitsAsLongAsItIsAskedToAndNoLongerThanItsPatience) {
  auto actor = spawn();
  script = {status(429, "7")};
  auto patient = start(actor, request(60s));
  advance(6'999ms);
  EXPECT_EQ(calls.size(), 1u);
  advance(1ms);
  EXPECT_EQ(status_of(reply_of<hopsworks_answer>(patient)), 200);

  script = {status(429, "7")};
  auto impatient = start(actor, request(5s));
  advance(7s);
  EXPECT_EQ(status_of(reply_of<hopsworks_answer>(impatient)), 429) << "what was said last";
  EXPECT_EQ(calls.size(), 3u);
}

TEST_F(hopsworks_test, HandsARefusalOnAtOnce) {
  auto actor = spawn();
  for (int code : {400, 401, 404, 409}) {
    script = {status(code)};
    EXPECT_EQ(status_of(ask<hopsworks_answer>(actor, request())), code);
  }
  EXPECT_EQ(calls.size(), 4u);
}

TEST_F(hopsworks_test, RefusesMoreThanItsQueueHolds) {
  auto actor = spawn();
  script = {status(500)};
  std::vector<decltype(start(actor, request()))> asked;
  for (int i = 0; i < 3; ++i) asked.push_back(start(actor, request()));

  auto refused = ask<hopsworks_answer>(actor, request());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::overloaded);
  pass(1s);
  for (auto& a : asked) EXPECT_EQ(status_of(reply_of<hopsworks_answer>(a)), 200);
}

TEST_F(hopsworks_test, LeavesAClusterAloneThatKeepsFailingAndAsksTheOthers) {
  auto actor = spawn();
  for (int i = 0; i < 2; ++i) {
    script = {no_answer(), no_answer(), no_answer()};
    auto asked = start(actor, request());
    pass(10s);
    EXPECT_EQ(code_of(reply_of<hopsworks_answer>(asked)), errc::upstream_failed);
  }
  EXPECT_EQ(calls.size(), 6u);

  EXPECT_EQ(code_of(ask<hopsworks_answer>(actor, request())), errc::unavailable);
  EXPECT_EQ(calls.size(), 6u); // not even asked
  auto first = std::exchange(where, cluster("clu_2"));
  EXPECT_EQ(status_of(ask<hopsworks_answer>(actor, request())), 200);

  where = first;
  advance(60s);
  EXPECT_EQ(status_of(ask<hopsworks_answer>(actor, request())), 200); // the probe
  EXPECT_EQ(status_of(ask<hopsworks_answer>(actor, request())), 200);
}

TEST_F(hopsworks_test, BeginsAnewWhenTheClusterHasAnotherKey) {
  auto actor = spawn();
  ask<hopsworks_answer>(actor, request());

  where.api_key_sealed = app.vault->seal(secret{"other"}, "api_key:clu_1");
  where.verify_tls = false;
  ask<hopsworks_answer>(actor, request());

  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1].bearer.reveal(), "other");
  EXPECT_TRUE(calls[1].tls.insecure);
}

TEST_F(hopsworks_test, HasNothingToSayWithoutAKey) {
  auto actor = spawn();
  where.api_key_sealed.clear();

  EXPECT_EQ(code_of(ask<hopsworks_answer>(actor, request())), errc::unprocessable);
  EXPECT_TRUE(calls.empty());
}

TEST_F(hopsworks_test, AnswersWhatWaitsWhenItIsStopped) {
  auto actor = spawn();
  script = {status(429, "30")};
  auto first = start(actor, request());
  auto second = start(actor, request());

  stop(actor);

  EXPECT_EQ(code_of(reply_of<hopsworks_answer>(first)), errc::unavailable);
  EXPECT_EQ(code_of(reply_of<hopsworks_answer>(second)), errc::unavailable);
  EXPECT_EQ(calls.size(), 1u);
}

} // namespace
} // namespace binnacle
