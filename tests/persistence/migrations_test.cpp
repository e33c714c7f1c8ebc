#include "persistence/migrations.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <thread>

namespace binnacle::persistence {
namespace {

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& t : texts) out.append(t).append("; ");
  return out;
}

TEST(Migrations, AreNumberedWithoutGaps) {
  int expected = 0;

  for (const auto& m : migrations()) {
    EXPECT_EQ(m.number, ++expected);
    EXPECT_FALSE(m.sql.empty());
  }

  EXPECT_GT(expected, 0);
}

TEST(Migrations, BringAnEmptyDatabaseUpToDate) {
  test_database where{schema::empty};
  EXPECT_FALSE(must(inspect_schema(where.config())).current());

  auto applied = must(migrate(where.config()));

  EXPECT_EQ(applied.size(), migrations().size());
  EXPECT_EQ(applied.front(), "0001_users");
  EXPECT_TRUE(must(inspect_schema(where.config())).current());
}

TEST(Migrations, DoNothingTheSecondTime) {
  test_database where;

  EXPECT_TRUE(must(migrate(where.config())).empty());
}

TEST(Migrations, AreOnlyListedByADryRun) {
  test_database where{schema::empty};

  auto would = must(migrate(where.config(), true));

  EXPECT_EQ(would.size(), migrations().size());
  EXPECT_EQ(must(inspect_schema(where.config())).applied, 0);
}

TEST(Migrations, AreAppliedOnceWhenSeveralNodesStartTogether) {
  test_database where{schema::empty};
  std::vector<std::vector<std::string>> applied(3);

  std::vector<std::thread> nodes;
  for (auto& own : applied) nodes.emplace_back([&] { own = must(migrate(where.config())); });
  for (auto& node : nodes) node.join();

  std::size_t total = 0;
  for (const auto& own : applied) total += own.size();
  EXPECT_EQ(total, migrations().size());
  EXPECT_TRUE(must(inspect_schema(where.config())).current());
}

TEST(Migrations, RefuseASchemaThatIsNewerThanTheBinary) {
  test_database where;
  auto next = std::to_string(migrations().back().number + 1);
  where.query("INSERT INTO schema_migrations VALUES (" + next + ", '9999_future', 'x')");

  auto refused = migrate(where.config());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_NE(refused.error().text.find("9999_future"), std::string::npos);
  auto state = must(inspect_schema(where.config()));
  EXPECT_FALSE(state.current());
  EXPECT_NE(joined(state.problems).find("older than the schema"), std::string::npos);
}

TEST(Migrations, RefuseAnAppliedOneWhoseTextHasChanged) {
  test_database where;
  where.query("UPDATE schema_migrations SET checksum = 'other' WHERE number = 2");

  auto refused = migrate(where.config());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::conflict);
  EXPECT_NE(refused.error().text.find("0002_clusters"), std::string::npos);
}

TEST(Migrations, NoticeThatOneIsMissingInTheMiddle) {
  test_database where;
  where.query("DELETE FROM schema_migrations WHERE number = 2");

  EXPECT_FALSE(must(inspect_schema(where.config())).problems.empty());
  EXPECT_FALSE(migrate(where.config()));
}

} // namespace
} // namespace binnacle::persistence
