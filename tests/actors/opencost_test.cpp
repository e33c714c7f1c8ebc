#include "actors/opencost.hpp"

#include "deterministic_system.hpp"
#include "integrations/opencost.hpp"

#include <deque>
#include <future>
#include <thread>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using integrations::http_call;

const char* const good_body = R"({"code":200,"status":"success","data":[
  {"analytics":{"cpuCoreHours":1.5,"gpuHours":0,"ramByteHours":1073741824,"pvByteHours":0}}]})";

class opencost_test : public testing::deterministic_system {
protected:
  /// Answers what the test put into `script`; after that, good ones.
  opencost_actor spawn() {
    opencost_config config;
    config.detached = false;
    config.retry = {.attempts = 3, .first = 1'000ms, .longest = 30'000ms};
    config.queue = 3;
    config.tolerance = 2;
    config.rest = 60s;
    config.random = [] { return 0.5; };
    config.send = [this](const http_call& call) -> result<http_answer> {
      calls.push_back(call);
      if (script.empty()) return http_answer{.status = 200, .body = good_body};
      auto next = std::move(script.front());
      script.pop_front();
      return next;
    };
    opencost_target target{.id = cluster_id{"clu_1"}, .name = "one"};
    target.access.server = "https://kubernetes";
    target.access.token = secret{"token"};
    return owned(spawn_opencost(system, target, config));
  }
  auto query(const opencost_actor& to) { return start(to, query_allocations{0, 3'600}); }

  static result<http_answer> status(int code, const std::string& retry_after = {}) {
    http_answer out{.status = code};
    if (!retry_after.empty()) out.headers.emplace_back("retry-after", retry_after);
    return out;
  }
  static result<http_answer> no_answer() {
    return fault{errc::upstream_failed, {}, {}, "connection reset"};
  }
  static result<http_answer> body(std::string text) {
    return http_answer{.status = 200, .body = std::move(text)};
  }

  std::deque<result<http_answer>> script{};
  std::vector<http_call> calls{};
};

TEST_F(opencost_test, AsksForExactlyTheWindow) {
  auto opencost = spawn();

  auto got = ask<allocations>(opencost, query_allocations{1'773'144'000, 1'773'147'600});

  ASSERT_TRUE(got && got->set);
  EXPECT_TRUE(got->set->known);
  ASSERT_EQ(got->set->rows.size(), 1u);
  EXPECT_EQ(got->set->rows[0].cpu_core_hours, decimal::parse("1.5"));
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_NE(calls[0].url.find("window=2026-03-10T12:00:00Z,2026-03-10T13:00:00Z"),
            std::string::npos)
      << calls[0].url;
  EXPECT_EQ(calls[0].deadline, 30s);
}

TEST_F(opencost_test, RepeatsAFaultWithGrowingPauses) {
  auto opencost = spawn();
  script = {status(500), no_answer()};

  auto asked = query(opencost);
  EXPECT_EQ(calls.size(), 1u);
  advance(499ms);
  EXPECT_EQ(calls.size(), 1u);
  advance(1ms); // half of 1 s
  EXPECT_EQ(calls.size(), 2u);
  advance(999ms);
  EXPECT_EQ(calls.size(), 2u);
  advance(1ms); // half of 2 s
  EXPECT_EQ(calls.size(), 3u);

  EXPECT_TRUE(reply_of<allocations>(asked)->set);
}

TEST_F(opencost_test, WaitsAsLongAsItIsAskedTo) {
  auto opencost = spawn();
  script = {status(429, "7")};

  auto asked = query(opencost);
  advance(6'999ms);
  EXPECT_EQ(calls.size(), 1u);
  advance(1ms);

  EXPECT_TRUE(reply_of<allocations>(asked)->set);
}

TEST_F(opencost_test, RepeatsAnAnswerThatCannotBeRead) {
  auto opencost = spawn();
  script = {body(R"({"code":500,"status":"error","data":null,"message":"boom"})"), body("{\"co")};

  auto asked = query(opencost);
  pass(5s);

  EXPECT_TRUE(reply_of<allocations>(asked)->set);
  EXPECT_EQ(calls.size(), 3u);
}

TEST_F(opencost_test, DoesNotRepeatARefusalAndSaysWhatIsWrong) {
  auto opencost = spawn();
  script = {status(401)};

  auto got = ask<allocations>(opencost, query_allocations{0, 3'600});

  EXPECT_EQ(calls.size(), 1u);
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->set);
  EXPECT_NE(got->failure.find("token"), std::string::npos) << got->failure;
}

TEST_F(opencost_test, GivesUpAfterTheLastAttempt) {
  auto opencost = spawn();
  script = {no_answer(), no_answer(), no_answer()};

  auto asked = query(opencost);
  pass(10s);

  auto got = reply_of<allocations>(asked);
  EXPECT_FALSE(got->set);
  EXPECT_NE(got->failure.find("connection reset"), std::string::npos) << got->failure;
  EXPECT_EQ(calls.size(), 3u);
}

TEST_F(opencost_test, ANullSetIsAnAnswer) {
  auto opencost = spawn();
  script = {body(R"({"code":200,"status":"success","data":[null]})")};

  auto got = ask<allocations>(opencost, query_allocations{0, 3'600});

  ASSERT_TRUE(got && got->set);
  EXPECT_FALSE(got->set->known);
}

TEST_F(opencost_test, ServesOneQueryAfterTheOther) {
  auto opencost = spawn();
  script = {status(500)};

  auto first = query(opencost);
  auto second = query(opencost);
  EXPECT_EQ(calls.size(), 1u); // the second waits for the repetition of the first
  advance(500ms);

  EXPECT_EQ(calls.size(), 3u);
  EXPECT_TRUE(reply_of<allocations>(first)->set);
  EXPECT_TRUE(reply_of<allocations>(second)->set);
}

TEST_F(opencost_test, RefusesMoreThanItsQueueHolds) {
  auto opencost = spawn();
  script = {status(500)};
  std::vector<decltype(query(opencost))> asked;
  for (int i = 0; i < 3; ++i) asked.push_back(query(opencost));

  auto refused = ask<allocations>(opencost, query_allocations{0, 3'600});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::overloaded);
  pass(1s);
  for (auto& a : asked) EXPECT_TRUE(reply_of<allocations>(a)->set);
}

TEST_F(opencost_test, LeavesAnUpstreamAloneThatKeepsFailing) {
  auto opencost = spawn();
  script = {status(403), status(403), status(403)};
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(ask<allocations>(opencost, query_allocations{0, 1})->set);
  EXPECT_EQ(calls.size(), 2u);

  auto paused = ask<allocations>(opencost, query_allocations{0, 1});
  EXPECT_FALSE(paused->set);
  EXPECT_NE(paused->failure.find("pause"), std::string::npos) << paused->failure;
  EXPECT_EQ(calls.size(), 2u); // not even asked

  advance(60s);
  EXPECT_FALSE(ask<allocations>(opencost, query_allocations{0, 1})->set); // the probe
  EXPECT_EQ(calls.size(), 3u);
  EXPECT_FALSE(ask<allocations>(opencost, query_allocations{0, 1})->set); // open again
  EXPECT_EQ(calls.size(), 3u);

  advance(60s);
  EXPECT_TRUE(ask<allocations>(opencost, query_allocations{0, 1})->set);
  EXPECT_TRUE(ask<allocations>(opencost, query_allocations{0, 1})->set);
}

TEST_F(opencost_test, AProbeIsTriedOnceAndDecidesForThoseThatWait) {
  auto opencost = spawn();
  script = {status(403), status(403), no_answer()};
  for (int i = 0; i < 2; ++i) ask<allocations>(opencost, query_allocations{0, 1});
  advance(60s);

  auto probe = self->request(opencost, caf::infinite, query_allocations{0, 1});
  auto waiting = self->request(opencost, caf::infinite, query_allocations{0, 1});

  EXPECT_FALSE(reply_of<allocations>(probe)->set);
  EXPECT_FALSE(reply_of<allocations>(waiting)->set);
  EXPECT_EQ(calls.size(), 3u);
}

TEST_F(opencost_test, AnswersWhatWaitsWhenItIsStopped) {
  auto opencost = spawn();
  script = {status(429, "30")};
  auto first = query(opencost);
  auto second = query(opencost);

  stop(opencost);

  EXPECT_FALSE(reply_of<allocations>(first)->set);
  EXPECT_FALSE(reply_of<allocations>(second)->set);
  EXPECT_EQ(calls.size(), 1u);
}

/// With its own thread, and an upstream that never answers.
TEST(detached_opencost_test, ACallInFlightDoesNotHoldUpAStop) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  opencost_target target{.id = cluster_id{"clu_1"}, .name = "one"};
  std::promise<void> begun;
  opencost_config how;
  how.send = [&begun, cancelled = target.cancelled](const http_call&) -> result<http_answer> {
    begun.set_value();
    while (!*cancelled) std::this_thread::yield();
    return fault{errc::upstream_failed, {}, {}, "cancelled"};
  };
  auto opencost = spawn_opencost(system, target, how);
  auto asked = self->request(opencost, seconds{20}, query_allocations{0, 3'600});
  begun.get_future().wait();

  *target.cancelled = true;
  caf::anon_send_exit(opencost, caf::exit_reason::user_shutdown);

  asked.receive([](const allocations& a) { EXPECT_FALSE(a.set); },
                [](const caf::error& e) { FAIL() << caf::to_string(e); });
}

} // namespace
} // namespace binnacle
