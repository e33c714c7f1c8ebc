#include "persistence/private_cluster.hpp"

#include "persistence/migrations.hpp"
#include "persistence/server_processes.hpp"
#include "persistence/sql.hpp"
#include "persistence/subprocess.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace binnacle::persistence {
namespace {

namespace fs = std::filesystem;

class PrivateCluster : public testing::Test {
protected:
  fs::path dir = "/tmp/binnacle-test-" + std::to_string(::getpid()) + "-own";
  static constexpr auto bin = "/usr/lib/postgresql/15/bin";
  private_cluster_config config{.data_dir = dir, .postgres_bin = bin};

  // Making a cluster takes seconds on a slow disk: one is made, the others are copies of it.
  static fs::path& made() {
    static fs::path path;
    return path;
  }
  static void SetUpTestSuite() {
    made() = "/tmp/binnacle-test-" + std::to_string(::getpid()) + "-made";
    must(private_cluster::start({.data_dir = made(), .postgres_bin = bin}));
  }
  static void TearDownTestSuite() { fs::remove_all(made()); }
  void copy_to(const fs::path& to) {
    fs::create_directories(to.parent_path());
    program copy{.argv = {"/bin/cp", "-a", made(), to}};
    ASSERT_EQ(must(run_program(copy)).exit_code, 0);
  }

  void TearDown() override { fs::remove_all(dir); }

  static database_config to(const private_cluster& c) { return {.url = c.url()}; }
  static bool answers(const private_cluster& c) {
    database db{to(c)};
    return !!db.run(access::read, [](transaction&) -> result<done> { return done{}; }) &&
           !!inspect_schema(to(c));
  }
  static bool answers_soon(const private_cluster& c) {
    auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (std::chrono::steady_clock::now() < patience) {
      if (answers(c)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return false;
  }
  process postmaster() const { return find_postmaster(dir / "postgres/cluster").value(); }
  void kill_postmaster() const {
    auto victim = postmaster();
    ASSERT_EQ(::kill(victim.id, SIGKILL), 0);
    while (victim.is_alive()) std::this_thread::yield();
  }
  static mode_t mode_of(const fs::path& p) {
    struct stat s {};
    return ::stat(p.c_str(), &s) == 0 ? s.st_mode & 07777 : 0;
  }
};

TEST_F(PrivateCluster, IsMadeAtTheFirstStartAndFoundAtTheSecond) {
  {
    auto first = must(private_cluster::start(config));
    EXPECT_TRUE(first->was_created());
    EXPECT_EQ(first->major_version(), 15);
    must(migrate(to(*first)));
  }
  EXPECT_FALSE(fs::exists(dir / "postgres/cluster/postmaster.pid"));

  auto second = must(private_cluster::start(config));

  EXPECT_FALSE(second->was_created());
  EXPECT_TRUE(must(inspect_schema(to(*second))).current());
  EXPECT_EQ(mode_of(dir / "secrets"), 0700u);
  EXPECT_EQ(mode_of(dir / "secrets/postgres-password"), 0600u);
  EXPECT_EQ(mode_of(dir / "postgres"), 0700u);
}

TEST_F(PrivateCluster, WantsThePassword) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));
  auto url = cluster->url().reveal();
  url.replace(url.find("password="), std::string::npos, "password=wrong");
  database db{{.url = secret{url}}};

  auto refused = db.run(access::read, [](transaction&) -> result<done> { return done{}; });

  EXPECT_EQ(refused.error().code, errc::unavailable);
  EXPECT_NE(refused.error().detail.find("password authentication failed"), std::string::npos);
}

