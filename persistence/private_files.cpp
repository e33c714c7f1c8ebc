#include "persistence/private_files.hpp"

#include "config/base/log.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace binnacle::persistence {
namespace {

namespace fs = std::filesystem;

// sun_path has 108 bytes with its terminator; the socket's name is /.s.PGSQL.5432.
constexpr std::size_t longest_socket_directory = 107 - 14;

fault cannot(const std::string& what, const fs::path& path) {
  return {errc::unavailable, "Cannot " + what + " " + path.string() + ": " + last_error(), {}, {}};
}

bool write_all(int to, std::string_view text) {
  while (!text.empty()) {
    auto n = ::write(to, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(to) == 0;
}

void sync_directory(const fs::path& path) {
  auto fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14'695'981'039'346'656'037U; // FNV-1a; a name, not a secret
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

} // namespace

std::string last_error() { return std::strerror(errno); }

std::string random_hex(std::size_t bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  while (out.size() < bytes * 2) {
    unsigned char byte = 0;
    if (::getrandom(&byte, 1, 0) != 1) continue; // interrupted
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

std::optional<std::string> read_file(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) return {};
  // Not by iterators over the buffer: of a file in /proc whose process has just gone they throw.
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

result<done> write_file(const fs::path& file, const std::string& text, mode_t mode,
                        const std::optional<unix_user>& owner) {
  auto draft = file;
  draft += ".new";
  ::unlink(draft.c_str());
  auto fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return cannot("write", draft);
  bool written = write_all(fd, text) && (!owner || ::fchown(fd, owner->uid, owner->gid) == 0);
  ::close(fd);
  if (!written || ::rename(draft.c_str(), file.c_str()) != 0) return cannot("write", file);
  sync_directory(file.parent_path());
  return done{};
}

result<done> make_directories_above(const fs::path& path) {
  auto above = path.parent_path();
  if (above == path || fs::exists(above)) return done{};
  if (auto made = make_directories_above(above); !made) return made;
  if (::mkdir(above.c_str(), 0755) != 0 && errno != EEXIST) return cannot("make", above);
  // Whatever the umask says: the unprivileged server must get through.
  if (::geteuid() == 0 && ::chmod(above.c_str(), 0755) != 0) return cannot("open", above);
  return done{};
}

result<done> make_directory(const fs::path& path, mode_t mode,
                            const std::optional<unix_user>& owner) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return cannot("make", path);
  if (::chmod(path.c_str(), mode) != 0) return cannot("set the mode of", path);
  if (owner && ::chown(path.c_str(), owner->uid, owner->gid) != 0)
    return cannot("change the owner of", path);
  return done{};
}

result<fs::path> socket_directory(const fs::path& wanted, const std::optional<unix_user>& owner) {
  if (wanted.string().size() <= longest_socket_directory) {
    if (auto made = make_directory(wanted, 0700, owner); !made) return made.error();
    return wanted;
  }
  auto uid = owner ? owner->uid : ::geteuid();
  fs::path other = "/tmp/binnacle-" + std::to_string(uid) + "-" + hash_of(wanted);
  if (::mkdir(other.c_str(), 0700) == 0) {
    if (owner && ::lchown(other.c_str(), owner->uid, owner->gid) != 0)
      return cannot("change the owner of", other);
  } else if (errno != EEXIST) {
    return cannot("make", other);
  }
  // Everybody can write to /tmp: what stands there may be somebody else's trap.
  struct stat found {};
  if (::lstat(other.c_str(), &found) != 0) return cannot("look at", other);
  if (!S_ISDIR(found.st_mode) || found.st_uid != uid || (found.st_mode & 077) != 0)
    return fault{errc::unavailable, other.string() + " is not a private directory of ours", {}, {}};
  log::info(
      "postgres_socket_elsewhere",
      {{"dir", other.string()}, {"why", "the data directory's path is too long for a socket"}});
  return other;
}

} // namespace binnacle::persistence
