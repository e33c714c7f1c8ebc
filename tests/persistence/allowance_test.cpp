#include "persistence/allowance.hpp"

#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <atomic>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto march = *parse_iso("2025-03-31T23:59:59Z");
const auto april = *parse_iso("2025-04-01T00:00:00Z");
const user_id ada{"ada"};

class Allowance : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  void SetUp() override {
    must(writing(
        db, [&](transaction& tx) { return insert_user(tx, {.id = ada, .created_at = march}); }));
  }
  result<std::int64_t> use(const std::string& source, std::int64_t tenths, std::int64_t limit,
                           time_point at = march, const user_id& who = ada) {
    return writing(
        db, [&](transaction& tx) { return use_allowance(tx, who, source, tenths, limit, at); });
  }
  std::int64_t used(time_point at) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return allowance_used(tx, ada, at); }));
  }
};

TEST_F(Allowance, IsCountedByMonth) {
  EXPECT_EQ(used(march), 0);

  EXPECT_EQ(must(use("job:1", 100, 300)), 100);
  EXPECT_EQ(must(use("job:2", 25, 300)), 125);
  EXPECT_EQ(must(use("job:3", 7, 300, april)), 7);

  EXPECT_EQ(used(march), 125);
  EXPECT_EQ(used(april), 7);
}

TEST_F(Allowance, CountsASourceOnceAlsoAfterTheMonthEnded) {
  must(use("job:1", 100, 300));

  EXPECT_EQ(must(use("job:1", 100, 300)), 100);
  EXPECT_EQ(must(use("job:1", 100, 300, april)), 100);
  EXPECT_EQ(use("job:1", 99, 300).error().code, errc::conflict);
  EXPECT_EQ(used(march), 100);
  EXPECT_EQ(used(april), 0);
}

TEST_F(Allowance, IsNeverExceeded) {
  must(use("job:1", 290, 300));

  auto refused = use("job:2", 11, 300);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::unprocessable);
  EXPECT_EQ(refused.error().text,
            "The allowance of this month does not suffice: 1 are left, 1.1 are needed");
  EXPECT_EQ(must(use("job:3", 10, 300)), 300);
}

TEST_F(Allowance, GrowsWithThePlanAndIsNeverNegativeWithASmallerOne) {
  must(use("job:1", 300, 300));

  EXPECT_EQ(must(use("job:2", 50, 3000)), 350);
  EXPECT_EQ(use("job:3", 1, 300).error().text,
            "The allowance of this month does not suffice: 0 are left, 0.1 are needed");
}

TEST_F(Allowance, DemandsAnAmountASourceAndAUser) {
  EXPECT_EQ(use("job:1", 0, 300).error().code, errc::bad_request);
  EXPECT_EQ(use("", 1, 300).error().code, errc::bad_request);
  EXPECT_EQ(use("job:1", 1, 300, march, {"nobody"}).error().code, errc::not_found);
}

TEST_F(Allowance, UsedByManyAtOnceIsNotExceeded) {
  std::atomic<int> counted{0};
  std::vector<std::thread> jobs;
  for (int n = 0; n < 8; ++n)
    jobs.emplace_back([&, n] {
      auto own = where.connect();
      if (writing(own, [&](transaction& tx) {
            return use_allowance(tx, ada, "job:" + std::to_string(n), 7, 30, march);
          }))
        ++counted;
    });
  for (auto& j : jobs) j.join();

  EXPECT_EQ(counted, 4);
  EXPECT_EQ(used(march), 28);
}

} // namespace
} // namespace binnacle::persistence
