#include "persistence/stripe_events.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <atomic>
#include <set>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2026-03-01T12:00:00Z");

class StripeEvents : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  static stripe_event event(const std::string& id, const std::string& key = "cus_1",
                            time_point created = noon) {
    return {.id = id,
            .type = "invoice.payment_succeeded",
            .object_key = key,
            .created_at = created,
            .payload = R"({"id":")" + id + "\"}"};
  }
  bool store(const stripe_event& e, time_point now = noon) { return !store_all({e}, now).empty(); }
  std::vector<std::string> store_all(const std::vector<stripe_event>& events,
                                     time_point now = noon) {
    return must(run_in(db, access::append, [&](transaction& tx) {
      return store_stripe_events(tx, events, event_source::webhook, now);
    }));
  }
  static std::vector<held_stripe_event> hold(database& by, const std::string& holder,
                                             time_point now = noon, std::int64_t most = 10) {
    return must(run_in(by, access::append, [&](transaction& tx) {
      return hold_stripe_events(tx, holder, 1min, most, now);
    }));
  }
  std::vector<std::string> held_ids(const std::string& holder, time_point now = noon) {
    std::vector<std::string> out;
    for (const auto& e : hold(db, holder, now)) out.push_back(e.id);
    return out;
  }
  held_stripe_event hold_one(const std::string& holder = "a", time_point now = noon) {
    return hold(db, holder, now).at(0);
  }
  result<done> finish(const held_stripe_event& e) {
    return writing(db, [&](transaction& tx) { return finish_stripe_event(tx, e, noon); });
  }
  result<done> fail(const held_stripe_event& e, time_point again) {
    return writing(db, [&](transaction& tx) { return fail_stripe_event(tx, e, "no luck", again); });
  }
  result<done> replay(const std::string& id, time_point now = noon) {
    return writing(db, [&](transaction& tx) { return replay_stripe_event(tx, id, now); });
  }
  stripe_event_record record(const std::string& id) {
    return must(reading(db, [&](transaction& tx) { return find_stripe_event(tx, id); })).value();
  }
};

using ids = std::vector<std::string>;

TEST_F(StripeEvents, AreStoredOnceWithTheBytesThatCame) {
  auto e = event("evt_1");
  e.payload = "{ \"id\":\"evt_1\",\t\"ü\":1.50 }\n";
  EXPECT_TRUE(store(e));

  EXPECT_FALSE(store(event("evt_1", "cus_2")));

  EXPECT_EQ(record("evt_1").what.payload, e.payload);
  EXPECT_EQ(record("evt_1").state, "waiting");
}

TEST_F(StripeEvents, AreStoredTogetherEachThatIsNewOnce) {
  store(event("evt_2"));

  EXPECT_EQ(store_all({event("evt_3"), event("evt_2"), event("evt_1"), event("evt_3")}),
            (ids{"evt_1", "evt_3"}));
  EXPECT_EQ(store_all({event("evt_1"), event("evt_3")}), ids{});
  EXPECT_EQ(record("evt_3").what.payload, event("evt_3").payload);
}

TEST_F(StripeEvents, AreStoredTogetherOrNotAtAll) {
  auto impossible = event("evt_2");
  impossible.payload = "\xff";

  auto stored = run_in(db, access::append, [&](transaction& tx) {
    return store_stripe_events(tx, {event("evt_1"), impossible}, event_source::webhook, noon);
  });

  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, errc::internal);
  EXPECT_TRUE(store(event("evt_1")));
}

TEST_F(StripeEvents, FromWhichNothingFollowsAreAppliedAtOnceAndCanBeReplayed) {
  auto e = event("evt_1");
  e.inert = true;
  store(e);

  EXPECT_EQ(record("evt_1").state, "applied");
  EXPECT_EQ(record("evt_1").applied_at, noon);
  EXPECT_EQ(held_ids("a"), ids{});
  must(replay("evt_1"));
  EXPECT_EQ(held_ids("a"), ids{"evt_1"});
}

