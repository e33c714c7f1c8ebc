#include "persistence/database.hpp"

#include "persistence/rate_windows.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <barrier>
#include <thread>

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

const auto now = *parse_iso("2025-03-01T12:00:00Z");

void add_user(database& db, const std::string& id) {
  must(writing(db, [&](transaction& tx) {
    return insert_user(tx, {.id = {id}, .username = id, .created_at = now});
  }));
}

result<done> save(transaction& tx, const std::string& key) {
  return save_rate_windows(tx, {{key, "state", now + 1h}});
}

/// Makes every insert into rate_windows run `body` first.
void before_insert(const test_database& where, const std::string& body) {
  where.query("CREATE SEQUENCE tries; CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
              "$$ BEGIN " +
              body +
              " RETURN NEW; END $$;"
              "CREATE TRIGGER fault BEFORE INSERT ON rate_windows FOR EACH ROW "
              "EXECUTE FUNCTION fault()");
}

TEST(Database, CommitsWhatTheBodyDid) {
  test_database where;
  auto db = where.connect();

  auto ran = writing(db, [](transaction& tx) { return save(tx, "a"); });

  EXPECT_TRUE(ran);
  EXPECT_EQ(where.query("SELECT state FROM rate_windows"), "state");
}

TEST(Database, RollsBackWhenTheBodyRefuses) {
  test_database where;
  auto db = where.connect();

  auto ran = writing(db, [](transaction& tx) -> result<done> {
    must(save(tx, "a"));
    return fault{errc::forbidden, "no", {}, {}};
  });

  EXPECT_EQ(ran.error().code, errc::forbidden);
  EXPECT_EQ(where.query("SELECT count(*) FROM rate_windows"), "0");
}

TEST(Database, RollsBackWhenTheBodyThrows) {
  test_database where;
  auto db = where.connect();

  auto ran = writing(db, [](transaction& tx) -> result<done> {
    must(save(tx, "a"));
    throw std::runtime_error{"a bug"};
  });

  EXPECT_EQ(ran.error().code, errc::internal);
  EXPECT_EQ(ran.error().detail, "a bug");
  EXPECT_EQ(where.query("SELECT count(*) FROM rate_windows"), "0");
}

TEST(Database, HandsBackWhatWasTouchedOnlyAfterACommit) {
  test_database where;
  auto db = where.connect();
  std::vector<change> changes;
  auto touch = [](transaction& tx) -> result<done> {
    tx.touch({topic::billing, {"usr_1"}});
    return done{};
  };

  must(db.run(access::write, touch, &changes));
  EXPECT_EQ(changes, (std::vector<change>{{topic::billing, {"usr_1"}}}));

  changes.clear();
  auto refused = db.run(
      access::write,
      [&](transaction& tx) -> result<done> {
        must(touch(tx));
        return fault{errc::conflict, {}, {}, {}};
      },
      &changes);
  EXPECT_FALSE(refused);
  EXPECT_TRUE(changes.empty());
}

TEST(Database, RefusesToTouchAnythingWhileReading) {
  test_database where;
  auto db = where.connect();

  auto ran = db.run(access::read, [](transaction& tx) -> result<done> {
    tx.touch({topic::usage, {}});
    return done{};
  });

  EXPECT_EQ(ran.error().code, errc::internal);
}

TEST(Database, CannotWriteInASnapshot) {
  test_database where;
  auto db = where.connect();

  auto ran = reading(db, [](transaction& tx) { return save(tx, "a"); });

  EXPECT_EQ(ran.error().code, errc::internal);
}

TEST(Database, SetsUpItsSessions) {
  test_database where;
  auto config = where.config();
  config.statement_timeout = 3'210ms;
  config.application_name = "it's me";
  database db{config};
  must(writing(db, [](transaction& tx) { return save(tx, "a"); }));

  // The trigger of a statement sees the settings of its session.
  before_insert(where, "NEW.state := concat_ws('|', current_setting('statement_timeout'), "
                       "current_setting('TimeZone'), current_setting('synchronous_commit'), "
                       "current_setting('application_name'), current_setting('DateStyle'));");
  must(writing(db, [](transaction& tx) { return save(tx, "b"); }));

  EXPECT_EQ(where.query("SELECT state FROM rate_windows WHERE key = 'b'"),
            "3210ms|UTC|on|it's me|ISO, MDY");
}

TEST(Database, KeepsTheServerOptionsOfItsAddress) {
  test_database where;
  auto config = where.config();
  config.url = secret{config.url.reveal() + " options='-c work_mem=5MB'"};
  database db{config};

  before_insert(where, "NEW.state := concat_ws('|', current_setting('work_mem'), "
                       "current_setting('TimeZone'));");
  must(writing(db, [](transaction& tx) { return save(tx, "a"); }));

  EXPECT_EQ(where.query("SELECT state FROM rate_windows"), "5MB|UTC");
}

TEST(Database, RepeatsATransactionThatCouldNotBeSerialised) {
  test_database where;
  before_insert(where, "IF nextval('tries') <= 3 THEN RAISE EXCEPTION 'try again' "
                       "USING ERRCODE = '40001'; END IF;");
  auto db = where.connect();
  int runs = 0;

  auto ran = writing(db, [&](transaction& tx) {
    ++runs;
    return save(tx, "a");
  });

  EXPECT_TRUE(ran);
  EXPECT_EQ(runs, 4);
}

