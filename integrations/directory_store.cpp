#include "config/base/time.hpp"
#include "integrations/object_store.hpp"
#include "integrations/tokens.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace binnacle::integrations {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_key = 512;
constexpr std::size_t longest_note = 512;
constexpr auto drafts = ".new";
/// Nobody writes a file for that long: who began it has crashed.
constexpr std::chrono::hours abandoned{1};

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

fault failed(std::string_view what, const fs::path& path) {
  return internal_fault(std::string{what} + " " + path.string() + ": " + std::strerror(errno));
}

class descriptor {
public:
  explicit descriptor(int number) : number_{number} {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  explicit operator bool() const { return number_ >= 0; }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

private:
  int number_;
};

/// What is noted beside an object.
struct note {
  std::string stamp{}; // of the file it is about
  std::string etag{};
  std::string content_type{};
};

/// Changes with every file that takes the name's place, and survives a copy that keeps times.
std::string stamp_of(const struct stat& s) {
  return std::to_string(s.st_size) + "-" + std::to_string(s.st_mtim.tv_sec) + "." +
         std::to_string(s.st_mtim.tv_nsec);
}

std::string to_text(const note& n) {
  return n.stamp + "\n" + n.etag + "\n" + n.content_type + "\n";
}

std::optional<note> read_note(const fs::path& path) {
  descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) return {};
  std::array<char, longest_note> buffer;
  auto size = ::read(file.get(), buffer.data(), buffer.size());
  if (size <= 0) return {};
  std::istringstream in{std::string{buffer.data(), static_cast<std::size_t>(size)}};
  note out;
  if (!std::getline(in, out.stamp) || !std::getline(in, out.etag) ||
      !std::getline(in, out.content_type))
    return {};
  return out;
}

std::string type_of_extension(std::string_view key) {
  struct known {
    std::string_view extension;
    std::string_view type;
  };
  static constexpr std::array all{known{".webp", "image/webp"}, known{".png", "image/png"},
                                  known{".jpg", "image/jpeg"},  known{".jpeg", "image/jpeg"},
                                  known{".gif", "image/gif"},   known{".avif", "image/avif"},
                                  known{".mp4", "video/mp4"},   known{".webm", "video/webm"}};
  for (const auto& k : all)
    if (key.ends_with(k.extension)) return std::string{k.type};
  return "application/octet-stream";
}

result<done> sync_directory(const fs::path& path) {
  descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory || ::fsync(directory.get()) != 0) return failed("cannot sync", path);
  return done{};
}

/// Makes what is missing of it, so that it is still there after a crash.
result<done> make_directories(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return done{};
  if (auto above = make_directories(path.parent_path()); !above) return above;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed("cannot make", path);
  return sync_directory(path.parent_path());
}

class directory_store final : public object_store {
public:
  explicit directory_store(std::string root) : root_{fs::absolute(root)} {
    std::error_code error;
    for (fs::directory_iterator bucket{root_, error}, end; !error && bucket != end;
         bucket.increment(error))
      sweep(bucket->path());
  }

  result<done> put(const object_name& name, std::string_view bytes, const std::string& content_type,
                   instant) override {
    if (!is_object_key(name.key)) return internal_fault("no name of an object: " + name.key);
    auto file = path_of(name), about = about_of(name);
    for (const auto& directory : {file.parent_path(), about.parent_path(), unfinished(name.bucket)})
      if (auto made = make_directories(directory); !made) return made;
    auto fresh = temporary(name);
    auto written = write(fresh, bytes);
    if (!written) return written.error();
    note n{*written, "\"" + to_hex(sha256(bytes).substr(0, 16)) + "\"", content_type};
    auto fresh_about = temporary(name);
    auto noted = write(fresh_about, to_text(n));
    // The note first: beside another file than its own it does not count.
    if (noted && ::rename(fresh_about.c_str(), about.c_str()) != 0)
      noted = failed("cannot rename", about);
    if (noted && ::rename(fresh.c_str(), file.c_str()) != 0) noted = failed("cannot rename", file);
    if (!noted) {
      ::unlink(fresh.c_str());
      ::unlink(fresh_about.c_str());
      return noted.error();
    }
    return sync_directory(file.parent_path());
  }

