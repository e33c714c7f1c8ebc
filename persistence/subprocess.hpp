/// Runs another program to its end, if need be as another user.
#pragma once

#include "config/base/errors.hpp"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace binnacle::persistence {

/// Who a program runs as.
struct unix_user {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups{};
  std::string home{};
};

/// The user of that name, if there is one.
std::optional<unix_user> find_unix_user(const std::string& name);

struct program {
  std::vector<std::string> argv{}; // the first is the full path
  std::optional<unix_user> as{};   // empty: the caller; else the caller must be root
  std::string directory = "/";     // where it starts
};

struct program_end {
  int exit_code = 0; // 127: could not be started; 128 + n: killed by signal n
  std::string output{};
};

/// Waits for it and collects both its output streams. It gets a fixed environment, no open file of
/// ours, a session of its own (Ctrl-C at our terminal does not reach it) and no blocked signal.
result<program_end> run_program(const program& what);

/// Whether that user can enter `directory` and write there.
bool can_write(const std::optional<unix_user>& as, const std::string& directory);

} // namespace binnacle::persistence