TEST_F(StripeEvents, OfOneObjectAreHeldOneAtATimeTheOldestFirst) {
  store(event("evt_late", "cus_1", noon + 1s));
  store(event("evt_early", "cus_1", noon));
  store(event("evt_other", "cus_2", noon));

  auto first = held_ids("a");
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()),
            (std::set<std::string>{"evt_early", "evt_other"}));
  EXPECT_EQ(held_ids("b"), ids{});
}

TEST_F(StripeEvents, GoOnWithTheNextWhenOneIsFinished) {
  store(event("evt_1", "cus_1", noon));
  store(event("evt_2", "cus_1", noon + 1s));

  must(finish(hold_one()));

  EXPECT_EQ(held_ids("a"), ids{"evt_2"});
}

TEST_F(StripeEvents, DoNotWaitForAnEarlierOneThatHasFailed) {
  store(event("evt_1", "cus_1", noon));
  store(event("evt_2", "cus_1", noon + 1s));

  must(fail(hold_one(), noon + 10s));

  EXPECT_EQ(held_ids("a"), ids{"evt_2"});
  EXPECT_EQ(record("evt_1").state, "failed");
  EXPECT_EQ(record("evt_1").last_error, "no luck");
}

TEST_F(StripeEvents, AreDueAgainAfterAFailure) {
  store(event("evt_1"));
  must(fail(hold_one(), noon + 10s));

  EXPECT_EQ(held_ids("a", noon + 9s), ids{});
  EXPECT_EQ(held_ids("a", noon + 10s), ids{"evt_1"});
  EXPECT_EQ(record("evt_1").attempts, 2);
}

TEST_F(StripeEvents, OfADeadNodeGoToAnotherBeforeTheirObjectsOthers) {
  store(event("evt_2", "cus_1", noon + 1s));
  auto dead = hold_one("dead");
  store(event("evt_1", "cus_1", noon));

  EXPECT_EQ(held_ids("b", noon + 59s), ids{});
  EXPECT_EQ(held_ids("b", noon + 61s), ids{"evt_2"});
  EXPECT_EQ(finish(dead).error().code, errc::conflict);
}

TEST_F(StripeEvents, KnowAHolderFromItselfAtAnEarlierAttempt) {
  store(event("evt_1"));
  auto first = hold_one("a");
  auto second = hold_one("a", noon + 61s);

  EXPECT_EQ(finish(first).error().code, errc::conflict);
  EXPECT_TRUE(finish(second));
}

TEST_F(StripeEvents, AreGivenBackByANodeThatIsNotAtThem) {
  for (auto id : {"evt_1", "evt_2", "evt_3"}) store(event(id, id));
  auto others = hold(db, "b", noon, 1).at(0);
  auto mine = hold(db, "a");
  ASSERT_EQ(mine.size(), 2u);

  auto release = [&](const ids& except) {
    return must(
        writing(db, [&](transaction& tx) { return release_stripe_events(tx, "a", except, noon); }));
  };
  EXPECT_EQ(release({mine[0].id}), 1);
  EXPECT_EQ(held_ids("c"), ids{mine[1].id});

  EXPECT_EQ(finish(mine[1]).error().code, errc::conflict);
  EXPECT_TRUE(finish(mine[0]));
  EXPECT_TRUE(finish(others));
  EXPECT_EQ(release({}), 0);
}

TEST_F(StripeEvents, AreHeldByOneOfManyNodes) {
  for (int i = 0; i < 200; ++i)
    store(event("evt_" + std::to_string(i), "cus_" + std::to_string(i % 20), noon + 1s * (i % 7)));
  std::atomic<int> finished{0}, doubled{0};
  std::array<std::atomic<int>, 20> busy{};

  std::vector<std::thread> nodes;
  for (int n = 0; n < 4; ++n)
    nodes.emplace_back([&, n] {
      auto mine = where.connect();
      while (finished < 200) {
        auto got = run_in(mine, access::append, [&](transaction& tx) {
          return hold_stripe_events(tx, "node" + std::to_string(n), 1min, 3, noon);
        });
        if (!got) continue; // conflict: two chose alike
        for (const auto& e : *got) {
          auto& at_work = busy[static_cast<std::size_t>(std::stoi(e.object_key.substr(4)))];
          if (at_work.fetch_add(1) > 0) ++doubled;
          at_work.fetch_sub(1); // before the row is free for others
          must(writing(mine, [&](transaction& tx) { return finish_stripe_event(tx, e, noon); }));
          ++finished;
        }
      }
    });
  for (auto& n : nodes) n.join();

  EXPECT_EQ(finished, 200);
  EXPECT_EQ(doubled, 0);
  EXPECT_EQ(where.query("SELECT count(*) FROM stripe_events WHERE state = 'applied' "
                        "AND attempts = 1"),
            "200");
}

