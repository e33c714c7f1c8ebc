/// The private PostgreSQL cluster of an embedded installation: made in the data directory at the
/// first start, started and stopped with the service, reachable through a Unix socket only.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"

#include <memory>
#include <string>

namespace binnacle::persistence {

struct private_cluster_config {
  std::string data_dir{};     // the service's; the cluster is in data_dir/postgres
  std::string postgres_bin{}; // directory of initdb, pg_ctl and postgres
};

/// Started by root, the programs run as the unprivileged user `postgres` (which must exist);
/// otherwise as the caller. initdb with checksums, UTF-8, scram password authentication; no TCP.
/// Layout: data_dir/postgres/{cluster,run,log}, password in data_dir/secrets/postgres-password.
/// A server that still runs from a crash is adopted; a stale pid file is handled by pg_ctl.
/// A server that ends while this lives is started again by a thread of its own, with pauses of
/// 100 ms to 10 s between attempts that fail; one that was stopped in good order gets a second to
/// be started by whoever has stopped it. Counted in binnacle_postgres_restarts_total. Another
/// process's lock on data_dir is a conflict naming its pid. A cluster of another major version is
/// refused with a message that names both versions and says what to do.
class private_cluster {
public:
  /// Makes it if need be, starts it and waits until it answers.
  static result<std::unique_ptr<private_cluster>> start(private_cluster_config);
  /// The connection string of the cluster that another process has started there and keeps;
  /// unavailable when none does.
  static result<secret> url_of_running(private_cluster_config);
  /// Stops the server (fast mode) and waits for it.
  ~private_cluster();

  /// The connection string of its `binnacle` database.
  secret url() const;
  int major_version() const;
  bool was_created() const; // by this start

private:
  private_cluster();
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

} // namespace binnacle::persistence
