/// What the aggregates of the assinante surface have in common: how rows come in from outside
/// (admins, imports), and who is behind a change.
///
/// Such rows bring their ids, so that bringing them again changes nothing. One call takes many;
/// each id stands in it at most once.
#pragma once

#include "config/base/ids.hpp"

#include <cstdint>
#include <string>

namespace binnacle::persistence::assinante {

/// What became of one row.
enum class outcome : std::uint8_t {
  created,
  changed,
  unchanged,
  orphaned, // refused: what it belongs to does not exist
  foreign,  // refused: the id is there, and another subscriber's
};

/// Who made a change, and from where.
struct author {
  std::string actor{}; // a user's id, or "import"
  std::string client_address{};
  std::string user_agent{};
};

/// What an admin looks at, of everybody's rows: by id, a page after another.
struct listing {
  user_id who{};              // empty: everybody's
  std::string subscription{}; // id; empty: of all
  std::string status{};       // empty: any
  std::string after{};        // the last id of the page before
  std::int64_t limit = 50;
};

} // namespace binnacle::persistence::assinante
