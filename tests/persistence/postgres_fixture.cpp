#include "tests/persistence/postgres_fixture.hpp"

#include "persistence/migrations.hpp"
#include "persistence/private_cluster.hpp"
#include "persistence/subprocess.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <pqxx/pqxx>
#include <unistd.h>

// libpqxx 6.4 loses a result of 2 KB when a connection breaks during a statement (make_result asks
// for the encoding, which throws). Read by the leak sanitizer when there is one.
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx-6.4\n"; }

namespace binnacle::persistence {
namespace {

namespace fs = std::filesystem;

constexpr auto prefix = "binnacle-test-";
constexpr std::array parents{"/dev/shm", "/tmp"};
/// Hundreds of databases of a few megabytes, made and dropped one after the other.
constexpr std::uintmax_t memory_needed = 2'147'483'648;
constexpr auto programs = "/usr/lib/postgresql/15/bin";

std::string bin_directory() {
  const char* set = std::getenv("BINNACLE_DATABASE_POSTGRES_BIN");
  return set ? set : programs;
}

program_end pg_ctl(const fs::path& data_dir, std::vector<std::string> args) {
  args.insert(args.begin(), bin_directory() + "/pg_ctl");
  args.insert(args.end(), {"-D", data_dir / "postgres" / "cluster", "-w"});
  program what{.argv = std::move(args)};
  if (::geteuid() == 0) what.as = find_unix_user("postgres");
  return must(run_program(what));
}

/// In memory, where there is enough of it.
fs::path make_path() {
  std::error_code none_there;
  auto in_memory = fs::space(parents.front(), none_there);
  auto parent =
      !none_there && in_memory.available >= memory_needed ? parents.front() : parents.back();
  return parent + ("/" + (prefix + std::to_string(::getpid())));
}

/// Stops servers and removes directories that killed test programs left behind.
void sweep(const fs::path& parent) {
  std::error_code none_there;
  for (const auto& entry : fs::directory_iterator{parent, none_there}) {
    auto name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    auto pid = std::atoi(name.c_str() + std::string_view{prefix}.size());
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) {
      pg_ctl(entry.path(), {"stop", "-m", "immediate"});
      std::error_code ignored;
      fs::remove_all(entry.path(), ignored);
    }
  }
}

class server {
public:
  static server& instance() {
    static server one;
    return one;
  }

  std::string url(const std::string& database) const {
    auto out = cluster_->url().reveal();
    const std::string own = "dbname=binnacle";
    return out.replace(out.find(own), own.size(), "dbname=" + database);
  }
  void execute(const std::string& sql) const {
    pqxx::connection link{url("postgres")};
    pqxx::nontransaction tx{link};
    tx.exec(sql);
  }
  const fs::path& directory() const { return directory_; }

private:
  server() : directory_{make_path()} {
    for (const auto* parent : parents) sweep(parent);
    cluster_ = must(
        private_cluster::start({.data_dir = directory_.string(), .postgres_bin = bin_directory()}));
    // Its databases last for one test; making them is mostly waiting for the disk.
    for (const auto* line : {"ALTER SYSTEM SET fsync = off",
                             "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()"})
      execute(line);
    execute("CREATE DATABASE template_migrated");
    must(migrate({.url = secret{url("template_migrated")}}));
  }
  ~server() {
    cluster_.reset();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  fs::path directory_;
  std::unique_ptr<private_cluster> cluster_{};
};

std::string fresh_name() {
  static std::atomic<int> count{0};
  return "test_" + std::to_string(++count);
}

} // namespace

test_database::test_database(schema with) : name_{fresh_name()} {
  auto& on = server::instance();
  // Copying the files is the faster way as long as nothing waits for the disk.
  on.execute("CREATE DATABASE " + name_ + " STRATEGY FILE_COPY" +
             (with == schema::migrated ? " TEMPLATE template_migrated" : ""));
  config_.url = secret{on.url(name_)};
}

test_database::~test_database() {
  try {
    server::instance().execute("DROP DATABASE " + name_ + " WITH (FORCE)");
  } catch (const std::exception& e) {
    ADD_FAILURE() << "the database could not be dropped: " << e.what();
  }
}

std::string test_database::query(const std::string& sql) const {
  pqxx::connection link{config_.url.reveal()};
  pqxx::quiet_errorhandler quiet{link};
  pqxx::nontransaction tx{link};
  auto rows = tx.exec(sql);
  if (rows.empty() || rows[0].size() == 0 || rows[0][0].is_null()) return {};
  return rows[0][0].c_str();
}

void test_database::stop_server() {
  auto end = pg_ctl(server::instance().directory(), {"stop", "-m", "immediate"});
  if (end.exit_code != 0) throw std::runtime_error{end.output};
}

void test_database::start_server() {
  const auto& dir = server::instance().directory();
  auto log = (dir / "postgres" / "log" / "start.log").string();
  auto end = pg_ctl(dir, {"start", "-s", "-l", log});
  if (end.exit_code != 0) throw std::runtime_error{end.output};
}

} // namespace binnacle::persistence