  result<std::shared_ptr<const object>> find(const object_name& name, instant) override {
    std::shared_ptr<const object> none;
    if (!is_object_key(name.key)) return none;
    auto path = path_of(name);
    descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)};
    struct stat is {};
    if (!file) {
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return none;
      return failed("cannot open", path);
    }
    if (::fstat(file.get(), &is) != 0) return failed("cannot examine", path);
    if (!S_ISREG(is.st_mode)) return none;
    auto stamp = stamp_of(is);
    auto n = read_note(about_of(name));
    if (!n || n->stamp != stamp) n = note{stamp, "\"" + stamp + "\"", type_of_extension(name.key)};
    object_facts facts{std::move(n->content_type), std::move(n->etag),
                       static_cast<std::uint64_t>(is.st_size),
                       format_http(from_unix(is.st_mtim.tv_sec))};
    return std::shared_ptr<const object>{
        std::make_shared<object>(std::move(facts), file.release())};
  }

  result<done> remove(const object_name& name, instant) override {
    if (!is_object_key(name.key)) return done{};
    auto path = path_of(name);
    for (const auto& each : {path, about_of(name)})
      if (::unlink(each.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
        return failed("cannot remove", each);
    sweep(root_ / name.bucket); // an object that is removed may be one that a crash cut off
    return done{};
  }

private:
  fs::path path_of(const object_name& name) const { return root_ / name.bucket / name.key; }
  /// A key's segments do not begin with a dot, so that no key leads here.
  fs::path about_of(const object_name& name) const {
    return root_ / name.bucket / ".about" / name.key;
  }
  fs::path temporary(const object_name& name) {
    return unfinished(name.bucket) /
           (std::to_string(::getpid()) + "-" + std::to_string(++temporaries_));
  }
  /// Where files are written until they are whole. No key leads here, either.
  fs::path unfinished(const std::string& bucket) const { return root_ / bucket / drafts; }

  /// Removes what crashes have left unfinished; others may do so at the same time.
  static void sweep(const fs::path& bucket) {
    std::error_code error;
    auto before = fs::file_time_type::clock::now() - abandoned;
    for (fs::directory_iterator file{bucket / drafts, error}, end; !error && file != end;
         file.increment(error)) {
      std::error_code gone;
      if (auto written = fs::last_write_time(*file, gone); !gone && written < before)
        fs::remove(*file, gone);
    }
  }

  /// The stamp of the file, which survives a crash under this name.
  static result<std::string> write(const fs::path& path, std::string_view bytes) {
    descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!file) return failed("cannot create", path);
    auto give_up = [&] {
      auto why = failed("cannot write", path);
      ::unlink(path.c_str());
      return why;
    };
    while (!bytes.empty()) {
      auto some = ::write(file.get(), bytes.data(), bytes.size());
      if (some < 0 && errno == EINTR) continue;
      if (some < 0) return give_up();
      bytes.remove_prefix(static_cast<std::size_t>(some));
    }
    struct stat is {};
    if (::fsync(file.get()) != 0 || ::fstat(file.get(), &is) != 0) return give_up();
    return stamp_of(is);
  }

  fs::path root_;
  std::atomic<std::uint64_t> temporaries_{0};
};

} // namespace

object::~object() {
  if (file_ >= 0) ::close(file_);
}

bool is_object_key(std::string_view key) {
  if (key.empty() || key.size() > longest_key) return false;
  auto begins_segment = true;
  for (char c : key) {
    if (c == '/' ? begins_segment : !is_unreserved(c)) return false;
    if (begins_segment && c == '.') return false;
    begins_segment = c == '/';
  }
  return !begins_segment;
}

std::unique_ptr<object_store> open_directory_store(std::string root) {
  return std::make_unique<directory_store>(std::move(root));
}

} // namespace binnacle::integrations
