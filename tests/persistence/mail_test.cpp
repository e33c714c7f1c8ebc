#include "persistence/mail.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <set>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2026-03-01T12:00:00Z");

class MailOutbox : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  static queued_mail mail(const std::string& cause) {
    return {.id = "mail_" + cause,
            .cause = cause,
            .kind = "greeting",
            .recipient = "you@example.com",
            .subject = "Hello",
            .content_sealed = "v1:…"};
  }
  bool queue(const queued_mail& m, time_point now = noon) {
    return must(writing(db, [&](transaction& tx) { return queue_mail(tx, m, now); }));
  }
  static std::optional<held_mail> hold(database& by, const std::string& holder,
                                       time_point now = noon) {
    return must(run_in(by, access::append,
                       [&](transaction& tx) { return hold_mail(tx, holder, 1min, now); }));
  }
  result<done> finish(const held_mail& m) {
    return writing(db, [&](transaction& tx) { return finish_mail(tx, m, noon); });
  }
  mail_record only() {
    return must(reading(db, [&](transaction& tx) { return list_mails(tx, {}); })).at(0);
  }
};

TEST_F(MailOutbox, QueuesOneMailPerCause) {
  EXPECT_TRUE(queue(mail("a")));
  auto again = mail("a");
  again.id = "another";
  EXPECT_FALSE(queue(again));

  EXPECT_EQ(where.query("SELECT string_agg(id, ',') FROM mail_outbox"), "mail_a");
}

TEST_F(MailOutbox, ForgetsAMailWhoseTransactionFails) {
  auto failed = writing(db, [&](transaction& tx) -> result<done> {
    if (auto queued = queue_mail(tx, mail("a"), noon); !queued) return queued.error();
    return fault{errc::conflict};
  });

  EXPECT_FALSE(failed);
  EXPECT_FALSE(hold(db, "n1"));
}

TEST_F(MailOutbox, GivesAMailToOneHolderUntilItsLeaseIsOver) {
  queue(mail("a"));

  auto first = hold(db, "n1");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->what.content_sealed, "v1:…");
  EXPECT_FALSE(hold(db, "n2", noon + 59s));
  auto second = hold(db, "n2", noon + 60s);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->what.id, first->what.id);
  EXPECT_EQ(second->attempt, 2);

  EXPECT_EQ(finish(*first).error().code, errc::conflict);
  EXPECT_TRUE(finish(*second));
}

TEST_F(MailOutbox, GivesEveryMailOnceToManyHolders) {
  constexpr int mails = 40;
  for (int i = 0; i < mails; ++i) queue(mail(std::to_string(i)));
  std::vector<std::string> seen[4];
  std::vector<std::jthread> holders;
  for (auto& mine : seen)
    holders.emplace_back([&] {
      auto own = where.connect();
      while (auto m = hold(own, "n")) mine.push_back(m->what.id);
    });
  holders.clear();

  std::multiset<std::string> all;
  for (auto& mine : seen) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), std::size_t{mails});
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), std::size_t{mails});
}

TEST_F(MailOutbox, DropsTheContentOfWhatIsOver) {
  queue(mail("a"));
  ASSERT_TRUE(finish(*hold(db, "n1")));

  EXPECT_EQ(only().state, "sent");
  EXPECT_EQ(where.query("SELECT count(*) FROM mail_outbox WHERE content IS NULL"), "1");
  EXPECT_FALSE(hold(db, "n1", noon + 1h));
}

TEST_F(MailOutbox, TriesAgainWhenAFailedOneIsDue) {
  queue(mail("a"));
  auto held = *hold(db, "n1");
  ASSERT_TRUE(writing(
      db, [&](transaction& tx) { return postpone_mail(tx, held, "status 500", noon + 5s); }));

  EXPECT_EQ(only().last_error, "status 500");
  EXPECT_FALSE(hold(db, "n1", noon + 4s));
  EXPECT_EQ(hold(db, "n1", noon + 5s)->attempt, 2);
}

TEST_F(MailOutbox, SendsNothingThatIsTooOld) {
  queue(mail("a"));
  auto late = noon + mail_life;

  EXPECT_FALSE(hold(db, "n1", late));
  EXPECT_EQ(must(writing(db, [&](transaction& tx) { return sweep_mails(tx, noon, 10, late); })), 1);
  EXPECT_EQ(only().state, "failed");
  EXPECT_EQ(only().last_error, "too old to be sent");
}

TEST_F(MailOutbox, ForgetsWhatWasOverLongAgo) {
  queue(mail("a"));
  ASSERT_TRUE(finish(*hold(db, "n1")));

  EXPECT_EQ(must(writing(db, [&](transaction& tx) { return sweep_mails(tx, noon, 10, noon); })), 0);
  EXPECT_EQ(
      must(writing(db, [&](transaction& tx) { return sweep_mails(tx, noon + 1s, 10, noon); })), 1);
}

TEST_F(MailOutbox, ListsTheLatestFirstByPages) {
  for (auto name : {"a", "b", "c"}) queue(mail(name));
  auto ids = [&](mail_filter f) {
    std::string out;
    for (auto& m : must(reading(db, [&](transaction& tx) { return list_mails(tx, f); })))
      out.append(m.id.substr(5));
    return out;
  };
  auto all = must(reading(db, [&](transaction& tx) { return list_mails(tx, {}); }));

  EXPECT_EQ(ids({.most = 2}), "cb");
  EXPECT_EQ(ids({.before = all[1].seq}), "a");
  EXPECT_EQ(ids({.state = "sent"}), "");
  auto counts = must(reading(db, [&](transaction& tx) { return count_mails(tx); }));
  EXPECT_EQ(counts.waiting, 3);
  EXPECT_EQ(counts.oldest, noon);
}

} // namespace
} // namespace binnacle::persistence
