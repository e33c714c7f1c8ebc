/// Questions that travel to PostgreSQL together.
#include "persistence/query.hpp"

#include "persistence/sql.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

constexpr statement echo{"test_echo", "SELECT $1::text"};
constexpr statement quotient{"test_quotient", "SELECT 100 / $1::int"};
constexpr statement sleeper{"test_sleeper", "SELECT pg_sleep($1::float8)"};
constexpr statement flaky{"test_flaky", "SELECT flaky()"};
constexpr statement nonsense{"test_nonsense", "SELECT no_such_column"};

std::string first_text(const rows& found) { return text_of(found[0][0]); }
std::string broken(const rows&) { throw std::runtime_error{"a bug"}; }

using text_query = query<std::string>;

class Questions : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  /// What became of them, asked together: the answer, or the fault's code.
  std::vector<std::string> ask(std::vector<text_query> all) { return ask(db, std::move(all)); }
  static std::vector<std::string> ask(database& whom, std::vector<text_query> all) {
    std::vector<question*> together;
    for (auto& q : all) together.push_back(&q);
    whom.ask(together);
    std::vector<std::string> out;
    for (auto& q : all) out.push_back(q.outcome ? *q.outcome : to_string(q.outcome.error()));
    return out;
  }
  static text_query text(std::string what) { return {echo, {std::move(what)}, first_text}; }
  static text_query divide(const char* by) { return {quotient, {by}, first_text}; }

  void lose_connections() {
    where.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  }
  static bool starts(const std::string& text, const char* with) { return text.starts_with(with); }
};

TEST_F(Questions, EachGetItsOwnAnswer) {
  std::vector<text_query> many;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    auto big = std::string(static_cast<std::size_t>(i) * 1'000, 'x'); // more than sockets hold
    many.push_back(text(big));
    expected.push_back(big);
    many.push_back(divide("4"));
    expected.push_back("25");
  }

  EXPECT_EQ(ask(many), expected);
  EXPECT_EQ(ask(many), expected); // with statements that are prepared
}

TEST_F(Questions, OfNobodyAreNothingToAsk) { EXPECT_TRUE(ask({}).empty()); }

TEST_F(Questions, AreNotHarmedByTheirNeighbours) {
  auto answers = ask({text("a"),
                      divide("0"),
                      text("b"),
                      {nonsense, {}, first_text},
                      divide("5"),
                      {echo, {"c"}, broken},
                      {nonsense, {}, first_text},
                      text("d")});

  EXPECT_EQ(answers[0], "a");
  EXPECT_NE(answers[1].find("22012"), std::string::npos) << answers[1];
  EXPECT_EQ(answers[2], "b");
  EXPECT_NE(answers[3].find("42703"), std::string::npos) << answers[3];
  EXPECT_EQ(answers[4], "20");
  EXPECT_NE(answers[5].find("a bug"), std::string::npos) << answers[5];
  EXPECT_NE(answers[6].find("42703"), std::string::npos) << answers[6];
  EXPECT_EQ(answers[7], "d");
}

TEST_F(Questions, TimeOutEachForItself) {
  auto config = where.config();
  config.statement_timeout = 200ms;
  database hasty{config};

  auto answers = ask(hasty, {{sleeper, {"0.12"}, first_text},
                             {sleeper, {"0.12"}, first_text},
                             {sleeper, {"5"}, first_text},
                             text("after")});

  EXPECT_EQ(answers[0], "");
  EXPECT_EQ(answers[1], "");
  EXPECT_TRUE(starts(answers[2], "timed_out")) << answers[2];
  EXPECT_EQ(answers[3], "after");
  EXPECT_TRUE(hasty.connected());
}

TEST_F(Questions, AreRepeatedAfterAConflict) {
  where.query("CREATE SEQUENCE tries; CREATE FUNCTION flaky() RETURNS text LANGUAGE plpgsql AS $$ "
              "BEGIN IF nextval('tries') < 4 THEN RAISE SQLSTATE '40001'; END IF; "
              "RETURN 'done'; END $$");

  EXPECT_EQ(ask({text("a"), {flaky, {}, first_text}, text("b")}),
            (std::vector<std::string>{"a", "done", "b"}));
  EXPECT_EQ(where.query("SELECT last_value FROM tries"), "4");
}

TEST_F(Questions, AreAskedAgainOnANewConnectionWhenTheOldOneIsLost) {
  EXPECT_EQ(ask({text("a")}), std::vector<std::string>{"a"});
  lose_connections();

  EXPECT_EQ(ask({text("a"), text("b")}), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Questions, AreRefusedWhenTheConnectionIsLostTwice) {
  where.query("CREATE FUNCTION flaky() RETURNS text LANGUAGE plpgsql AS $$ "
              "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN ''; END $$");

  auto answers = ask({{flaky, {}, first_text}, text("b")});

  EXPECT_TRUE(starts(answers[0], "unavailable")) << answers[0];
  EXPECT_TRUE(starts(answers[1], "unavailable")) << answers[1];
  EXPECT_EQ(ask({text("later")}), std::vector<std::string>{"later"});
}

TEST_F(Questions, ShareTheirConnectionWithTransactions) {
  auto count = [](transaction& tx) -> result<std::string> {
    return text_of(exec(tx, statement{"test_count", "SELECT count(*) FROM users"})[0][0]);
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask({text("a"), divide("0")})[0], "a");
    EXPECT_EQ(must(reading(db, count)), "0");
    EXPECT_EQ(must(writing(db, count)), "0");
  }
  EXPECT_EQ(where.query("SELECT count(*) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND application_name = 'binnacle'"),
            "1");
}

} // namespace
} // namespace binnacle::persistence
