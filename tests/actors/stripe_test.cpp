#include "actors/stripe.hpp"

#include "deterministic_system.hpp"
#include "integrations/stripe/objects.hpp"

#include <algorithm>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using integrations::http_call;
using answer = result<http_answer>;

answer status(int code, std::pair<std::string, std::string> header = {}) {
  http_answer out{.status = code, .headers = {}, .body = "{}"};
  if (!header.first.empty()) out.headers.push_back(header);
  return out;
}
answer good(const std::string& id = "cus_1") {
  return http_answer{
      .status = 200, .headers = {}, .body = R"({"object":"customer","id":")" + id + "\"}"};
}
answer no_answer() { return fault{errc::upstream_failed, {}, {}, "connection reset"}; }

/// A caller that waits for the test to tell what Stripe answers.
using fake_caller_actor = http_caller_actor::extend<caf::reacts_to<stripe_answer>>;

struct wire {
  struct call {
    std::shared_ptr<const http_call> what{};
    fake_caller_actor by{};
  };
  std::vector<call> calls{}; // all, in the order they were sent
  std::size_t callers = 0;
};

struct fake_caller_state {
  explicit fake_caller_state(fake_caller_actor::pointer) {}
  caf::typed_response_promise<stripe_answer> reply{};
};
fake_caller_actor::behavior_type
fake_caller(fake_caller_actor::stateful_pointer<fake_caller_state> self, wire* to) {
  return {[self, to](const make_http_call& m) -> caf::result<stripe_answer> {
            self->state.reply = self->make_response_promise<stripe_answer>();
            to->calls.push_back({m.what, self});
            return self->state.reply;
          },
          [self](const stripe_answer& a) { self->state.reply.deliver(a); }};
}

class stripe_test : public testing::deterministic_system {
protected:
  stripe_test() {
    config.account.key = secret{"sk_test_1"};
    config.retry = {.attempts = 3, .first = 1'000ms, .longest = 30'000ms};
    config.parallel = 2;
    config.rate = 1'000;
    config.queue = 100;
    config.tolerance = 3;
    config.rest = 60s;
    config.random = [] { return 0.5; };
    config.spawn_caller = [this](stripe_actor::pointer parent) {
      ++net.callers;
      return parent->spawn<caf::linked>(fake_caller, &net);
    };
  }
  stripe_actor spawn() { return owned(spawn_stripe(system, config)); }

  /// A call of `customer`; found on the wire by its purpose.
  auto post(const stripe_actor& to, const std::string& customer, const std::string& purpose,
            timespan patience = 60s) {
    auto what =
        stripe::create_customer({.user = customer, .email = {}, .name = {}, .notes = {}}, purpose);
    return start(to, call_stripe{std::make_shared<const stripe::call>(what), patience});
  }
  /// The purposes of what was sent, in order.
  std::vector<std::string> sent() const {
    std::vector<std::string> out;
    for (const auto& c : net.calls)
      for (const auto& [name, text] : c.what->headers)
        if (name == "Idempotency-Key") out.push_back(text.substr(text.find(':') + 1));
    return out;
  }
  void reply(std::size_t which, answer a) {
    tell(net.calls.at(which).by, stripe_answer{std::make_shared<const answer>(std::move(a))});
  }
  template <class Asked>
  answer outcome(Asked& asked) {
    auto got = reply_of<stripe_answer>(asked);
    return got ? *got->what : answer{to_fault(got.error())};
  }

  wire net{};
  stripe_config config{};
};

using purposes = std::vector<std::string>;

TEST_F(stripe_test, AnswersWithWhatStripeSays) {
  auto stripe = spawn();

  auto asked = post(stripe, "a", "1");
  ASSERT_EQ(net.calls.size(), 1u);
  EXPECT_EQ(net.calls[0].what->url, "https://api.stripe.com/v1/customers");
  EXPECT_EQ(net.calls[0].what->bearer.reveal(), "sk_test_1");
  reply(0, status(402));

  EXPECT_EQ(outcome(asked)->status, 402);
}

TEST_F(stripe_test, MakesTheCallsOfACustomerOneAfterAnother) {
  config.parallel = 8;
  auto stripe = spawn();

  auto a1 = post(stripe, "a", "a1");
  auto a2 = post(stripe, "a", "a2");
  auto a3 = post(stripe, "a", "a3");
  auto b1 = post(stripe, "b", "b1");
  EXPECT_EQ(sent(), (purposes{"a1", "b1"}));

  reply(0, status(400)); // a refusal lets the next one go as well
  EXPECT_EQ(sent(), (purposes{"a1", "b1", "a2"}));
  reply(2, good());
  EXPECT_EQ(sent(), (purposes{"a1", "b1", "a2", "a3"}));
  reply(3, good());
  reply(1, good());

  EXPECT_EQ(outcome(a1)->status, 400);
  for (auto* x : {&a2, &a3, &b1}) EXPECT_TRUE(outcome(*x));
}

