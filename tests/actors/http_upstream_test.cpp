#include "actors/http_upstream.hpp"

#include "deterministic_system.hpp"

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using integrations::http_call;
using answer = result<http_answer>;

answer status(int code) { return http_answer{.status = code, .headers = {}, .body = "{}"}; }
answer no_answer() { return fault{errc::upstream_failed, {}, {}, "connection reset"}; }

/// A caller that waits for the test to tell what the upstream answers.
using fake_caller_actor = blocking_caller_actor::extend<caf::reacts_to<upstream_answer>>;

struct wire {
  struct call {
    std::shared_ptr<const http_call> what{};
    fake_caller_actor by{};
  };
  std::vector<call> calls{}; // all, in the order they were sent
};

struct fake_caller_state {
  explicit fake_caller_state(fake_caller_actor::pointer) {}
  caf::typed_response_promise<upstream_answer> reply{};
};
fake_caller_actor::behavior_type
fake_caller(fake_caller_actor::stateful_pointer<fake_caller_state> self, wire* to) {
  return {[self, to](const make_http_call& m) -> caf::result<upstream_answer> {
            self->state.reply = self->make_response_promise<upstream_answer>();
            to->calls.push_back({m.what, self});
            return self->state.reply;
          },
          [self](const upstream_answer& a) { self->state.reply.deliver(a); }};
}

class http_upstream_test : public testing::deterministic_system {
protected:
  http_upstream_test() {
    config.name = "test";
    config.parallel = 2;
    config.queue = 3;
    config.retry = {.attempts = 2, .first = 1'000ms, .longest = 30'000ms};
    config.tolerance = 3;
    config.rest = 60s;
    config.random = [] { return 0.5; };
    config.spawn_caller = [this](upstream_actor::pointer parent) {
      return parent->spawn<caf::linked>(fake_caller, &net);
    };
  }
  upstream_actor spawn() { return owned(spawn_upstream(system, config)); }

  auto get(const upstream_actor& to, const std::string& url, bool repeatable = true,
           timespan patience = 60s) {
    http_call call;
    call.url = url;
    return start(to, call_upstream{std::make_shared<const http_call>(call), patience, repeatable});
  }
  std::vector<std::string> sent() const {
    std::vector<std::string> out;
    for (const auto& c : net.calls) out.push_back(c.what->url);
    return out;
  }
  void reply(std::size_t which, answer a) {
    tell(net.calls.at(which).by, upstream_answer{std::make_shared<const answer>(std::move(a))});
  }
  template <class Asked>
  answer outcome(Asked& asked) {
    auto got = reply_of<upstream_answer>(asked);
    return got ? *got->what : answer{to_fault(got.error())};
  }

  wire net{};
  upstream_config config{};
};

using urls = std::vector<std::string>;

TEST_F(http_upstream_test, AnswersWithWhateverTheUpstreamSays) {
  auto upstream = spawn();

  auto asked = get(upstream, "a");
  reply(0, status(404));

  EXPECT_EQ(outcome(asked)->status, 404);
}

TEST_F(http_upstream_test, MakesOnlySoManyCallsAtOnce) {
  auto upstream = spawn();

  auto a = get(upstream, "a"), b = get(upstream, "b"), c = get(upstream, "c");
  EXPECT_EQ(sent(), (urls{"a", "b"}));
  reply(1, status(200));
  EXPECT_EQ(sent(), (urls{"a", "b", "c"}));
  reply(0, status(200));
  reply(2, status(200));

  EXPECT_TRUE(outcome(a) && outcome(b) && outcome(c));
}

TEST_F(http_upstream_test, RefusesWhatItHasNoRoomFor) {
  config.parallel = 1;
  config.queue = 1;
  auto upstream = spawn();

  auto a = get(upstream, "a"), b = get(upstream, "b"), c = get(upstream, "c");

  EXPECT_EQ(outcome(c).error().code, errc::overloaded);
  reply(0, status(200));
  reply(1, status(200));
  EXPECT_TRUE(outcome(a) && outcome(b));
}

TEST_F(http_upstream_test, RepeatsWhatFailedOnce) {
  auto upstream = spawn();

  auto asked = get(upstream, "a");
  reply(0, no_answer());
  EXPECT_EQ(sent().size(), 1u);
  advance(500ms);
  reply(1, status(200));

  EXPECT_EQ(outcome(asked)->status, 200);
}

TEST_F(http_upstream_test, DoesNotRepeatWhatMustNotBeRepeated) {
  auto upstream = spawn();

  auto asked = get(upstream, "a", false);
  reply(0, status(503));
  advance(60s);

  EXPECT_EQ(outcome(asked)->status, 503);
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(http_upstream_test, DoesNotRepeatARefusal) {
  auto upstream = spawn();

  auto asked = get(upstream, "a");
  reply(0, status(400));

  EXPECT_EQ(outcome(asked)->status, 400);
}

TEST_F(http_upstream_test, TellsWhoeverWaitedTooLong) {
  config.parallel = 1;
  auto upstream = spawn();

  auto a = get(upstream, "a");
  auto b = get(upstream, "b", true, 5s);
  advance(5s);

  EXPECT_EQ(outcome(b).error().code, errc::timed_out);
  reply(0, status(200));
  EXPECT_TRUE(outcome(a));
  EXPECT_EQ(sent(), urls{"a"});
}

TEST_F(http_upstream_test, LeavesAloneWhatFailsAgainAndAgain) {
  config.retry.attempts = 1;
  auto upstream = spawn();
  for (std::size_t i = 0; i < 3; ++i) {
    auto asked = get(upstream, "down");
    reply(i, status(500));
    EXPECT_EQ(outcome(asked)->status, 500);
  }

  auto refused = get(upstream, "not sent");
  EXPECT_EQ(outcome(refused).error().code, errc::unavailable);
  advance(60s);
  auto probe = get(upstream, "probe");
  auto behind = get(upstream, "behind");
  EXPECT_EQ(sent(), (urls{"down", "down", "down", "probe"}));
  reply(3, status(200));
  EXPECT_EQ(outcome(probe)->status, 200);
  reply(4, status(200));
  EXPECT_EQ(outcome(behind)->status, 200);
}

TEST_F(http_upstream_test, TellsThoseWhoWaitWhenTheCircuitOpens) {
  config.retry.attempts = 1;
  config.tolerance = 1;
  config.parallel = 1;
  auto upstream = spawn();

  auto a = get(upstream, "a"), b = get(upstream, "b");
  reply(0, no_answer());

  EXPECT_EQ(outcome(a).error().code, errc::upstream_failed);
  EXPECT_EQ(outcome(b).error().code, errc::unavailable);
}

TEST_F(http_upstream_test, AnswersEverybodyWhenItEnds) {
  config.parallel = 1;
  auto upstream = spawn();

  auto a = get(upstream, "a"), b = get(upstream, "b");
  caf::anon_send_exit(upstream, caf::exit_reason::user_shutdown);
  run();

  EXPECT_EQ(outcome(a).error().code, errc::upstream_failed);
  EXPECT_EQ(outcome(b).error().code, errc::unavailable);
}

} // namespace
} // namespace binnacle
