#include "persistence/private_cluster.hpp"

#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/private_files.hpp"
#include "persistence/server_processes.hpp"
#include "persistence/sql.hpp"
#include "persistence/subprocess.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace binnacle::persistence {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto start_patience = 60s;
// A start fails while the rest of a killed server goes away; that is soon over.
constexpr auto failing_patience = 10s;
constexpr std::chrono::milliseconds retry_interval = 100ms;
constexpr std::chrono::milliseconds longest_retry_interval = 10s;
constexpr auto watch_interval = 200ms;
// Whoever has stopped the server in good order may be about to start it: `pg_ctl restart`.
constexpr auto after_you = 1s;

fault cannot(std::string text) { return {errc::unavailable, std::move(text), {}, {}}; }

/// "postgres (PostgreSQL) 15.18 (Debian …)" -> 15; 0 when it is something else.
int major_of(const std::string& version) {
  auto at = version.find("(PostgreSQL) ");
  if (at == version.npos) return 0;
  return std::atoi(version.c_str() + at + 13);
}

} // namespace

struct private_cluster::implementation {
  private_cluster_config config{};
  fs::path root{}; // data_dir/postgres
  fs::path run{};  // the socket's directory
  std::optional<unix_user> as{};
  int lock = -1;
  int major = 0;
  bool created = false;
  bool started = false; // or adopted: ours to stop
  secret password{};
  process postmaster{};
  std::jthread watcher{}; // uses all of the above

  ~implementation() {
    watcher = {}; // an attempt that is being made comes to its end
    if (started && find_postmaster(data())) {
      auto stopped = pg_ctl({"stop", "-m", "fast", "-w", "-t", "60"});
      if (!stopped || stopped->exit_code != 0)
        log::error("postgres_not_stopped", {{"output", stopped ? stopped->output : ""}});
    }
    if (lock >= 0) ::close(lock);
  }

  fs::path data() const { return root / "cluster"; }
  fs::path logs() const { return root / "log"; }
  fs::path tool(const char* name) const { return fs::path{config.postgres_bin} / name; }

  result<program_end> execute(std::vector<std::string> argv) const {
    return run_program({.argv = std::move(argv), .as = as, .directory = root});
  }
  result<program_end> pg_ctl(std::vector<std::string> args) const {
    args.insert(args.begin(), tool("pg_ctl"));
    args.insert(args.end(), {"-D", data()});
    return execute(std::move(args));
  }

