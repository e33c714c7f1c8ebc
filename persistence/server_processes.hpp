/// Private to this folder: the processes of a PostgreSQL cluster that runs on this machine, as
/// /proc shows them (proc(5)).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace binnacle::persistence {

/// One process, never mixed up with a later one of the same id.
struct process {
  pid_t id = 0;
  std::string started{}; // in clock ticks since boot

  /// False for one that has ended, also while nobody has asked for its exit code.
  bool is_alive() const;
};

/// The live server process that `postmaster.pid` in a cluster's directory names. Nothing when there
/// is no such file, or when it is a dead server's.
std::optional<process> find_postmaster(const std::filesystem::path& cluster);

/// Kills the server processes of this cluster whose postmaster is gone. They end by themselves when
/// they next wait for something; until then they hold the shared memory, and no new postmaster
/// starts. A new one throws that memory away and replays the log, so what is committed stays.
/// Returns how many there were.
int kill_orphans(const std::filesystem::path& cluster);

/// From now on a server that this process starts is its child, though pg_ctl has left it alone.
/// An ended process keeps its id until its parent asks for the exit code, and PostgreSQL takes
/// whatever has the id for a live server; not every init asks at once.
void adopt_orphans();
/// Asks for the exit codes of server processes that have become our children and ended.
void bury_dead_servers();

} // namespace binnacle::persistence
