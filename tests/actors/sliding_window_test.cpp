#include "actors/sliding_window.hpp"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace binnacle {
namespace {

const time_point start = *parse_iso("2026-03-10T12:00:00Z");

/// Limits below and above the number of slots, so that both ways of counting are met.
rate_limit any_limit() {
  return {*rc::gen::inRange<std::uint32_t>(1, 300), seconds{*rc::gen::inRange(1, 1'000)}};
}

/// A pause between requests: none, a little, a part of the window, or more than it.
milliseconds any_pause(const rate_limit& limit) {
  auto window = milliseconds{limit.window}.count();
  return milliseconds{*rc::gen::weightedOneOf<std::int64_t>(
      {{4, rc::gen::just<std::int64_t>(0)},
       {8, rc::gen::inRange<std::int64_t>(0, 1 + window / std::max(1u, limit.max))},
       {2, rc::gen::inRange<std::int64_t>(0, 1 + window / 2)},
       {1, rc::gen::inRange<std::int64_t>(0, 1 + 2 * window)}})};
}

std::string text_of(const sliding_window& w) {
  std::string out;
  w.append_to(out);
  return out;
}

TEST(sliding_window_test, NoWindowHoldsMoreThanTheLimit) {
  EXPECT_TRUE(rc::check([] {
    auto limit = any_limit();
    sliding_window window;
    std::deque<time_point> admitted;
    auto now = start;
    for (int i = 0; i < 1'500; ++i) {
      now += any_pause(limit);
      if (!window.admit(limit, now).admitted) continue;
      admitted.push_back(now);
      // It suffices to look at windows that end with an admission.
      while (now - admitted.front() >= limit.window) admitted.pop_front();
      RC_ASSERT(admitted.size() <= limit.max);
    }
  }));
}

TEST(sliding_window_test, WaitingRetryAfterAlwaysSuffices) {
  EXPECT_TRUE(rc::check([] {
    auto limit = any_limit();
    sliding_window window;
    auto now = start;
    for (int i = 0; i < 600; ++i) {
      now += any_pause(limit);
      auto first = window.admit(limit, now);
      // At most a slot late.
      auto window_ms = milliseconds{limit.window};
      RC_ASSERT(first.reset_after <= window_ms + window_ms / sliding_window::slots);
      if (first.admitted) continue;
      RC_ASSERT(first.retry_after > milliseconds{0});
      RC_ASSERT(first.remaining == 0u);
      now += first.retry_after;
      RC_ASSERT(window.admit(limit, now).admitted);
    }
  }));
}

TEST(sliding_window_test, ABudgetThatIsBackIsWholeAndNeverWastedForLong) {
  EXPECT_TRUE(rc::check([] {
    auto limit = any_limit();
    sliding_window window;
    for (std::uint32_t i = 0; i < limit.max; ++i) RC_ASSERT(window.admit(limit, start).admitted);
    auto refused = window.admit(limit, start);
    RC_ASSERT(!refused.admitted);

    auto later = start + refused.reset_after;
    RC_ASSERT(window.expired(limit, later));
    for (std::uint32_t i = 0; i < limit.max; ++i) {
      auto v = window.admit(limit, later);
      RC_ASSERT(v.admitted);
      RC_ASSERT(v.remaining == limit.max - i - 1);
    }
  }));
}

TEST(sliding_window_test, MemoryIsBoundedWhateverTheLimit) {
  EXPECT_TRUE(rc::check([] {
    rate_limit limit{*rc::gen::element(10u, 64u, 65u, 1'000u, 1'000'000u),
                     seconds{*rc::gen::inRange(1, 1'000)}};
    sliding_window window;
    auto now = start;
    std::size_t longest = 0;
    for (int i = 0; i < 2'000; ++i) {
      now += any_pause(limit);
      window.admit(limit, now);
      auto text = text_of(window);
      longest = std::max<std::size_t>(
          longest, static_cast<std::size_t>(std::count(text.begin(), text.end(), 'x')));
    }
    // Slots are whole milliseconds, rounded down; so there are some more of them.
    RC_ASSERT(longest <= sliding_window::slots + 5);
  }));
}

TEST(sliding_window_test, ARestartNeverHandsOutMoreBudget) {
  EXPECT_TRUE(rc::check([] {
    auto limit = any_limit();
    sliding_window kept, restarted;
    auto now = start;
    for (int i = 0; i < 300; ++i) {
      now += any_pause(limit);
      auto expected = kept.admit(limit, now);
      auto got = restarted.admit(limit, now);
      RC_ASSERT(got.admitted == expected.admitted);
      RC_ASSERT(got.remaining == expected.remaining);
      RC_ASSERT(got.retry_after == expected.retry_after);
      restarted = sliding_window::from_text(text_of(restarted));
    }
  }));
}

TEST(sliding_window_test, WhatIsTakenBackMayBeAdmittedAnew) {
  sliding_window window;
  const rate_limit limit{2, seconds{60}};
  const auto now = time_point{hours{1}};
  window.take_back(); // of none: nothing
  EXPECT_TRUE(window.admit(limit, now).admitted);
  EXPECT_TRUE(window.admit(limit, now).admitted);
  EXPECT_FALSE(window.admit(limit, now).admitted);

  window.take_back();

  EXPECT_TRUE(window.admit(limit, now).admitted);
  EXPECT_FALSE(window.admit(limit, now).admitted);
}

TEST(sliding_window_test, ALookTellsWhatTheNextAdmissionFindsAndCountsNothing) {
  EXPECT_TRUE(rc::check([] {
    auto limit = any_limit();
    sliding_window window;
    auto now = start;
    for (int i = 0; i < 300; ++i) {
      now += any_pause(limit);
      auto before = text_of(window);
      auto looked = window.peek(limit, now);
      RC_ASSERT(text_of(window) == before);
      auto said = window.admit(limit, now);
      RC_ASSERT(looked.admitted == said.admitted);
      RC_ASSERT(looked.remaining == said.remaining + (said.admitted ? 1 : 0));
      RC_ASSERT(looked.reset_after <= said.reset_after);
    }
  }));
  EXPECT_EQ(sliding_window{}.peek({3, seconds{60}}, start).reset_after, milliseconds{0});
}

TEST(sliding_window_test, AnyTextIsReadWithoutHarm) {
  EXPECT_TRUE(rc::check([] {
    auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string{"0123456789x,- "}));
    auto window = sliding_window::from_text(text);
    window.admit({10, seconds{60}}, start);
  }));
}

TEST(sliding_window_test, AClockThatIsSetBackDoesNotAddBudget) {
  rate_limit limit{3, seconds{60}};
  sliding_window window;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(window.admit(limit, start).admitted);

  auto v = window.admit(limit, start - seconds{5});

  EXPECT_FALSE(v.admitted);
  EXPECT_TRUE(window.admit(limit, start - seconds{5} + v.retry_after).admitted);
}

} // namespace
} // namespace binnacle
