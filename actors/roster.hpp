/// A project's users in memory, in the order of their pages, so that any page and any search of a
/// million of them takes milliseconds. developer.md §5.
///
/// A `roster` is kept up to date by one thread; the `roster_view`s it gives never change and share
/// what they have in common. Both hold blocks of some hundred users: a change rewrites its block.
/// About 75 bytes a user, and 24 more for the roster itself.
#pragma once

#include "persistence/project_users.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binnacle {

/// Where a user stands: whoever logged in last comes first, whoever never did comes last; by id
/// where that is the same. Where somebody stood is a place too, when they have moved.
struct roster_place {
  using ulid = std::array<std::uint64_t, 2>; // 128 bits, compared as its text is
  static constexpr std::int64_t never = INT64_MIN;

  std::int64_t last_login = never; // microseconds
  ulid who{};

  bool operator==(const roster_place&) const = default;
  bool operator<(const roster_place& other) const {
    return last_login != other.last_login ? last_login > other.last_login : who < other.who;
  }
};

/// A place as text, for clients: "1767225600000000.01JGFJJZ00…", or "-.01…" for who never logged
/// in.
std::string to_text(const roster_place& place);
std::optional<roster_place> roster_place_of(std::string_view text);

struct roster_question {
  std::string contains{};              // in the address, which is lower case; empty: all
  std::int64_t skip = 0;               // so many of them
  std::optional<roster_place> after{}; // or all up to this place
  std::int64_t limit = 50;
};
/// Of one moment: `total` counts what all pages together show.
struct roster_page {
  std::vector<persistence::project_user> users{}; // without names
  std::int64_t before = 0;                        // of the ones asked for, before these
  std::int64_t total = 0;                         // asked for
  std::optional<roster_place> last{};             // where the last of `users` stands
};

class roster_block;

/// Immutable; read by any thread.
class roster_view {
public:
  roster_page look(const roster_question& asked) const;
  std::int64_t size() const { return size_; }

private:
  friend class roster;
  std::vector<std::shared_ptr<const roster_block>> blocks_{};
  std::int64_t size_ = 0;
};

class roster {
public:
  explicit roster(std::uint64_t as_of = 0);
  /// In the order of their places; only before `ready`.
  void append(const persistence::project_user& who);
  void ready(std::uint64_t as_of);
  /// The same changes again do nothing.
  void apply(const persistence::project_user_changes& changes);

  std::uint64_t as_of() const { return as_of_; }
  std::shared_ptr<const roster_view> view() const { return view_; }
  std::size_t bytes() const;

private:
  using rows = std::vector<persistence::project_user>;
  void rewrite(const std::map<std::size_t, rows>& opened);

  std::uint64_t as_of_ = 0;
  rows pending_{};
  std::vector<roster_place> places_{}; // by id
  std::shared_ptr<roster_view> view_{};
};

} // namespace binnacle
