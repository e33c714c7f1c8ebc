/// API keys in memory, so that verifying one asks nobody: many threads read here at once.
///
/// What is here is what the database has: whatever commits a change touches `api_keys` or
/// `identity` of the keys' owner, and the notifier forgets that owner's keys before anybody else
/// hears of it. While nobody listens (services::listening), nothing here is to be believed. The
/// node that makes a change forgets by itself before it answers, so a revocation that has been
/// answered is in force there, and elsewhere as soon as PostgreSQL has told it, some milliseconds
/// later.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "config/base/time.hpp"
#include "persistence/api_keys.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace binnacle {

/// A use is noted once in so long; what is noted is the first.
constexpr seconds use_interval{60};

struct known_key {
  explicit known_key(persistence::verifiable_key from);

  const persistence::verifiable_key is;
  /// What a verification tells of it: the members of a JSON object, rendered once, for this is
  /// asked all the time. Without when the secret ends, which depends on the secret.
  const std::string told;
  /// True once per `use_interval`: this use is to be noted. Thread-safe.
  bool use(time_point now) const;

private:
  mutable std::atomic<std::int64_t> used_; // unix seconds of the last use that was noted
};

/// "pk_" and 32 hex digits; "sk_" and 64.
bool is_client_id(std::string_view text);
bool is_client_secret(std::string_view text);

/// 1 to 64 visible ASCII characters without quote and backslash (RFC 6749 §3.3).
bool is_scope(std::string_view text);

struct key_verdict {
  bool valid = false;
  std::optional<time_point> secret_until{}; // valid, but replaced: good until then
};
/// In time that depends on the secret's length only.
key_verdict verify(const known_key& key, const secret& client_secret, time_point now);

/// Whether the key has all of these scopes, which are separated by spaces.
bool has_scopes(const known_key& key, std::string_view scopes);

class known_keys {
public:
  /// At most so many keys, and so many names of nobody's; a part of a full store starts anew.
  explicit known_keys(std::size_t most = 100'000) : most_{most} {}

  /// Nothing: not known here. Null: nobody has a key of this name.
  std::optional<std::shared_ptr<const known_key>> find(std::string_view client_id) const;

  /// To be asked before the database is read.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  /// Keeps what was read, unless something has been forgotten since: it may be outdated.
  void keep(const std::string& client_id, std::shared_ptr<const known_key> key,
            std::uint64_t version);
  /// All keys of this owner; all of everybody when empty.
  void forget(const user_id& owner);
  /// Those that these changes may concern.
  void forget(const std::vector<persistence::change>& changes);

private:
  static constexpr std::size_t slices = 16;
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct slice {
    mutable std::shared_mutex guard{};
    std::unordered_map<std::string, std::shared_ptr<const known_key>, text_hash, std::equal_to<>>
        keys{};
    std::unordered_multimap<std::string, std::string> of_owner{}; // names of keys
    std::unordered_set<std::string, text_hash, std::equal_to<>> of_nobody{};
  };
  static std::size_t slice_of(std::string_view client_id) {
    return text_hash{}(client_id) % slices;
  }

  std::size_t most_;
  std::atomic<std::uint64_t> version_{0};
  std::array<slice, slices> slices_{};
};

} // namespace binnacle
