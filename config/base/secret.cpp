#include "config/base/secret.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string.h>

namespace binnacle {

void secret::wipe() noexcept { ::explicit_bzero(text_.data(), text_.size()); }

bool constant_time_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  // Eight bytes at a time; the empty asm keeps the compiler from seeing through `difference` and
  // leaving the loop early.
  std::uint64_t difference = 0;
  while (!a.empty()) {
    std::uint64_t x = 0, y = 0;
    auto n = std::min(a.size(), sizeof x);
    std::memcpy(&x, a.data(), n);
    std::memcpy(&y, b.data(), n);
    difference |= x ^ y;
    __asm__ volatile("" : "+r"(difference));
    a.remove_prefix(n);
    b.remove_prefix(n);
  }
  return difference == 0;
}

} // namespace binnacle
