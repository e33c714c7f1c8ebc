/// Small things about text that several folders need.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace binnacle {

/// Without the blanks around it: spaces and tabs, HTTP's optional white space (RFC 9110 §5.6.3).
inline std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// A to Z only, whatever the locale; what PostgreSQL calls lower(… COLLATE "C").
inline std::string lower_case(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  return out;
}

/// Code points; `utf8` is valid.
inline std::size_t characters_of(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

inline bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

/// A plain address in ASCII, "local@domain": at most 254 characters, 64 before the @, without
/// quotes or literals (RFC 5321 §4.1.2, §4.5.3). It may stand in a mail's header and in a command
/// to a mail server as it is.
inline bool is_email(std::string_view text) {
  auto at = text.find('@');
  if (at == text.npos || at > 64 || text.size() > 254) return false;
  auto dotted = [](std::string_view part, std::string_view also) {
    if (part.empty() || part.starts_with('.') || part.ends_with('.')) return false;
    if (part.find("..") != part.npos) return false;
    return std::ranges::all_of(part, [also](char c) {
      auto letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      return letter || c == '.' || c == '-' || also.find(c) != also.npos;
    });
  };
  auto domain = text.substr(at + 1);
  return dotted(text.substr(0, at), "!#$%&'*+/=?^_`{|}~") && dotted(domain, "") &&
         domain.find('.') != domain.npos && !domain.starts_with('-') && !domain.ends_with('-');
}

} // namespace binnacle