TEST_F(stripe_test, DoesNotOrderCallsWithoutACustomer) {
  auto stripe = spawn();

  post(stripe, "", "1");
  post(stripe, "", "2");

  EXPECT_EQ(sent(), (purposes{"1", "2"}));
}

TEST_F(stripe_test, MakesNoMoreCallsAtOnceThanAllowed) {
  auto stripe = spawn();

  for (auto* who : {"a", "b", "c", "d"}) post(stripe, who, who);
  EXPECT_EQ(sent(), (purposes{"a", "b"}));
  reply(1, good());
  EXPECT_EQ(sent(), (purposes{"a", "b", "c"}));
  reply(0, good());

  EXPECT_EQ(sent(), (purposes{"a", "b", "c", "d"}));
  EXPECT_EQ(net.callers, 2u); // a caller is used again
}

TEST_F(stripe_test, KeepsToTheRate) {
  config.parallel = 1'000;
  config.rate = 80; // the bucket holds 10
  auto stripe = spawn();

  for (int i = 0; i < 60; ++i) post(stripe, std::to_string(i), std::to_string(i));
  EXPECT_EQ(net.calls.size(), 10u);
  advance(12ms);
  EXPECT_EQ(net.calls.size(), 10u);
  advance(1ms); // an 80th of a second
  EXPECT_EQ(net.calls.size(), 11u);
  for (int i = 0; i < 37; ++i) advance(1ms);
  EXPECT_EQ(net.calls.size(), 14u);
  for (int i = 0; i < 500; ++i) advance(1ms);
  EXPECT_EQ(net.calls.size(), 54u);
}

TEST_F(stripe_test, RepeatsUnderTheSameKeyWhatMayHaveFailedOnTheWay) {
  for (const auto& failure : {no_answer(), status(409), status(429), status(500), status(503)}) {
    net.calls.clear();
    auto stripe = spawn();
    auto asked = post(stripe, "a", "once");
    reply(0, failure);
    EXPECT_EQ(net.calls.size(), 1u);
    advance(499ms);
    EXPECT_EQ(net.calls.size(), 1u);
    advance(1ms); // half of 1 s

    EXPECT_EQ(sent(), (purposes{"once", "once"}));
    EXPECT_EQ(net.calls[1].what->body, net.calls[0].what->body);
    reply(1, good());
    EXPECT_EQ(outcome(asked)->status, 200);
    stop(stripe);
  }
}

TEST_F(stripe_test, RepeatsNoRefusal) {
  auto stripe = spawn();

  auto asked = post(stripe, "a", "1");
  reply(0, status(400));
  pass(40s);

  EXPECT_EQ(net.calls.size(), 1u);
  EXPECT_EQ(outcome(asked)->status, 400);
}

TEST_F(stripe_test, DoesAsStripeSaysAboutRepeating) {
  auto stripe = spawn();
  auto first = post(stripe, "a", "1");
  reply(0, status(500, {"stripe-should-retry", "false"}));
  EXPECT_EQ(outcome(first)->status, 500);

  auto second = post(stripe, "a", "2");
  reply(1, status(400, {"stripe-should-retry", "true"}));
  advance(500ms);
  reply(2, good());
  EXPECT_EQ(outcome(second)->status, 200);
}

