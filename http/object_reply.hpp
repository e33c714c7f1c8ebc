/// A stored object as an answer: conditional (RFC 9110 §13) and in parts (§14). Whatever it says of
/// itself, a browser is shown only what cannot run scripts; all else is a download.
#pragma once

#include "actors/exchange.hpp"
#include "integrations/object_store.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace binnacle::http {

response object_reply(const request&, std::shared_ptr<const integrations::object>, caching);

/// What a Range asks for of `size` bytes. Several ranges, other units and what is malformed are
/// ignored, as §14.2 allows; a range that begins at or after the end cannot be satisfied.
struct byte_range {
  enum class kind : std::uint8_t { whole, part, unsatisfiable };
  kind what = kind::whole;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  bool operator==(const byte_range&) const = default;
};
byte_range read_range(std::string_view range, std::uint64_t size);

/// A short message of the object proxies, which speak plain text (hub.md §8).
response plain_text(int status, std::string_view text);

} // namespace binnacle::http
