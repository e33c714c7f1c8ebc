/// Small things about text that several folders need.
#pragma once

#include <string_view>

namespace binnacle {

/// Without the blanks around it: spaces and tabs, HTTP's optional white space (RFC 9110 §5.6.3).
inline std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace binnacle