TEST_F(stripe_test, WaitsAsLongAsItIsAskedToAndServesOthersMeanwhile) {
  config.parallel = 1;
  auto stripe = spawn();
  auto throttled = post(stripe, "a", "a1");
  post(stripe, "a", "a2");
  reply(0, status(429, {"retry-after", "7"}));

  auto other = post(stripe, "b", "b1");
  EXPECT_EQ(sent(), (purposes{"a1", "b1"}));
  reply(1, good());
  EXPECT_TRUE(outcome(other));
  advance(6'999ms);
  EXPECT_EQ(net.calls.size(), 2u);
  advance(1ms);

  EXPECT_EQ(sent(), (purposes{"a1", "b1", "a1"})); // a2 still waits for a1
  reply(2, good());
  EXPECT_TRUE(outcome(throttled));
  EXPECT_EQ(sent(), (purposes{"a1", "b1", "a1", "a2"}));
}

TEST_F(stripe_test, AnswersWithTheLastFailureWhenTheAttemptsAreUsedUp) {
  config.tolerance = 100;
  auto stripe = spawn();
  auto asked = post(stripe, "a", "1", 600s);
  for (std::size_t i = 0; i < 3; ++i) {
    reply(i, i == 2 ? no_answer() : status(500));
    advance(30s);
  }

  auto got = outcome(asked);
  ASSERT_FALSE(got);
  EXPECT_TRUE(stripe::may_have_happened(got.error()));
  EXPECT_EQ(net.calls.size(), 3u);
}

TEST_F(stripe_test, TakesNoRefusalForTheEndOfAnEarlierAttemptWithoutAnAnswer) {
  for (const auto& lost : {no_answer(), status(500), status(409)}) {
    net.calls.clear();
    auto stripe = spawn();
    auto asked = post(stripe, "a", "1");
    reply(0, lost);
    advance(500ms);
    reply(1, status(401));

    auto got = outcome(asked);
    ASSERT_FALSE(got);
    EXPECT_TRUE(stripe::may_have_happened(got.error()));
    stop(stripe);
  }
}

TEST_F(stripe_test, BelievesTheRefusalOfWhatWasOnlyThrottledOrOnlyRead) {
  auto stripe = spawn();
  auto throttled = post(stripe, "a", "1");
  reply(0, status(429));
  advance(500ms);
  reply(1, status(402));
  EXPECT_EQ(outcome(throttled)->status, 402);

  auto what = std::make_shared<const stripe::call>(stripe::get_customer("cus_1"));
  auto looked = start(stripe, call_stripe{what, 60s});
  reply(2, no_answer());
  advance(500ms);
  reply(3, status(404));
  EXPECT_EQ(outcome(looked)->status, 404);
}

TEST_F(stripe_test, RefusesMoreThanItsQueueHolds) {
  config.queue = 2;
  auto stripe = spawn();
  for (int i = 0; i < 4; ++i) post(stripe, std::to_string(i), "x"); // two of them are sent

  auto refused = post(stripe, "z", "x");
  EXPECT_EQ(outcome(refused).error().code, errc::overloaded);

  reply(0, good());
  post(stripe, "y", "y");
  EXPECT_EQ(net.calls.size(), 3u);
}

TEST_F(stripe_test, DropsWhatNobodyWaitsForBeforeItIsSent) {
  config.parallel = 1;
  auto stripe = spawn();
  post(stripe, "a", "a1", 60s);
  auto behind = post(stripe, "a", "a2", 5s);
  auto elsewhere = post(stripe, "b", "b1", 5s);
  advance(5s);

  for (auto* asked : {&behind, &elsewhere}) {
    auto got = outcome(*asked);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::timed_out);
    EXPECT_FALSE(stripe::may_have_happened(got.error()));
  }
  auto later = post(stripe, "a", "a3", 60s);
  reply(0, good());
  EXPECT_EQ(sent(), (purposes{"a1", "a3"}));
  reply(1, good());
  EXPECT_TRUE(outcome(later));
}

TEST_F(stripe_test, GivesACallNoMoreTimeThanItsCallerHas) {
  config.timeout = 30s;
  auto stripe = spawn();
  post(stripe, "a", "1", 4s);
  EXPECT_EQ(net.calls[0].what->deadline, 4s);
  post(stripe, "b", "2", 90s);
  EXPECT_EQ(net.calls[1].what->deadline, 30s);
}

TEST_F(stripe_test, TellsTheLastFailureRatherThanPauseBeyondPatience) {
  auto stripe = spawn();
  auto asked = post(stripe, "a", "1", 5s);
  reply(0, status(429, {"retry-after", "7"}));

  EXPECT_EQ(outcome(asked)->status, 429);
}

TEST_F(stripe_test, LeavesStripeAloneWhenItKeepsFailing) {
  auto stripe = spawn();
  auto first = post(stripe, "a", "a1");
  auto behind = post(stripe, "a", "a2");
  reply(0, status(500));
  advance(1s);
  reply(1, status(500));
  advance(2s);
  reply(2, no_answer()); // the third in a row

  EXPECT_TRUE(stripe::may_have_happened(outcome(first).error()));
  EXPECT_EQ(outcome(behind).error().code, errc::unavailable);
  auto meanwhile = post(stripe, "b", "b1");
  EXPECT_EQ(outcome(meanwhile).error().code, errc::unavailable);
  EXPECT_EQ(net.calls.size(), 3u);

  advance(60s);
  auto probe = post(stripe, "c", "c1");
  auto waiting = post(stripe, "d", "d1");
  EXPECT_EQ(net.calls.size(), 4u); // one at a time
  reply(3, status(502));           // and not repeated
  EXPECT_EQ(outcome(probe)->status, 502);
  EXPECT_EQ(outcome(waiting).error().code, errc::unavailable);

  advance(60s);
  auto second_probe = post(stripe, "c", "c2");
  auto next = post(stripe, "d", "d2");
  reply(4, good());
  EXPECT_TRUE(outcome(second_probe));
  reply(5, good());
  EXPECT_TRUE(outcome(next));
}

