#include "integrations/http_stream.hpp"
#include "local_server.hpp"
#include "support.hpp"

#include <future>
#include <gtest/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using next = http_stream::next;

constexpr std::size_t large = 8 * 1024 * 1024;

http_call get(const std::string& url, std::chrono::milliseconds deadline = 60s) {
  http_call out;
  out.url = url;
  out.deadline = deadline;
  return out;
}

std::string head_of(std::size_t size) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
}

/// Waits until there is something to take, and takes it.
next take(http_stream& from, std::string& out) {
  auto ready = std::make_shared<std::promise<void>>();
  auto waits = ready->get_future();
  from.when_ready([ready] { ready->set_value(); });
  waits.get();
  return from.take(out);
}

/// All that comes, and how it ended.
std::pair<std::string, next> drain(http_stream& from) {
  std::string all, some;
  for (;;) {
    auto what = take(from, some);
    if (what != next::bytes) return {std::move(all), what};
    all.append(some);
  }
}

TEST(HttpStream, GivesTheHeadFirstAndThenTheBodyInPieces) {
  std::string body(large, 'x');
  body[large / 2] = 'y';
  local_server server{[&](server_connection& c) {
    c.request();
    c.answer("200 OK", body, "X-Thing: one\r\n");
  }};
  http_streams streams;
  auto opened = streams.open(get(server.url()));

  ASSERT_TRUE(opened) << to_string(opened.error());
  EXPECT_EQ(opened->head.status, 200);
  EXPECT_EQ(opened->head.header("x-thing"), "one");
  EXPECT_EQ(opened->head.body, "");
  auto [got, end] = drain(*opened->body);
  EXPECT_EQ(got, body);
  EXPECT_EQ(end, next::over);
  EXPECT_EQ(streams.under_way(), 0U);
}

TEST(HttpStream, LetsTheUpstreamWaitForASlowTaker) {
  std::atomic<std::size_t> sent{0};
  constexpr std::size_t piece = 65'536, pieces = 64 * 1024 * 1024 / piece;
  local_server server{[&](server_connection& c) {
    c.request();
    c.send(head_of(piece * pieces));
    for (std::size_t i = 0; i < pieces; ++i) {
      c.send(std::string(piece, 'x'));
      sent += piece;
    }
  }};
  http_streams streams{{.ahead = 1'000, .stall = 100ms}};
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  // Nothing is taken until the upstream cannot send on; its patience is not ours to try.
  for (std::size_t before = 1; before != sent || sent == 0;) {
    before = sent;
    std::this_thread::sleep_for(500ms);
  }
  EXPECT_LT(sent, piece * pieces / 2);
  std::string some;
  EXPECT_EQ(take(*opened->body, some), next::bytes);
  EXPECT_LT(some.size(), 1'000U + 65'536U);
  auto [rest, end] = drain(*opened->body);
  EXPECT_EQ(some.size() + rest.size(), piece * pieces);
  EXPECT_EQ(end, next::over);
}

TEST(HttpStream, BreaksWhereTheUpstreamDoes) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send(head_of(large) + std::string(large / 2, 'x'));
  }};
  http_streams streams;
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  auto [got, end] = drain(*opened->body);
  EXPECT_LE(got.size(), large / 2);
  EXPECT_EQ(end, next::broken);
  EXPECT_NE(opened->body->why(), "");
}

TEST(HttpStream, BreaksWhenNothingComesForTooLong) {
  std::atomic<bool> stopping{false};
  local_server server{[&](server_connection& c) {
    c.request();
    c.send(head_of(large) + "a beginning");
    c.wait_for_the_end(stopping);
  }};
  http_streams streams{{.stall = 100ms}};
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  EXPECT_EQ(drain(*opened->body).second, next::broken);
}

TEST(HttpStream, EndsTheTransferWhenNobodyTakesItAnyMore) {
  std::atomic<bool> never{false};
  std::promise<void> left;
  local_server server{[&](server_connection& c) {
    c.request();
    c.send(head_of(large) + "a beginning");
    c.wait_for_the_end(never);
    left.set_value();
  }};
  http_streams streams;
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  opened->body.reset();
  EXPECT_EQ(left.get_future().wait_for(30s), std::future_status::ready);
}

TEST(HttpStream, BreaksWhenItIsEndedWhileItsTakerWaits) {
  std::atomic<bool> never{false};
  local_server server{[&](server_connection& c) {
    c.request();
    c.send(head_of(large));
    c.wait_for_the_end(never);
  }};
  http_streams streams;
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  std::thread other{[&] { opened->body->end(); }};
  std::string some;
  EXPECT_EQ(take(*opened->body, some), next::broken);
  other.join();
}

TEST(HttpStream, HasNoAnswerWithoutAHead) {
  std::atomic<bool> stopping{false};
  local_server mute{[&](server_connection& c) {
    c.request();
    c.wait_for_the_end(stopping);
  }};
  local_server half{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nContent-Le");
  }};
  http_streams streams;
  for (const auto& call : {get(mute.url(), 100ms), get(half.url()), get("http://127.0.0.1:1/"),
                           get("ftp://127.0.0.1/")}) {
    auto opened = streams.open(call);
    ASSERT_FALSE(opened) << call.url;
    EXPECT_EQ(opened.error().code, errc::upstream_failed);
  }
  stopping = true;
}

TEST(HttpStream, CanBeReadToItsEndWhenItIsSmall) {
  local_server server{[](server_connection& c) {
    while (!c.request().empty()) c.answer("404 Not Found", "nothing here");
  }};
  http_streams streams;
  auto in_time = steady::now() + 60s;
  auto small = streams.open(get(server.url()));
  ASSERT_TRUE(small);
  EXPECT_EQ(small->head.status, 404);
  EXPECT_EQ(small->body->read_all(12, in_time).value(), "nothing here");
  auto too_large = streams.open(get(server.url()));
  ASSERT_TRUE(too_large);
  EXPECT_FALSE(too_large->body->read_all(11, in_time));
}

TEST(HttpStream, BreaksAndIsRefusedWhenTheServiceStops) {
  std::atomic<bool> stopping{false};
  local_server server{[&](server_connection& c) {
    c.request();
    c.send(head_of(large) + "a beginning");
    c.wait_for_the_end(stopping);
  }};
  http_streams streams;
  auto opened = streams.open(get(server.url()));
  ASSERT_TRUE(opened);
  streams.cancel();
  EXPECT_EQ(drain(*opened->body).second, next::broken);
  EXPECT_FALSE(streams.open(get(server.url())));
  stopping = true;
}

TEST(HttpStream, MovesManyAtOnceOnOneThread) {
  std::string body(1'000'000, 'x');
  local_server server{[&](server_connection& c) {
    while (!c.request().empty()) c.answer("200 OK", body);
  }};
  http_streams streams;
  std::vector<std::unique_ptr<http_stream>> all;
  for (int i = 0; i < 20; ++i) {
    auto opened = streams.open(get(server.url()));
    ASSERT_TRUE(opened);
    all.push_back(std::move(opened->body));
  }
  EXPECT_EQ(streams.under_way(), 20U);
  for (auto it = all.rbegin(); it != all.rend(); ++it) EXPECT_EQ(drain(**it).first, body);
}

} // namespace
} // namespace binnacle::integrations
