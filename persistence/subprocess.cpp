#include "persistence/subprocess.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace binnacle::persistence {
namespace {

// Everything between fork and exec is safe after a fork of a process with threads: no memory is
// allocated and no lock is taken.

bool become(const unix_user& user) {
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 && ::setgid(user.gid) == 0 &&
         ::setuid(user.uid) == 0;
}

[[noreturn]] void start(const char* directory, const std::optional<unix_user>& as,
                        char* const* argv, char* const* envp, int output) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::setsid();
  ::umask(077);
  auto input = ::open("/dev/null", O_RDONLY);
  bool ready =
      input >= 0 && ::dup2(input, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(output, 2) == 2;
  // The server outlives this call; a socket of ours must not live on in it.
  ::close_range(3, ~0U, 0);
  ready = ready && (!as || become(*as)) && ::chdir(directory) == 0;
  if (ready) ::execve(argv[0], argv, envp);
  const char* why = ::strerrordesc_np(errno);
  if (why) [[maybe_unused]]
    auto written = ::write(2, why, std::strlen(why));
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

std::string read_all(int from) {
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    auto n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

std::optional<unix_user> find_unix_user(const std::string& name) {
  std::array<char, 16'384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found)
    return {};
  unix_user out{.uid = entry.pw_uid, .gid = entry.pw_gid, .home = entry.pw_dir};
  int count = 64;
  out.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(name.c_str(), entry.pw_gid, out.groups.data(), &count) < 0) count = 1;
  out.groups[0] = entry.pw_gid;
  out.groups.resize(static_cast<std::size_t>(count));
  return out;
}

result<program_end> run_program(const program& what) {
  auto argv = what.argv;
  std::vector<std::string> env{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
                               "HOME=" + (what.as ? what.as->home : what.directory)};
  auto argv_pointers = pointers(argv);
  auto env_pointers = pointers(env);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return internal_fault(std::string{"pipe: "} + std::strerror(errno));
  auto child = ::fork();
  if (child == 0)
    start(what.directory.c_str(), what.as, argv_pointers.data(), env_pointers.data(), ends[1]);
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return internal_fault(std::string{"fork: "} + std::strerror(errno));
  }
  program_end out{.output = read_all(ends[0])};
  ::close(ends[0]);
  out.exit_code = wait_for(child);
  return out;
}

bool can_write(const std::optional<unix_user>& as, const std::string& directory) {
  auto child = ::fork();
  if (child == 0) {
    bool ok = (!as || become(*as)) && ::access(directory.c_str(), X_OK | W_OK) == 0;
    ::_exit(ok ? 0 : 1);
  }
  return child > 0 && wait_for(child) == 0;
}

} // namespace binnacle::persistence
