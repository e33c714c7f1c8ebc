#include "config/base/ids.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <sys/random.h>

namespace binnacle {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 80 random bits as two halves, so that "add one" within a millisecond is plain arithmetic.
struct entropy {
  std::uint16_t high = 0;
  std::uint64_t low = 0;
};

entropy draw() {
  // Buffered per thread: one system call gives 25 ids, and an id is made for every request.
  thread_local std::array<unsigned char, 250> pool;
  thread_local std::size_t used = pool.size();
  if (used + 10 > pool.size()) {
    std::size_t have = 0;
    while (have < pool.size()) {
      auto n = ::getrandom(pool.data() + have, pool.size() - have, 0);
      if (n > 0) have += static_cast<std::size_t>(n);
    }
    used = 0;
  }
  entropy e;
  std::memcpy(&e.high, pool.data() + used, 2);
  std::memcpy(&e.low, pool.data() + used + 2, 8);
  used += 10;
  return e;
}

} // namespace

std::string make_ulid(std::chrono::system_clock::time_point now) {
  using namespace std::chrono;
  auto ms = static_cast<std::uint64_t>(duration_cast<milliseconds>(now.time_since_epoch()).count());
  // Monotonic per thread: ids of one thread sort in the order they were made, without a lock.
  thread_local std::uint64_t last_ms = 0;
  thread_local entropy last;
  if (ms == last_ms) {
    if (++last.low == 0) ++last.high;
  } else {
    last_ms = ms;
    last = draw();
  }
  std::string out(26, '0');
  for (int i = 9; i >= 0; --i, ms >>= 5) out[static_cast<std::size_t>(i)] = alphabet[ms & 31];
  // 80 bits, most significant first: 16 of `high`, 64 of `low`.
  auto low = last.low;
  std::uint32_t carry = last.high;
  for (int i = 25; i >= 10; --i) {
    out[static_cast<std::size_t>(i)] = alphabet[low & 31];
    low = (low >> 5) | (static_cast<std::uint64_t>(carry & 31) << 59);
    carry >>= 5;
  }
  return out;
}

} // namespace binnacle
