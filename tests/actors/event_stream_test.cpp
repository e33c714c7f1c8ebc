#include "actors/event_stream.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

using steady = event_stream::steady;
using next = event_stream::next;
using std::chrono::seconds;

class event_stream_test : public ::testing::Test {
protected:
  event_stream stream{nullptr, 0};
  std::string taken{};
  const steady::time_point now = steady::now();
};

TEST(Event, IsWrittenAsTheStandardHasIt) {
  EXPECT_EQ(to_event("e.1", "usage", "{}"), "id: e.1\nevent: usage\ndata: {}\n\n");
}

TEST_F(event_stream_test, HandsOutInOrderWhatWasPushed) {
  stream.push("a");
  stream.push("b");
  ASSERT_EQ(stream.take(taken), next::bytes);
  EXPECT_EQ(taken, "ab");
}

TEST_F(event_stream_test, HasOneWriterAtATime) {
  stream.push("a");
  ASSERT_EQ(stream.take(taken), next::bytes);
  stream.push("b");
  EXPECT_EQ(stream.take(taken), next::nothing);
  stream.written();
  ASSERT_EQ(stream.take(taken), next::bytes);
  EXPECT_EQ(taken, "b");
}

TEST_F(event_stream_test, WakesItsWriterForWhatIsThereAlreadyAndForEachPush) {
  auto woken = 0;
  stream.push("a");
  stream.attach([&] { ++woken; });
  EXPECT_EQ(woken, 1);
  stream.push("b");
  EXPECT_EQ(woken, 2);
  stream.end();
  EXPECT_EQ(woken, 3);
}

TEST_F(event_stream_test, IsOverAfterTheLastBytesOfAnEndedOne) {
  stream.push("a");
  stream.end();
  stream.push("late");
  ASSERT_EQ(stream.take(taken), next::bytes);
  EXPECT_EQ(taken, "a");
  EXPECT_EQ(stream.take(taken), next::nothing); // it is being written
  stream.written();
  EXPECT_EQ(stream.take(taken), next::over);
}

TEST_F(event_stream_test, EndsWhenItsClientDoesNotRead) {
  stream.push(std::string(event_stream::most_waiting, 'x'));
  EXPECT_FALSE(stream.ended());
  stream.push("y");
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(stream.take(taken), next::over);
}

TEST_F(event_stream_test, SendsAHeartbeatAfterSilence) {
  EXPECT_TRUE(stream.check(now + seconds{14}, seconds{30}));
  EXPECT_EQ(stream.take(taken), next::nothing);
  EXPECT_TRUE(stream.check(now + seconds{16}, seconds{30}));
  EXPECT_TRUE(stream.check(now + seconds{17}, seconds{30}));
  ASSERT_EQ(stream.take(taken), next::bytes);
  EXPECT_EQ(taken, ":\n\n");
}

TEST_F(event_stream_test, LosesItsPatienceWithAWriteThatDoesNotEnd) {
  stream.push("a");
  ASSERT_EQ(stream.take(taken), next::bytes);
  EXPECT_TRUE(stream.check(now + seconds{29}, seconds{30}));
  EXPECT_FALSE(stream.check(now + seconds{31}, seconds{30}));
}

} // namespace
} // namespace binnacle