TEST_F(PrivateCluster, IsAdoptedWhenTheServiceWasKilled) {
  copy_to(dir);
  // A child starts the cluster and dies without stopping it, as after kill -9.
  auto child = ::fork();
  if (child == 0) {
    auto abandoned = private_cluster::start(config);
    ::_exit(abandoned ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  auto pid_file = dir / "postgres/cluster/postmaster.pid";
  ASSERT_TRUE(fs::exists(pid_file));

  {
    auto adopted = must(private_cluster::start(config));
    EXPECT_FALSE(adopted->was_created());
    EXPECT_TRUE(answers(*adopted));
  }
  EXPECT_FALSE(fs::exists(pid_file));
}

TEST_F(PrivateCluster, BelongsToOneServiceAtATime) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));

  auto second = private_cluster::start(config);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, errc::conflict);
  EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos);
}

TEST_F(PrivateCluster, OfAnotherMajorVersionIsRefused) {
  copy_to(dir);
  std::ofstream{dir / "postgres/cluster/PG_VERSION"} << "14\n";

  auto refused = private_cluster::start(config);

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("PostgreSQL 14"), std::string::npos);
  EXPECT_NE(refused.error().text.find("PostgreSQL 15"), std::string::npos);
}

TEST_F(PrivateCluster, NamesTheMissingPackage) {
  config.postgres_bin = "/nonexistent";

  auto refused = private_cluster::start(config);

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("postgresql-15"), std::string::npos);
}

TEST_F(PrivateCluster, StartsInADirectoryWithAVeryLongOrOddName) {
  config.data_dir = dir / std::string(90, 'x') / "it's \\, here";
  copy_to(config.data_dir);

  auto cluster = must(private_cluster::start(config));

  EXPECT_TRUE(answers(*cluster));
  auto url = cluster->url().reveal();
  auto socket = url.find("/tmp/binnacle-");
  ASSERT_NE(socket, std::string::npos);
  cluster.reset();
  fs::remove_all(url.substr(socket, url.find('\'', socket) - socket));
}

TEST_F(PrivateCluster, StartsInARelativeDirectory) {
  auto here = fs::current_path();
  fs::current_path("/tmp");
  copy_to(dir);
  config.data_dir = fs::relative(dir, "/tmp");

  auto cluster = private_cluster::start(config);
  fs::current_path(here);

  EXPECT_TRUE(answers(*must(std::move(cluster))));
}

TEST_F(PrivateCluster, SaysWhenTheServersUserCannotReachIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root changes users";
  auto closed = dir / "closed";
  fs::create_directories(closed);
  ::chmod(closed.c_str(), 0700);
  config.data_dir = closed / "data";

  auto refused = private_cluster::start(config);

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("BINNACLE_DATA_DIR"), std::string::npos);
}

TEST_F(PrivateCluster, BringsBackAServerThatWasKilled) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));

  for (int i = 0; i < 2; ++i) {
    kill_postmaster();
    EXPECT_TRUE(answers_soon(*cluster));
  }
}

TEST_F(PrivateCluster, BringsBackAServerOfWhichAKilledOneLeftAHangingProcess) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));
  sql_connection hanging{to(*cluster)};
  pid_t backend = 0;
  {
    sql_transaction tx{hanging, access::read};
    backend = tx.run_script("SELECT pg_backend_pid()")[0][0].as<pid_t>();
  }
  ASSERT_EQ(::kill(backend, SIGSTOP), 0);

  kill_postmaster();

  EXPECT_TRUE(answers_soon(*cluster));
}

TEST_F(PrivateCluster, BringsBackAServerThatWasStopped) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));
  auto stopped = postmaster();

  ASSERT_EQ(::kill(stopped.id, SIGINT), 0); // a fast shutdown

  while (stopped.is_alive()) std::this_thread::yield();
  EXPECT_TRUE(answers_soon(*cluster));
  EXPECT_NE(postmaster().id, stopped.id);
}

TEST_F(PrivateCluster, StopsAServerThatItIsBringingBack) {
  copy_to(dir);
  auto cluster = must(private_cluster::start(config));

  kill_postmaster();
  cluster.reset();

  EXPECT_FALSE(find_postmaster(dir / "postgres/cluster"));
  EXPECT_TRUE(answers(*must(private_cluster::start(config))));
}

} // namespace
} // namespace binnacle::persistence
