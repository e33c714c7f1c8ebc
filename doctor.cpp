// `binnacle doctor`: what is wrong with this installation, and what to do about it.

#include "actors/admission.hpp"
#include "commands.hpp"
#include "installation.hpp"
#include "integrations/http_client.hpp"
#include "integrations/kubeconfig.hpp"
#include "integrations/opencost.hpp"
#include "integrations/tokens.hpp"
#include "integrations/vault.hpp"
#include "persistence/clusters.hpp"
#include "persistence/migrations.hpp"
#include "persistence/usage.hpp"

#include <filesystem>
#include <iostream>

namespace binnacle::commands {
namespace {

/// Differences of clocks that tokens and hourly windows still bear.
constexpr seconds tolerable_skew{30};

class findings {
public:
  void good(const std::string& what) { std::cout << "ok     " << what << "\n"; }
  void bad(const std::string& what, const std::string& remedy) {
    std::cout << "FAULT  " << what << "\n       -> " << remedy << "\n";
    ++faults_;
  }
  void note(const std::string& what) { std::cout << "note   " << what << "\n"; }
  int faults() const { return faults_; }

private:
  int faults_ = 0;
};

std::string explain(const fault& f) {
  return std::string{f.message()} + (f.detail.empty() ? "" : " (" + f.detail + ")");
}

void check_configuration(const settings& config, const std::string& file, findings& out) {
  out.good("configuration is valid" + (file.empty() ? std::string{} : ": " + file));
  if (config.rate_limit_scale != 1)
    out.bad("every rate limit is multiplied by " + std::to_string(config.rate_limit_scale),
            "unset BINNACLE_RATE_LIMIT_SCALE outside load tests");
  if (config.cron_secret.empty())
    out.note("no CRON_SECRET: the cron routes answer 401 (the timers inside do not need them)");
  if (!config.http.listen.starts_with("127.") && !is_secure({}, config))
    out.bad("listens on " + config.http.listen + " and cookies do not carry Secure",
            "put TLS in front and set BINNACLE_IDENTITY_SECURE_COOKIES=true");
}

void check_keys(const settings& config, findings& out) {
  namespace fs = std::filesystem;
  auto secrets = fs::path{config.data_dir} / "secrets";
  std::error_code error;
  auto mode = fs::status(secrets, error).permissions();
  auto others = fs::perms::group_all | fs::perms::others_all;
  if (!error && (mode & others) != fs::perms::none)
    out.bad("others may read " + secrets.string(), "chmod 700 " + secrets.string());
  else
    out.good("secrets are readable by their owner only");
}

void check_database_clock(persistence::database& db, findings& out) {
  time_point theirs{};
  auto before = system_clock_source().now();
  auto ran = db.run(persistence::access::read, [&](persistence::transaction& tx) -> result<done> {
    auto now = persistence::database_now(tx);
    if (!now) return now.error();
    theirs = *now;
    return done{};
  });
  if (!ran) return out.bad("database: " + explain(ran.error()), "see its log; check DATABASE_URL");
  auto skew = std::chrono::duration_cast<seconds>(theirs - before);
  if (skew > tolerable_skew || skew < -tolerable_skew)
    out.bad("the database's clock differs by " + std::to_string(skew.count()) + " s",
            "synchronise both machines with NTP");
  else
    out.good("database answers, its clock agrees");
}

void check_schema(const persistence::database_config& config, findings& out) {
  auto state = persistence::inspect_schema(config);
  if (!state) return out.bad("schema: " + explain(state.error()), "check the database first");
  for (auto& problem : state->problems)
    out.bad("schema: " + problem, "run the newest binary on this database");
  if (!state->problems.empty()) return;
  if (!state->current())
    out.bad("schema is at " + std::to_string(state->applied) + ", this binary has " +
                std::to_string(state->newest),
            "run: binnacle migrate");
  else
    out.good("schema is up to date (" + std::to_string(state->applied) + ")");
}

void check_cluster(const persistence::cluster& c, const integrations::vault& vault,
                   const settings& config, findings& out) {
  auto label = "cluster " + c.name;
  if (c.status != "active") return out.note(label + " is " + c.status);
  if (c.kubeconfig_sealed.empty())
    return out.bad(label + " has no kubeconfig",
                   "POST /api/admin/clusters/update-kubeconfig with clusterId " + c.id.value);
  auto kubeconfig = vault.unseal(c.kubeconfig_sealed, "kubeconfig:" + c.id.value);
  if (!kubeconfig)
    return out.bad(label + ": " + explain(kubeconfig.error()),
                   "restore the encryption key, or upload the kubeconfig again");
  auto access = integrations::parse_kubeconfig(kubeconfig->reveal());
  if (!access) return out.bad(label + ": " + explain(access.error()), "upload it again, mended");
  auto now = start_of_hour(system_clock_source().now());
  integrations::http_client client;
  auto call = integrations::allocation_call(
      *access, now - hours{1}, now,
      std::min<milliseconds>(config.collector.upstream_timeout, seconds{10}));
  auto answer = client.send(call);
  if (!answer)
    return out.bad(label + ": " + explain(answer.error()), "check server, CA and network");
  auto read = integrations::read_allocations(*answer);
  if (!read) return out.bad(label + ": " + explain(read.error()), "check OpenCost in that cluster");
  out.good(label + " answers with " + std::to_string(read->rows.size()) + " namespaces");
}

void check_clusters(persistence::database& db, const settings& config, findings& out) {
  auto vault =
      integrations::vault::open(config.encryption_key, config.data_dir + "/secrets/vault-key");
  if (!vault)
    return out.bad(explain(vault.error()), "set BINNACLE_ENCRYPTION_KEY or mend the file");
  std::vector<persistence::cluster> clusters;
  auto ran = db.run(persistence::access::read, [&](persistence::transaction& tx) -> result<done> {
    auto found = persistence::list_clusters(tx);
    if (!found) return found.error();
    clusters = std::move(*found);
    return done{};
  });
  if (!ran) return; // said already
  if (clusters.empty()) out.note("no clusters yet: POST /api/admin/clusters adds one");
  for (auto& c : clusters) check_cluster(c, **vault, config, out);
}

void check_timers(persistence::database& db, findings& out) {
  auto now = system_clock_source().now();
  auto ran = db.run(persistence::access::read, [&](persistence::transaction& tx) -> result<done> {
    auto timers = persistence::list_timers(tx);
    if (!timers) return timers.error();
    for (auto& t : *timers) {
      if (t.next_due && now - *t.next_due > hours{2})
        out.bad("timer " + t.name + " was due at " + format_iso_s(*t.next_due),
                "is the service running? its log says why the timer does not");
      else
        out.good("timer " + t.name + " is on time");
    }
    return done{};
  });
  if (!ran) out.note("timers: " + explain(ran.error()));
}

} // namespace

int doctor(settings config, const std::string& config_file) {
  findings out;
  check_configuration(config, config_file, out);
  auto installed = installation::open(config);
  if (!installed) {
    out.bad(explain(installed.error()), "the service cannot start until this is mended");
    return failed;
  }
  out.good((*installed)->summary());
  check_keys(config, out);
  persistence::database db{(*installed)->database()};
  check_database_clock(db, out);
  check_schema((*installed)->database(), out);
  check_clusters(db, config, out);
  check_timers(db, out);
  std::cout << (out.faults() == 0 ? "No faults found."
                                  : std::to_string(out.faults()) + " fault(s).")
            << "\n";
  return out.faults() == 0 ? ok : failed;
}

} // namespace binnacle::commands
