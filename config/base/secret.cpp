#include "config/base/secret.hpp"

#include <cstddef>
#include <string.h>

namespace binnacle {

void secret::wipe() noexcept { ::explicit_bzero(text_.data(), text_.size()); }

bool constant_time_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  // Volatile keeps the compiler from leaving the loop early.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

} // namespace binnacle
