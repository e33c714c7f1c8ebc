#include "actors/exchange.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <thread>

namespace binnacle {
namespace {

/// Lives on the heap and counts; deleted by its last reference.
class counted_exchange final : public exchange {
public:
  struct tally {
    int answers = 0, dropped = 0, deleted = 0;
  };
  explicit counted_exchange(tally& t) : tally_{t} {}
  ~counted_exchange() override { ++tally_.deleted; }
  using exchange::lent_out;
  using exchange::release;
  using exchange::reset;

private:
  void on_answer() override { ++tally_.answers; }
  void on_dropped() override {
    ++tally_.dropped;
    EXPECT_TRUE(lent_out()); // or the connection would use it anew under our feet
    when_dropped(*this);
  }
  tally& tally_;

public:
  std::function<void(counted_exchange&)> when_dropped = [](auto& x) { x.answer({.status = 503}); };
};

class exchange_test : public ::testing::Test {
protected:
  counted_exchange::tally tally{};
  counted_exchange* x = new counted_exchange{tally};
};

TEST_F(exchange_test, NoticesThatTheLastTicketWentWithoutAnAnswer) {
  {
    ticket first{*x};
    auto second = first;
    ticket third = std::move(first);
    EXPECT_TRUE(x->lent_out());
    EXPECT_EQ(tally.dropped, 0);
  }

  EXPECT_EQ(tally.dropped, 1);
  EXPECT_FALSE(x->lent_out());
  x->release();
  EXPECT_EQ(tally.deleted, 1);
}

TEST_F(exchange_test, MayBeLentOutAnewByTheLastTicketAndHearsOfThatOneToo) {
  ticket another;
  x->when_dropped = [&](auto& mine) {
    another = ticket{mine};
    x->when_dropped = [](auto& again) { again.answer({.status = 503}); };
  };
  { ticket lost{*x}; }

  EXPECT_EQ(tally.dropped, 1);
  EXPECT_TRUE(x->lent_out());

  another = ticket{};

  EXPECT_EQ(tally.dropped, 2);
  EXPECT_EQ(tally.answers, 1);
  EXPECT_FALSE(x->lent_out());
  x->release();
}

TEST_F(exchange_test, ThatIsAnsweredWhileItsLastTicketGoesIsNotAskedForAnotherAnswer) {
  x->when_dropped = [](auto& mine) {
    ticket deadline{mine};
    EXPECT_TRUE(deadline->answer({.status = 504}));
    EXPECT_FALSE(mine.answer({.status = 503}));
  };
  { ticket lost{*x}; }

  EXPECT_EQ(x->result_of().status, 504);
  EXPECT_EQ(tally.dropped, 1);
  EXPECT_EQ(tally.answers, 1);
  x->release();
}

TEST_F(exchange_test, IsAnsweredOnceHoweverTheDeadlineAndTheLastTicketMeet) {
  for (int i = 0; i < 2'000; ++i) {
    ticket lost{*x}, deadline{*x};
    std::atomic<int> there{0};
    auto together = [&] {
      ++there;
      while (there < 2) std::this_thread::yield();
    };
    {
      std::jthread actor{[&] {
        together();
        lost = ticket{};
      }};
      together();
      deadline->answer({.status = 504});
      deadline = ticket{};
    }

    ASSERT_EQ(tally.answers, i + 1);
    ASSERT_FALSE(x->lent_out());
    x->reset();
  }
  x->release();
}

TEST_F(exchange_test, TakesTheFirstAnswerOnly) {
  {
    ticket t{*x};
    EXPECT_TRUE(t->answer({.status = 201}));
    EXPECT_FALSE(t->answer({.status = 500}));
  }

  EXPECT_EQ(x->result_of().status, 201);
  EXPECT_EQ(tally.answers, 1);
  EXPECT_EQ(tally.dropped, 0);
  x->release();
}

TEST_F(exchange_test, OutlivesItsConnectionWhileATicketIsOut) {
  ticket t{*x};
  x->release();
  EXPECT_EQ(tally.deleted, 0);

  EXPECT_TRUE(t->answer({}));
  t = ticket{};

  EXPECT_EQ(tally.deleted, 1);
  EXPECT_EQ(tally.dropped, 0);
}

TEST_F(exchange_test, OfManyThreadsOneAnswers) {
  std::atomic<int> winners{0};
  {
    ticket shared{*x};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([t = shared, &winners] {
        if (t->answer({})) ++winners;
      });
  }

  EXPECT_EQ(winners, 1);
  EXPECT_EQ(tally.answers, 1);
  EXPECT_FALSE(x->lent_out());
  x->release();
}

TEST_F(exchange_test, IsAsNewAfterAReset) {
  {
    ticket { *x } -> answer({.status = 404, .body = "x"});
  }
  x->begin();

  x->reset();

  EXPECT_FALSE(x->answered());
  EXPECT_FALSE(x->begun());
  EXPECT_EQ(x->result_of().status, 200);
  { ticket t{*x}; }
  EXPECT_EQ(tally.dropped, 1);
  x->release();
}

TEST(request_test, FindsParametersAndCookies) {
  request r;
  r.query = "a=1&b=x%20y+z&bad=%zz&a=2&empty";
  r.fields[static_cast<std::size_t>(field::cookie)] = "session=abc; x=\"quoted\";last=";

  EXPECT_EQ(r.parameter("a"), "1");
  EXPECT_EQ(r.parameter("b"), "x y z");
  EXPECT_EQ(r.parameter("bad"), std::nullopt);
  EXPECT_EQ(r.parameter("empty"), "");
  EXPECT_EQ(r.parameter("none"), std::nullopt);
  EXPECT_EQ(r.cookie("session"), "abc");
  EXPECT_EQ(r.cookie("x"), "quoted");
  EXPECT_EQ(r.cookie("last"), "");
  EXPECT_EQ(r.cookie("sess"), "");
}

TEST(request_test, DecodesWhatWasEncoded) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    static constexpr auto digits = "0123456789abcdef";
    std::string encoded;
    for (unsigned char c : text) {
      if (c == 0) c = '?';
      encoded.append({'%', digits[c >> 4], digits[c & 15]});
    }
    auto decoded = percent_decode(encoded, true);
    RC_ASSERT(decoded.has_value());
    for (std::size_t i = 0; i < text.size(); ++i)
      RC_ASSERT((*decoded)[i] == (text[i] ? text[i] : '?'));
  }));
}

} // namespace
} // namespace binnacle
