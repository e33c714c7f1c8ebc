#include "integrations/key_file.hpp"

#include "config/base/log.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace binnacle::integrations {
namespace {

constexpr std::size_t largest = 64 * 1024;

class descriptor {
public:
  explicit descriptor(int fd) : fd_{fd} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }

private:
  int fd_;
};

fault system_fault(const std::string& what, const std::string& path) {
  return internal_fault(what + " " + path + ": " + std::strerror(errno));
}

/// Nothing when there is no such file.
result<std::optional<secret>> read_file(const std::string& path) {
  descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) {
    if (errno == ENOENT) return std::optional<secret>{};
    return system_fault("cannot open key file", path);
  }
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return system_fault("cannot read key file", path);
  if (!S_ISREG(about.st_mode) || about.st_size == 0 ||
      static_cast<std::size_t>(about.st_size) > largest)
    return internal_fault("key file " + path + " is empty, too large or no regular file");
  // Mounted secrets are often 0444, so this is no reason to refuse the start.
  if ((about.st_mode & 077) != 0) log::warn("key_file_open_to_others", {{"path", path}});
  std::string text(static_cast<std::size_t>(about.st_size), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    auto n = ::read(file.get(), text.data() + have, text.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_fault("cannot read key file", path);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  secret out{std::move(text)};
  if (have != out.reveal().size()) return internal_fault("key file " + path + " was cut short");
  return std::optional{std::move(out)};
}

bool write_all(int fd, const std::string& text) {
  std::size_t done_so_far = 0;
  while (done_so_far < text.size()) {
    auto n = ::write(fd, text.data() + done_so_far, text.size() - done_so_far);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done_so_far += static_cast<std::size_t>(n);
  }
  return true;
}

bool make_folders(const std::filesystem::path& folder) {
  if (folder.empty() || std::filesystem::is_directory(folder)) return true;
  return make_folders(folder.parent_path()) &&
         (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST);
}

/// Writes a temporary file and gives it its name with link(2), which, unlike rename, never
/// replaces a key that another process has written meanwhile.
result<done> write_file(const std::string& path, const secret& content) {
  auto folder = std::filesystem::path{path}.parent_path();
  if (!make_folders(folder)) return system_fault("cannot make the folder of key file", path);
  auto temporary = path + "." + std::to_string(std::random_device{}()) + ".tmp";
  {
    descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!file) return system_fault("cannot make key file", path);
    if (!write_all(file.get(), content.reveal()) || ::fsync(file.get()) != 0) {
      auto failure = system_fault("cannot write key file", path);
      ::unlink(temporary.c_str());
      return failure;
    }
  }
  auto linked = ::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST;
  auto failure = system_fault("cannot name key file", path);
  ::unlink(temporary.c_str());
  if (!linked) return failure;
  descriptor parent{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY)};
  if (!parent || ::fsync(parent.get()) != 0) return system_fault("cannot keep key file", path);
  return done{};
}

} // namespace

result<secret> read_or_make_key_file(const std::string& path, const std::function<secret()>& make) {
  if (path.empty()) return internal_fault("no key file is named");
  auto present = read_file(path);
  if (!present) return present.error();
  if (*present) return **present;
  if (auto written = write_file(path, make()); !written) return written.error();
  auto again = read_file(path);
  if (!again) return again.error();
  if (!*again) return internal_fault("key file " + path + " vanished after it was written");
  return **again;
}

} // namespace binnacle::integrations
