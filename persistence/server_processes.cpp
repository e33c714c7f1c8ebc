#include "persistence/server_processes.hpp"

#include "persistence/private_files.hpp"

#include <charconv>
#include <csignal>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace binnacle::persistence {
namespace {

namespace fs = std::filesystem;

struct process_facts {
  std::string name{};
  char state = 'X';
  pid_t parent = 0;
  std::string started{};
};

fs::path entry_of(pid_t id) { return fs::path{"/proc"} / std::to_string(id); }

std::optional<process_facts> facts_of(pid_t id) {
  auto text = read_file(entry_of(id) / "stat").value_or("");
  // Field 2 is the name in parentheses, which may itself contain blanks and parentheses.
  auto name_begin = text.find('('), name_end = text.rfind(')');
  if (name_begin == text.npos || name_end == text.npos) return {};
  std::istringstream rest{text.substr(name_end + 1)};
  process_facts out;
  out.name = text.substr(name_begin + 1, name_end - name_begin - 1);
  rest >> out.state >> out.parent;
  constexpr int fields_before_start = 17; // of those after `parent`, which is field 4
  for (int i = 0; i < fields_before_start; ++i) rest >> out.started;
  rest >> out.started; // field 22
  if (!rest) return {};
  return out;
}

bool has_ended(char state) { return state == 'Z' || state == 'X'; }

bool is_at_home_in(pid_t id, const fs::path& cluster) {
  std::error_code error;
  return fs::equivalent(entry_of(id) / "cwd", cluster, error);
}

/// A postmaster shows its command line, its children "postgres: <what they do>".
bool is_server_child(pid_t id) {
  return read_file(entry_of(id) / "cmdline").value_or("").starts_with("postgres: ");
}

} // namespace

bool process::is_alive() const {
  auto now = facts_of(id);
  return now && now->started == started && !has_ended(now->state);
}

std::optional<process> find_postmaster(const fs::path& cluster) {
  auto file = read_file(cluster / "postmaster.pid");
  if (!file) return {};
  auto id = std::atoi(file->c_str());
  auto facts = id > 0 ? facts_of(id) : std::nullopt;
  if (!facts || has_ended(facts->state) || !is_at_home_in(id, cluster)) return {};
  return process{id, std::move(facts->started)};
}

int kill_orphans(const fs::path& cluster) {
  int killed = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{"/proc", error}) {
    auto name = entry.path().filename().string();
    pid_t id = 0;
    auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (bad != std::errc{} || end != name.data() + name.size()) continue;
    if (!is_at_home_in(id, cluster) || !is_server_child(id)) continue;
    auto facts = facts_of(id);
    if (!facts || is_at_home_in(facts->parent, cluster)) continue;
    if (::kill(id, SIGKILL) == 0) ++killed;
  }
  return killed;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

void bury_dead_servers() {
  for (;;) {
    siginfo_t dead{};
    if (::waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0) return;
    auto facts = facts_of(dead.si_pid);
    if (!facts || facts->name != "postgres") return; // somebody waits for it
    ::waitpid(dead.si_pid, nullptr, WNOHANG);
  }
}

} // namespace binnacle::persistence
