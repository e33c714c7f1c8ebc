#include "config/base/utf8.hpp"

namespace binnacle {

std::size_t sequence_length(std::string_view text) {
  auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  auto first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    auto low = first == 0xE0 ? 0xA0U : 0x80U, high = first == 0xED ? 0x9FU : 0xBFU;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    auto low = first == 0xF0 ? 0x90U : 0x80U, high = first == 0xF4 ? 0x8FU : 0xBFU;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    auto length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string text_of_others(std::string_view text, std::size_t most) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  auto is_control = [](std::string_view c) {
    auto first = static_cast<unsigned char>(c.front());
    if (c.size() == 2) return first == 0xC2 && static_cast<unsigned char>(c[1]) < 0xA0; // C1
    return c.size() == 1 && (first < 0x20 || first == 0x7F);
  };
  std::string out;
  auto broken = false; // by control characters, since the last that was taken
  while (!text.empty()) {
    auto length = sequence_length(text);
    auto c = length == 0 ? replacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
    if (is_control(c)) {
      broken = true;
      continue;
    }
    auto gap = broken && !out.empty() ? std::size_t{1} : std::size_t{0};
    if (out.size() + gap + c.size() > most) break;
    out.append(gap, ' ').append(c);
    broken = false;
  }
  return out;
}

} // namespace binnacle
