/// multipart/form-data (RFC 7578; the framing is RFC 2046 §5.1, names as browsers write them:
/// WHATWG HTML, "multipart form data").
///
/// Work is linear in the body: it is searched once for the boundary, and nothing of it is copied
/// but names. Content is passed on as bytes; no charset, no Content-Transfer-Encoding (deprecated,
/// RFC 7578 §4.7), no nesting.
#pragma once

#include "config/base/errors.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

struct form_part {
  std::string name{};
  std::optional<std::string> filename{}; // of a file; as sent, so not to be used as a path
  std::string content_type{};
  std::string_view content{}; // in the body
};

constexpr std::size_t most_form_parts = 32;
constexpr std::size_t longest_part_head = 4'096;

/// The parts in their order. bad_request for anything else than a complete form: another type, no
/// boundary, no final delimiter, a part without a name, too many parts, too long a head.
result<std::vector<form_part>> parse_form(std::string_view content_type, std::string_view body);

} // namespace binnacle::http
