/// Objects: bytes under a name in a bucket, with a content type. Two stores behind one interface, a
/// directory and Cloudflare R2; names are written once and never get other bytes, which is what
/// lets everybody cache them.
///
/// All calls block and may be made from several threads at once; none after its deadline.
#pragma once

#include "config/base/errors.hpp"
#include "integrations/http_stream.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace binnacle::integrations {

/// What a store says of an object.
struct object_facts {
  std::string content_type{};
  std::string etag{}; // with its quotes
  std::uint64_t size = 0;
  std::string modified{}; // as HTTP says it (RFC 9110 §5.6.7); empty when it is not known
};

/// An object as it was found: an open file, which stays readable when the object is removed, its
/// bytes, or only the facts.
class object {
public:
  /// Larger ones that are no files are never held whole.
  static constexpr std::uint64_t most_in_memory = 1'048'576;

  explicit object(object_facts facts) : facts_{std::move(facts)} {}
  object(object_facts facts, std::string bytes)
      : facts_{std::move(facts)}, bytes_{std::move(bytes)} {
    facts_.size = bytes_.size();
  }
  /// Takes the descriptor.
  object(object_facts facts, int file) : facts_{std::move(facts)}, file_{file} {}
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  ~object();

  const object_facts& facts() const { return facts_; }
  std::uint64_t size() const { return facts_.size; }
  int file() const { return file_; } // -1: it is not a file
  /// Whether its bytes can be had from here.
  bool is_at_hand() const { return file_ >= 0 || bytes_.size() == facts_.size; }
  std::uint64_t bytes_in_memory() const { return bytes_.size(); }
  /// Of an object in memory; a part that reaches beyond it is cut.
  std::string_view text(std::uint64_t begin, std::uint64_t size) const {
    return begin > bytes_.size() ? std::string_view{}
                                 : std::string_view{bytes_}.substr(begin, size);
  }

private:
  object_facts facts_;
  int file_ = -1;
  std::string bytes_{};
};

/// An object whose bytes are at hand, or come out of the stream.
struct opened_object {
  std::shared_ptr<const object> what{};
  std::shared_ptr<http_stream> bytes{};
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
  /// What is known of it without fetching it. Null when there is none.
  virtual result<std::shared_ptr<const object>> find(const object_name&, instant deadline) = 0;
  /// With its bytes. `what` is null when there is none. overloaded: too many are under way.
  virtual result<opened_object> open(const object_name& name, instant deadline) {
    auto found = find(name, deadline);
    if (!found) return found.error();
    return opened_object{std::move(*found), {}};
  }
  /// The bytes [begin, begin + size) of one that was found, and is not at hand. Null when it is not
  /// there any more, or another one is. overloaded: too many are under way.
  virtual result<std::shared_ptr<http_stream>> read(const object_name&, const object_facts&,
                                                    std::uint64_t begin, std::uint64_t size,
                                                    instant deadline) {
    static_cast<void>(begin), static_cast<void>(size), static_cast<void>(deadline);
    return std::shared_ptr<http_stream>{};
  }
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
