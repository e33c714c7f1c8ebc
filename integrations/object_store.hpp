/// Objects: bytes under a name in a bucket, with a content type. Two stores behind one interface, a
/// directory and Cloudflare R2; names are written once and never get other bytes, which is what
/// lets everybody cache them.
///
/// All calls block and may be made from several threads at once; none after its deadline.
#pragma once

#include "config/base/errors.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace binnacle::integrations {

/// An object as it was found: an open file, which stays readable when the object is removed, or
/// its bytes.
class object {
public:
  object(std::string content_type, std::string etag, std::string bytes)
      : content_type_{std::move(content_type)}, etag_{std::move(etag)}, size_{bytes.size()},
        bytes_{std::move(bytes)} {}
  /// Takes the descriptor.
  object(std::string content_type, std::string etag, int file, std::uint64_t size)
      : content_type_{std::move(content_type)}, etag_{std::move(etag)}, size_{size}, file_{file} {}
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  ~object();

  const std::string& content_type() const { return content_type_; }
  const std::string& etag() const { return etag_; } // with its quotes
  std::uint64_t size() const { return size_; }
  int file() const { return file_; } // -1: it is not a file
  /// Of an object that is not a file; a part that reaches beyond it is cut.
  std::string_view text(std::uint64_t begin, std::uint64_t size) const {
    return begin > bytes_.size() ? std::string_view{}
                                 : std::string_view{bytes_}.substr(begin, size);
  }

private:
  std::string content_type_;
  std::string etag_;
  std::uint64_t size_ = 0;
  int file_ = -1;
  std::string bytes_{};
};

struct object_name {
  std::string bucket{};
  std::string key{}; // of unreserved characters (RFC 3986) and "/"

  bool operator==(const object_name&) const = default;
};
/// Whether every character of the key is unreserved or "/", no segment is empty or begins with a
/// dot, and it has at most 512 bytes: what R2 is asked is signed as it stands, and a directory must
/// not be left.
bool is_object_key(std::string_view key);

class object_store {
public:
  using instant = std::chrono::steady_clock::time_point;

  object_store() = default;
  object_store(const object_store&) = delete;
  object_store& operator=(const object_store&) = delete;
  virtual ~object_store() = default;

  /// Once it returns, the object survives a crash. upstream_failed: it may be there or not.
  virtual result<done> put(const object_name&, std::string_view bytes,
                           const std::string& content_type, instant deadline) = 0;
  /// Null when there is none.
  virtual result<std::shared_ptr<const object>> find(const object_name&, instant deadline) = 0;
  /// No matter whether there is one.
  virtual result<done> remove(const object_name&, instant deadline) = 0;
  /// Ends what is under way, and refuses what comes later: the service stops.
  virtual void cancel() {}
};

/// Objects as files `root/bucket/key`. A file that somebody else has put there is served too; its
/// type is then that of its extension. Content type and ETag of what `put` has written are kept in
/// `root/bucket/.about/key`; they count as long as the file has the size and time noted there.
std::unique_ptr<object_store> open_directory_store(std::string root);

} // namespace binnacle::integrations