  secret url_of(const std::string& name) const {
    // The port names the socket's file; without it PGPORT would.
    return secret{"user=binnacle dbname=" + name + " port=5432 host='" + escaped(run) +
                  "' password=" + password.reveal()};
  }
  static std::string escaped(const std::string& path) {
    std::string out;
    for (char c : path) {
      if (c == '\'' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    return out;
  }

  result<done> take_lock() {
    auto file = fs::path{config.data_dir} / "lock";
    lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0) return cannot("Cannot open " + file.string() + ": " + last_error());
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
      auto holder = read_file(file).value_or("");
      return fault{errc::conflict,
                   "Another binnacle (process " + holder + ") uses the data directory " +
                       config.data_dir,
                   {},
                   {}};
    }
    auto pid = std::to_string(::getpid());
    if (::ftruncate(lock, 0) != 0 ||
        ::pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
      return cannot("Cannot write " + file.string() + ": " + last_error());
    return done{};
  }

  result<done> find_programs() {
    for (const auto* name : {"initdb", "pg_ctl", "postgres"}) {
      if (::access(tool(name).c_str(), X_OK) == 0) continue;
      return cannot("There is no program " + tool(name).string() +
                    ". Install PostgreSQL (on Debian 12: apt-get install postgresql-15), set "
                    "database.postgres_bin to the directory of its programs, or set DATABASE_URL "
                    "to use a server that runs elsewhere.");
    }
    auto version = run_program({.argv = {tool("postgres"), "--version"}});
    if (!version) return version.error();
    major = major_of(version->output);
    if (major == 0)
      return cannot(tool("postgres").string() + " --version printed: " + version->output);
    return done{};
  }

  result<done> choose_user() {
    if (::geteuid() != 0) return done{};
    as = find_unix_user("postgres");
    if (as) return done{};
    return cannot("Started by root, PostgreSQL must run as the user postgres, and there is none. "
                  "Install the Debian package postgresql-common, or start the service as an "
                  "ordinary user.");
  }

  result<done> make_directories() {
    for (const auto& dir : {root, logs()})
      if (auto made = make_directory(dir, 0700, as); !made) return made;
    if (!can_write(as, root))
      return cannot("PostgreSQL runs as the user postgres, who cannot reach " + root.string() +
                    ": a directory above it is closed to others. Set BINNACLE_DATA_DIR to a place "
                    "such as /var/lib/binnacle, or start the service as an ordinary user.");
    auto picked = socket_directory(root / "run", as);
    if (!picked) return picked.error();
    run = *picked;
    return done{};
  }

  result<done> read_password() {
    auto dir = fs::path{config.data_dir} / "secrets";
    auto file = dir / "postgres-password";
    if (auto made = make_directory(dir, 0700, {}); !made) return made;
    if (auto stored = read_file(file); stored && !stored->empty()) {
      password = secret{*stored};
      return done{};
    }
    if (fs::exists(data()))
      return cannot("The password of the private cluster is missing: " + file.string());
    password = secret{random_hex(32)};
    return write_file(file, password.reveal(), 0600, {});
  }

  result<done> check_version() const {
    auto theirs = read_file(data() / "PG_VERSION");
    if (!theirs)
      return cannot(data().string() + " is not a PostgreSQL cluster: it has no PG_VERSION");
    auto found = std::atoi(theirs->c_str());
    if (found == major) return done{};
    auto was = std::to_string(found);
    return fault{errc::unprocessable,
                 "The private cluster in " + data().string() + " was made by PostgreSQL " + was +
                     ", but " + config.postgres_bin + " is PostgreSQL " + std::to_string(major) +
                     ". Set database.postgres_bin to /usr/lib/postgresql/" + was +
                     "/bin, or move the data with pg_upgrade or pg_dump.",
                 {},
                 {}};
  }

  /// Makes the cluster beside its place and moves it there when it is whole, so that a crash in
  /// the middle leaves nothing that looks like one.
  result<done> create() {
    auto draft = root / "cluster.new";
    auto word = root / "pwfile";
    std::error_code ignored;
    fs::remove_all(draft, ignored);
    if (auto wrote = write_file(word, password.reveal(), 0600, as); !wrote) return wrote;
    auto made = execute({tool("initdb"), "-D", draft, "-U", "binnacle", "--pwfile=" + word.string(),
                         "--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8",
                         "--locale=C.UTF-8", "--no-instructions"});
    fs::remove(word, ignored);
    if (!made) return made.error();
    if (made->exit_code != 0) return cannot("initdb failed: " + made->output);
    fs::rename(draft, data());
    created = true;
    return done{};
  }

  /// Written at every start, so that a newer binary's settings apply. An operator's own settings
  /// go into local.conf beside it.
  result<done> write_configuration() const {
    auto quoted = [](const std::string& text) {
      std::string out = "'";
      for (char c : text) {
        if (c == '\'' || c == '\\') out.push_back(c);
        out.push_back(c);
      }
      return out + "'";
    };
    // A list of directories, separated by commas unless quoted.
    auto directories = "\"" + run.string() + "\"";
    auto settings = "# Written by binnacle at every start; put your own settings into local.conf.\n"
                    "listen_addresses = ''\n"
                    "port = 5432\n"
                    "unix_socket_directories = " +
                    quoted(directories) +
                    "\n"
                    "unix_socket_permissions = 0700\n"
                    "password_encryption = scram-sha-256\n"
                    "max_connections = 100\n"
                    "fsync = on\n"
                    "full_page_writes = on\n"
                    "synchronous_commit = on\n"
                    "jit = off\n"
                    "timezone = 'UTC'\n"
                    "log_timezone = 'UTC'\n"
                    "logging_collector = on\n"
                    "log_directory = " +
                    quoted(logs().string()) +
                    "\n"
                    "log_filename = 'postgresql-%a.log'\n"
                    "log_rotation_age = 1d\n"
                    "log_truncate_on_rotation = on\n"
                    "include_if_exists 'local.conf'\n";
    if (auto wrote = write_file(data() / "postgresql.conf", settings, 0600, as); !wrote)
      return wrote;
    return write_file(data() / "pg_hba.conf", "local all all scram-sha-256\n", 0600, as);
  }

  /// One attempt to start it, or to adopt one that runs still. Without a value it does not answer,
  /// and `last` says why; a fault is for good.
  result<std::optional<done>> attempt(std::string& last) {
    bury_dead_servers();
    if (find_postmaster(data())) {
      if (!std::exchange(started, true)) log::info("postgres_adopted", {{"dir", data().string()}});
    } else {
      if (auto wrote = write_configuration(); !wrote) return wrote.error();
      auto up = pg_ctl({"start", "-s", "-w", "-t", "60", "-l", logs() / "start.log"});
      if (!up) return up.error();
      last = up->output;
      if (up->exit_code != 0) return std::optional<done>{};
      started = true;
    }
    try {
      sql_connection{{.url = url_of("postgres")}};
    } catch (const pqxx::broken_connection& e) {
      last = first_line(e); // stopping, or not ready yet
      if (last.find("authentication failed") == last.npos) return std::optional<done>{};
      return cannot("The private PostgreSQL does not accept the password in " + config.data_dir +
                    "/secrets/postgres-password: " + last);
    }
    postmaster = find_postmaster(data()).value_or(process{});
    return std::optional{done{}};
  }

  /// What is left of a killed server keeps a new one from starting.
  void clear_the_way() const {
    if (find_postmaster(data())) return;
    if (auto killed = kill_orphans(data()); killed > 0)
      log::warn("postgres_orphans_killed", {{"processes", killed}});
  }

  /// Waits until it answers.
  result<done> bring_up() {
    auto began = std::chrono::steady_clock::now();
    std::string last;
    do {
      auto up = attempt(last);
      if (!up) return up.error();
      if (*up) return done{};
      std::this_thread::sleep_for(retry_interval);
      clear_the_way();
    } while (std::chrono::steady_clock::now() - began <
             (started ? start_patience : failing_patience));
    return cannot("The private PostgreSQL does not start: " + last + "\nIts own words are in " +
                  logs().string());
  }

  // -- while the service runs ---------------------------------------------------------------------

  /// False when the watch is over.
  static bool rest(const std::stop_token& over, std::chrono::milliseconds time) {
    std::mutex guard;
    std::condition_variable_any never;
    std::unique_lock lock{guard};
    never.wait_for(lock, over, time, [] { return false; });
    return !over.stop_requested();
  }

  void watch(const std::stop_token& over) {
    auto& restarts = metrics::counter("binnacle_postgres_restarts_total",
                                      "Times the private PostgreSQL came back after it had ended");
    while (rest(over, watch_interval)) {
      bury_dead_servers();
      if (postmaster.is_alive()) continue;
      std::error_code ignored;
      auto in_good_order = !fs::exists(data() / "postmaster.pid", ignored);
      log::error("postgres_ended", {{"pid", postmaster.id}, {"in_good_order", in_good_order}});
      if (in_good_order && !rest(over, after_you)) return;
      bring_back(over);
      if (over.stop_requested()) return;
      restarts.Increment();
      log::info("postgres_is_back", {{"pid", postmaster.id}});
    }
  }

  void bring_back(const std::stop_token& over) {
    auto pause = retry_interval;
    for (;;) {
      std::string why;
      try {
        auto up = attempt(why);
        if (up && *up) return;
        if (!up) why = up.error().message();
      } catch (const std::exception& e) {
        why = first_line(e);
      }
      log::error("postgres_not_started", {{"why", why}, {"pause_ms", pause.count()}});
      if (!rest(over, pause)) return;
      pause = std::min(2 * pause, longest_retry_interval);
      clear_the_way();
    }
  }

  result<done> create_database() const {
    try {
      sql_connection connection{{.url = url_of("postgres")}};
      sql_transaction tx{connection, access::read};
      auto found = tx.run_script("SELECT FROM pg_database WHERE datname = 'binnacle'");
      if (found.empty()) tx.run_script("CREATE DATABASE binnacle");
      return done{};
    } catch (const std::exception& e) {
      return cannot("The private PostgreSQL has no database: " + first_line(e));
    }
  }

  result<done> start() {
    std::error_code error;
    auto absolute = fs::absolute(config.data_dir, error).lexically_normal();
    if (error) return cannot("Cannot use " + config.data_dir + ": " + error.message());
    config.data_dir = absolute;
    root = absolute / "postgres";
    if (auto made = make_directories_above(root); !made) return made;
    using step = result<done> (implementation::*)();
    for (step next :
         {&implementation::take_lock, &implementation::find_programs, &implementation::choose_user,
          &implementation::make_directories, &implementation::read_password})
      if (auto went = (this->*next)(); !went) return went;
    adopt_orphans();
    if (!fs::exists(data()))
      if (auto made = create(); !made) return made;
    if (auto fits = check_version(); !fits) return fits;
    if (auto up = bring_up(); !up) return up;
    if (auto ready = create_database(); !ready) return ready;
    watcher = std::jthread{[this](const std::stop_token& over) { watch(over); }};
    return done{};
  }
};

private_cluster::private_cluster() : inside_{std::make_unique<implementation>()} {}
private_cluster::~private_cluster() = default;

result<std::unique_ptr<private_cluster>> private_cluster::start(private_cluster_config config) {
  std::unique_ptr<private_cluster> out{new private_cluster};
  out->inside_->config = std::move(config);
  try {
    if (auto up = out->inside_->start(); !up) return up.error();
  } catch (const fs::filesystem_error& e) {
    return cannot(e.what());
  }
  return out;
}

result<secret> private_cluster::url_of_running(private_cluster_config config) {
  implementation there;
  there.config = std::move(config);
  std::error_code error;
  there.config.data_dir = fs::absolute(there.config.data_dir, error).lexically_normal();
  there.root = fs::path{there.config.data_dir} / "postgres";
  if (!fs::exists(there.data(), error)) return cannot("There is no private cluster yet");
  if (auto free = there.take_lock(); free) return cannot("The private cluster does not run");
  for (auto next : {&implementation::choose_user, &implementation::make_directories,
                    &implementation::read_password})
    if (auto went = (there.*next)(); !went) return went.error();
  return there.url_of("binnacle");
}

secret private_cluster::url() const { return inside_->url_of("binnacle"); }
int private_cluster::major_version() const { return inside_->major; }
bool private_cluster::was_created() const { return inside_->created; }

} // namespace binnacle::persistence