TEST_F(stripe_test, TakesRefusalsForLife) {
  auto stripe = spawn();
  for (std::size_t i = 0; i < 20; ++i) {
    auto asked = post(stripe, "a", std::to_string(i));
    reply(i, status(402));
    EXPECT_EQ(outcome(asked)->status, 402);
  }
}

TEST_F(stripe_test, SaysSoAtOnceWhenThereIsNoKey) {
  config.account.key = {};
  auto stripe = spawn();

  auto asked = post(stripe, "a", "1");

  auto got = outcome(asked);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().text, "stripe_not_configured");
  EXPECT_EQ(describe(got.error().code).status, 500);
  EXPECT_TRUE(net.calls.empty());
}

TEST_F(stripe_test, AnswersEverybodyWhenItIsStopped) {
  config.parallel = 1;
  auto stripe = spawn();
  auto under_way = post(stripe, "a", "a1");
  auto waiting = post(stripe, "b", "b1");

  stop(stripe);

  EXPECT_TRUE(stripe::may_have_happened(outcome(under_way).error()));
  EXPECT_EQ(outcome(waiting).error().code, errc::unavailable);
}

TEST_F(stripe_test, ServesTenThousandCustomersInTheirOrder) {
  config.parallel = 16;
  config.rate = 1'000'000;
  config.queue = 40'000;
  auto stripe = spawn();
  std::vector<decltype(post(stripe, "", ""))> asked;
  for (int call = 0; call < 3; ++call)
    for (int who = 0; who < 10'000; ++who) {
      auto what = stripe::get_customer(std::to_string(who));
      asked.push_back(self->request(stripe, caf::infinite,
                                    call_stripe{std::make_shared<const stripe::call>(what), 600s}));
    }
  run();

  for (std::size_t i = 0; i < 30'000; ++i) {
    if (i == net.calls.size()) advance(1s); // the bucket was empty
    ASSERT_LT(i, net.calls.size());
    reply(i, good());
  }
  EXPECT_EQ(net.callers, 16u);
}

// -- asking --------------------------------------------------------------------------------------

TEST(asking_stripe, GivesTheObjectOrWhatItsLackMeans) {
  auto body = [](answer a) {
    return body_of(stripe_answer{std::make_shared<const answer>(std::move(a))});
  };

  EXPECT_EQ(stripe::read_customer(*body(good("cus_7")))->id, "cus_7");
  EXPECT_EQ(body(status(404)).error().code, errc::unprocessable);
  EXPECT_EQ(body(no_answer()).error().code, errc::upstream_failed);
  EXPECT_EQ(body(fault{errc::timed_out}).error().code, errc::timed_out);
  EXPECT_EQ(body_of(fault{errc::overloaded}).error().code, errc::overloaded);
  // The asker's own time-out does not tell whether it was sent.
  EXPECT_TRUE(stripe::may_have_happened(body_of(fault{errc::timed_out}).error()));
  EXPECT_TRUE(stripe::may_have_happened(body_of(fault{errc::unavailable}).error()));
}

TEST(asking_stripe, LeavesTheActorTimeToSayHowItEnded) {
  EXPECT_EQ(request_for({}, 30s).patience, 29'500ms);
  EXPECT_EQ(request_for({}, 1s).patience, 900ms);
}

/// Over a socket that nobody listens at, with real callers.
TEST(asking_stripe, WorksFromAThreadThatBlocks) {
  caf::actor_system_config how;
  caf::actor_system system{how};
  stripe_config config;
  config.account = {.api_url = "http://127.0.0.1:1", .key = secret{"sk_test_1"}};
  config.retry.attempts = 1;
  auto stripe = spawn_stripe(system, config);
  {
    caf::scoped_actor self{system};

    auto got = ask_stripe(self, stripe, 10s, stripe::get_customer("cus_1"), stripe::read_customer);

    ASSERT_FALSE(got);
    EXPECT_TRUE(stripe::may_have_happened(got.error()));
    EXPECT_EQ(to_string(got.error()).find("sk_test"), std::string::npos);
  }
  caf::anon_send_exit(stripe, caf::exit_reason::user_shutdown);
}

} // namespace
} // namespace binnacle
