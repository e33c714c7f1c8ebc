#include "persistence/audit.hpp"

#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <atomic>
#include <set>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-10T12:00:00Z");

class AuditLog : public ::testing::Test {
protected:
  static result<done> note(transaction& tx, const std::string& action) {
    return write_audit(tx, {.action = action}, now);
  }
  void act(const std::string& action) {
    must(writing(db, [&](transaction& tx) { return note(tx, action); }));
  }
  std::vector<audit_row> page(const audit_filter& f = {}) {
    return must(run_in(db, access::read, [&](transaction& tx) { return list_audit(tx, f); }));
  }
  std::vector<std::string> actions() {
    std::vector<std::string> out;
    for (const auto& row : page()) out.push_back(row.action);
    return out;
  }
  using texts = std::vector<std::string>;

  test_database where{};
  database db = where.connect();
};

TEST_F(AuditLog, ShowsNothingAboveARowThatIsStillBeingWritten) {
  act("BEFORE");
  auto slow = where.connect();

  must(writing(slow, [&](transaction& tx) -> result<done> {
    if (auto noted = note(tx, "SLOW"); !noted) return noted;
    act("QUICK"); // has a greater id, and commits first
    EXPECT_EQ(actions(), texts{"BEFORE"});
    return done{};
  }));

  EXPECT_EQ(actions(), (texts{"QUICK", "SLOW", "BEFORE"}));
}

TEST_F(AuditLog, DoesNotWaitForWhoOnlyReads) {
  auto reader = where.connect();

  must(run_in(reader, access::snapshot, [&](transaction& tx) -> result<done> {
    if (auto seen = list_audit(tx, {}); !seen) return seen.error();
    act("MEANWHILE");
    EXPECT_EQ(actions(), texts{"MEANWHILE"});
    return done{};
  }));
}

TEST_F(AuditLog, ShowsWhatWasRestoredFromAnotherServer) {
  where.query("INSERT INTO audit_log (at, action, written_by) VALUES (now(), 'ELSEWHERE', "
              "'999999999999') RETURNING 1");

  EXPECT_EQ(actions(), texts{"ELSEWHERE"});
}

TEST_F(AuditLog, GivesAReaderOfTheNewestEveryRowWhateverTheOrderOfTheCommits) {
  std::atomic<int> writers{4};
  std::vector<std::jthread> nodes;
  for (int n = 0; n < 4; ++n)
    nodes.emplace_back([&, n] {
      auto own = where.connect();
      for (int i = 0; i < 40; ++i)
        must(writing(own, [&](transaction& tx) -> result<done> {
          if (auto noted = note(tx, std::to_string(n) + "." + std::to_string(i)); !noted)
            return noted;
          std::this_thread::sleep_for(std::chrono::microseconds{(n * 7 + i * 3) % 11 * 100});
          return done{};
        }));
      --writers;
    });

  // As somebody who looks again and again for what is above the last row that they know.
  std::set<std::string> seen;
  std::int64_t known = 0;
  for (auto last = false; !last;) {
    last = writers == 0;
    auto newest = known;
    for (const auto& row : page({.most = 1'000})) {
      if (row.id <= known) break;
      newest = std::max(newest, row.id);
      seen.insert(row.action);
    }
    known = newest;
  }

  EXPECT_EQ(seen.size(), 160U);
}

} // namespace
} // namespace binnacle::persistence