TEST_F(StripeEvents, WaitForTheUserTheyAreAbout) {
  store(event("evt_1"));
  auto e = hold_one();
  must(writing(db, [&](transaction& tx) { return shelve_stripe_event(tx, e, "Ann@Example.com"); }));
  auto unshelve = [&] {
    return must(run_in(db, access::append,
                       [&](transaction& tx) { return unshelve_stripe_events(tx, noon); }));
  };
  EXPECT_EQ(unshelve(), 0);
  EXPECT_EQ(record("evt_1").state, "unresolved");

  where.query("INSERT INTO users (id, email, created_at, updated_at) "
              "VALUES ('usr_1', 'ann@example.com', now(), now())");

  EXPECT_EQ(unshelve(), 1);
  EXPECT_EQ(held_ids("a"), ids{"evt_1"});
}

TEST_F(StripeEvents, AreReplayedUnlessSomebodyIsAtThem) {
  store(event("evt_1"));
  auto e = hold_one();
  EXPECT_EQ(replay("evt_1").error().code, errc::conflict);
  must(finish(e));

  must(replay("evt_1"));

  EXPECT_EQ(record("evt_1").state, "waiting");
  EXPECT_EQ(held_ids("a"), ids{"evt_1"});
  EXPECT_EQ(replay("evt_none").error().code, errc::not_found);
}

TEST_F(StripeEvents, AreListedTheLatestFirstByStateAndType) {
  for (const auto* id : {"evt_1", "evt_2", "evt_3"}) store(event(id, id));
  must(finish(hold(db, "a", noon, 1).at(0)));
  auto list = [&](stripe_event_filter f) {
    ids out;
    for (auto& e : must(reading(db, [&](transaction& tx) { return list_stripe_events(tx, f); })))
      out.push_back(e.what.id);
    return out;
  };

  EXPECT_EQ(list({}), (ids{"evt_3", "evt_2", "evt_1"}));
  EXPECT_EQ(list({.most = 1}), ids{"evt_3"});
  EXPECT_EQ(list({.before = record("evt_2").seq}), ids{"evt_1"});
  EXPECT_EQ(list({.state = "applied"}).size(), 1U);
  EXPECT_EQ(list({.type = "charge.refunded"}), ids{});
}

TEST_F(StripeEvents, AreCountedByState) {
  for (const auto* id : {"evt_1", "evt_2", "evt_3"}) store(event(id, id), noon + 1s);
  must(fail(hold_one("a", noon + 1s), noon + 1h));

  auto counts = must(reading(db, count_stripe_events));

  EXPECT_EQ(counts.waiting, 2);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.oldest, noon + 1s);
}

TEST_F(StripeEvents, LoseThePayloadButNotTheIdOnceTheyAreOldAndApplied) {
  store(event("evt_1", "cus_1"), noon);
  must(finish(hold_one()));
  store(event("evt_2", "cus_2"), noon);
  auto drop = [&](time_point before) {
    return must(
        writing(db, [&](transaction& tx) { return drop_stripe_payloads(tx, before, 100); }));
  };

  EXPECT_EQ(drop(noon), 0);
  EXPECT_EQ(drop(noon + 1s), 1);

  EXPECT_EQ(record("evt_1").what.payload, "");
  EXPECT_NE(record("evt_2").what.payload, "");
  EXPECT_FALSE(store(event("evt_1")));
  EXPECT_EQ(replay("evt_1").error().code, errc::conflict);
}

} // namespace
} // namespace binnacle::persistence
