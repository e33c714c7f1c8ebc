#include "persistence/transaction.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace binnacle::persistence {
namespace {

TEST(Changes, OfOneTopicShareAPayload) {
  std::vector<change> changes{{topic::usage, {"usr_1"}},
                              {topic::prices, {}},
                              {topic::usage, {"usr_2"}},
                              {topic::usage, {"usr_1"}}};

  auto payloads = to_payloads(changes);

  EXPECT_EQ(payloads, (std::vector<std::string>{"usage:usr_1,usr_2", "prices:"}));
}

TEST(Changes, ForEverybodyStandAlone) {
  auto payloads = to_payloads({{topic::usage, {"usr_1"}}, {topic::usage, {}}});

  EXPECT_EQ(payloads, (std::vector<std::string>{"usage:", "usage:usr_1"}));
  EXPECT_EQ(from_payload("usage:"), (std::vector<change>{{topic::usage, {}}}));
}

TEST(Changes, OfANewerNodeAreIgnored) {
  EXPECT_TRUE(from_payload("weather:usr_1").empty());
  EXPECT_TRUE(from_payload("").empty());
}

RC_GTEST_PROP(Changes, SurviveTheJourneyInSmallPayloads, ()) {
  auto topics = rc::gen::element(topic::identity, topic::usage, topic::clusters);
  auto number = rc::gen::inRange(0, 2'000);
  std::vector<change> changes;
  for (const auto& [t, n] : *rc::gen::resize(
           2'000,
           rc::gen::container<std::vector<std::pair<topic, int>>>(rc::gen::pair(topics, number))))
    changes.push_back(
        {t, n == 0 ? user_id{} : user_id{"usr_01JH0000000000000000000" + std::to_string(n)}});

  std::vector<change> back;
  for (const auto& payload : to_payloads(changes)) {
    RC_ASSERT(payload.size() < 7'500u);
    for (auto& c : from_payload(payload)) back.push_back(c);
  }

  for (const auto& c : changes) RC_ASSERT(std::count(back.begin(), back.end(), c) == 1);
  for (const auto& c : back) RC_ASSERT(std::count(changes.begin(), changes.end(), c) >= 1);
}

} // namespace
} // namespace binnacle::persistence
