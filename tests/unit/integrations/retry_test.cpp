#include "integrations/http_client.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace std::chrono_literals;

result<http_answer> answer(int status,
                           std::vector<std::pair<std::string, std::string>> headers = {}) {
  return http_answer{status, std::move(headers), {}};
}
result<http_answer> no_answer() { return fault{errc::upstream_failed, {}, {}, "reset"}; }

TEST(Outcome, TellsWhatACallerMayDo) {
  EXPECT_EQ(classify(no_answer()), outcome::unreachable);
  for (int status : {200, 201, 204}) EXPECT_EQ(classify(answer(status)), outcome::success);
  for (int status : {301, 304, 400, 401, 403, 404, 410, 422})
    EXPECT_EQ(classify(answer(status)), outcome::refused);
  for (int status : {408, 409, 500, 502, 503, 504})
    EXPECT_EQ(classify(answer(status)), outcome::faulty);
  EXPECT_EQ(classify(answer(429)), outcome::throttled);
  EXPECT_EQ(classify(answer(503, {{"retry-after", "1"}})), outcome::throttled);
}

TEST(RetryPolicy, DoublesTheCeilingUpToTheLongestWait) {
  retry_policy policy{20, 500ms, 30s};
  auto ceiling = [&](int next) { return *policy.delay_before(next, no_answer(), 0.999999); };
  EXPECT_NEAR(static_cast<double>(ceiling(2).count()), 500, 1);
  EXPECT_NEAR(static_cast<double>(ceiling(3).count()), 1'000, 1);
  EXPECT_NEAR(static_cast<double>(ceiling(4).count()), 2'000, 1);
  EXPECT_NEAR(static_cast<double>(ceiling(20).count()), 30'000, 1);
  EXPECT_EQ(policy.delay_before(2, no_answer(), 0.0), 0ms);
}

TEST(RetryPolicy, GivesUpAfterTheLastAttemptAndOnRefusals) {
  retry_policy policy;
  EXPECT_TRUE(policy.delay_before(4, no_answer(), 0.5));
  EXPECT_FALSE(policy.delay_before(5, no_answer(), 0.5));
  EXPECT_FALSE(policy.delay_before(2, answer(404), 0.5));
  EXPECT_FALSE(policy.delay_before(2, answer(200), 0.5));
}

TEST(RetryPolicy, WaitsAsLongAsTheUpstreamAsks) {
  retry_policy policy;
  EXPECT_EQ(policy.delay_before(2, answer(429, {{"retry-after", "7"}}), 0.5), 7s);
  EXPECT_EQ(policy.delay_before(2, answer(429, {{"retry-after", "3600"}}), 0.5), 30s);
  EXPECT_EQ(policy.delay_before(2, answer(429, {{"retry-after", "99999999999999999999"}}), 0.5),
            30s);
  EXPECT_EQ(policy.delay_before(2,
                                answer(503, {{"retry-after", "Wed, 21 Oct 2015 07:28:09 GMT"},
                                             {"date", "Wed, 21 Oct 2015 07:28:00 GMT"}}),
                                0.5),
            9s)
      << "by the upstream's own clock";
  EXPECT_EQ(
      policy.delay_before(2, answer(503, {{"retry-after", "Wed, 21 Oct 2015 07:28:09 GMT"}}), 0.0),
      0ms)
      << "a date in the past";
  EXPECT_EQ(policy.delay_before(2, answer(429, {{"retry-after", "soon"}}), 0.5), 250ms);
}

RC_GTEST_PROP(RetryPolicy, NeverWaitsLongerThanAllowedNorShorterThanAsked, ()) {
  retry_policy policy{*rc::gen::inRange(1, 50),
                      std::chrono::milliseconds{*rc::gen::inRange(1, 5000)},
                      std::chrono::milliseconds{*rc::gen::inRange(1, 60'000)}};
  auto next = *rc::gen::inRange(2, 60);
  auto asked = *rc::gen::inRange(0, 100);
  auto random = *rc::gen::inRange(0, 1000) / 1000.0;
  auto delay =
      policy.delay_before(next, answer(429, {{"retry-after", std::to_string(asked)}}), random);
  RC_ASSERT(delay.has_value() == (next <= policy.attempts));
  if (!delay) return;
  RC_ASSERT(*delay >=
            std::min<std::chrono::milliseconds>(std::chrono::seconds{asked}, policy.longest));
  RC_ASSERT(*delay <= policy.longest);
}

} // namespace
} // namespace binnacle::integrations