TEST(Database, GivesUpAfterFiveRepetitions) {
  test_database where;
  before_insert(where, "RAISE EXCEPTION 'never' USING ERRCODE = '40001';");
  auto db = where.connect();
  int runs = 0;

  auto ran = writing(db, [&](transaction& tx) {
    ++runs;
    return save(tx, "a");
  });

  EXPECT_EQ(ran.error().code, errc::internal);
  EXPECT_EQ(runs, 6);
}

TEST(Database, RepeatsTheVictimOfADeadlock) {
  test_database where;
  auto first = where.connect();
  auto second = where.connect();
  add_user(first, "a");
  add_user(first, "b");
  std::barrier both_hold_one{2};
  std::atomic<int> runs{0};
  auto log_in_both = [&](database& db, const char* one, const char* other) {
    bool waited = false;
    return writing(db, [&, waited](transaction& tx) mutable {
      ++runs;
      must(record_login(tx, {one}, now));
      if (!std::exchange(waited, true) && runs <= 2) both_hold_one.arrive_and_wait();
      return record_login(tx, {other}, now);
    });
  };

  std::optional<result<done>> answers[2];
  std::thread rival{[&] { answers[0] = log_in_both(second, "b", "a"); }};
  answers[1] = log_in_both(first, "a", "b");
  rival.join();

  EXPECT_TRUE(*answers[0]);
  EXPECT_TRUE(*answers[1]);
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(where.query("SELECT sum(login_count) FROM users"), "4");
}

TEST(Database, TimesOutAStatementThatRunsTooLong) {
  test_database where;
  before_insert(where, "PERFORM pg_sleep(60);");
  auto config = where.config();
  config.statement_timeout = 150ms;
  database db{config};

  auto ran = writing(db, [](transaction& tx) { return save(tx, "a"); });

  EXPECT_EQ(ran.error().code, errc::timed_out);
  EXPECT_TRUE(db.connected());
}

TEST(Database, TimesOutWhenALockIsNotToBeHad) {
  test_database where;
  auto holder = where.connect();
  add_user(holder, "a");
  auto config = where.config();
  config.statement_timeout = 300ms;
  database db{config};

  must(writing(holder, [&](transaction& tx) -> result<done> {
    must(record_login(tx, {"a"}, now));
    auto blocked = writing(db, [](transaction& other) { return record_login(other, {"a"}, now); });
    EXPECT_EQ(blocked.error().code, errc::timed_out);
    return done{};
  }));
}

TEST(Database, NamesTheErrorButNotTheRow) {
  test_database where;
  auto db = where.connect();

  auto ran = writing(db, [](transaction& tx) {
    return insert_user(
        tx, {.id = {"a"}, .password_hash = "$argon2id$secret", .status = "odd", .created_at = now});
  });

  EXPECT_EQ(ran.error().code, errc::internal);
  EXPECT_NE(ran.error().detail.find("23514"), std::string::npos);
  EXPECT_EQ(ran.error().detail.find("argon2id"), std::string::npos);
}

TEST(Database, UsesANewConnectionWhenTheServerClosedTheOldOne) {
  test_database where;
  auto db = where.connect();
  must(reading(db, any_user));
  where.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
              "WHERE datname = current_database() AND pid <> pg_backend_pid()");

  EXPECT_TRUE(run_in(db, access::read, any_user));
  EXPECT_TRUE(writing(db, [](transaction& tx) { return save(tx, "a"); }));
}

TEST(Database, RepeatsATransactionThatLostItsConnectionInTheMiddle) {
  test_database where;
  auto db = where.connect();
  int runs = 0;

  auto ran = writing(db, [&](transaction& tx) {
    must(save(tx, "a"));
    if (++runs == 1)
      where.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                  "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    return save(tx, "b");
  });

  EXPECT_TRUE(ran);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(where.query("SELECT count(*) FROM rate_windows"), "2");
}

TEST(Database, DoesNotRepeatWhatMayHaveBeenCommitted) {
  test_database where;
  where.query("CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
              "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
              "CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON rate_windows "
              "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault()");
  auto db = where.connect();
  int runs = 0;

  auto ran = writing(db, [&](transaction& tx) {
    ++runs;
    return save(tx, "a");
  });

  EXPECT_EQ(ran.error().code, errc::unavailable);
  EXPECT_NE(ran.error().detail.find("outcome unknown"), std::string::npos);
  EXPECT_EQ(runs, 1);
}

TEST(Database, IsUnavailableWhileTheServerIsDownAndRecoversAfterwards) {
  test_database where;
  auto db = where.connect();
  must(writing(db, [](transaction& tx) { return save(tx, "before"); }));

  test_database::stop_server();
  EXPECT_EQ(reading(db, any_user).error().code, errc::unavailable);
  std::this_thread::sleep_for(600ms); // long enough for the back-off to grow
  EXPECT_EQ(reading(db, any_user).error().code, errc::unavailable);
  EXPECT_FALSE(db.connected());
  test_database::start_server();

  auto deadline = steady::now() + 60s;
  while (!reading(db, any_user) && steady::now() < deadline) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(where.query("SELECT key FROM rate_windows"), "before");
}

TEST(Database, TriesToConnectAtMostOncePerStep) {
  auto config = database_config{.url = secret{"host=/nonexistent user=x dbname=x"}};
  database db{config};
  auto first = reading(db, any_user);

  auto second = reading(db, any_user);

  EXPECT_EQ(first.error().code, errc::unavailable);
  EXPECT_EQ(second.error().detail, "database: waiting to connect again");
}

} // namespace
} // namespace binnacle::persistence
