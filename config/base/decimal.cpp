#include "config/base/decimal.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace binnacle {
namespace {

using int128 = decimal::int128;
__extension__ using uint128 = unsigned __int128;

[[noreturn]] void overflow() { throw std::overflow_error{"decimal out of range"}; }

uint128 magnitude(int128 x) {
  return x < 0 ? uint128{0} - static_cast<uint128>(x) : static_cast<uint128>(x);
}

int128 with_sign(uint128 x, bool negative) {
  if (x >> 127) overflow();
  return negative ? -static_cast<int128>(x) : static_cast<int128>(x);
}

constexpr auto powers_of_ten = [] {
  std::array<uint128, 39> out{1};
  for (std::size_t i = 1; i < out.size(); ++i) out[i] = out[i - 1] * 10;
  return out;
}();

uint128 power_of_ten(int n) { return powers_of_ten[static_cast<std::size_t>(n)]; }

struct division {
  uint128 quotient;
  uint128 rest;
};

/// Most amounts fit into 64 bits, where the machine divides; for 128 it needs a subroutine.
division divide(uint128 n, uint128 d) {
  if ((n | d) >> 64 == 0) {
    auto n64 = static_cast<std::uint64_t>(n), d64 = static_cast<std::uint64_t>(d);
    return {n64 / d64, n64 % d64};
  }
  return {n / d, n % d};
}

/// A 256-bit product and its division by a 128-bit number, schoolbook. Long, but needed only
/// because the product of two 12-decimal numbers does not fit into 128 bits.
struct wide {
  uint128 high = 0;
  uint128 low = 0;
};

wide multiply(uint128 a, uint128 b) {
  if ((a | b) >> 64 == 0) return {0, a * b};
  constexpr auto mask = static_cast<uint128>(UINT64_MAX);
  auto a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
  auto low = a0 * b0, mid1 = a1 * b0, mid2 = a0 * b1, high = a1 * b1;
  auto carry = (low >> 64) + (mid1 & mask) + (mid2 & mask);
  return {high + (mid1 >> 64) + (mid2 >> 64) + (carry >> 64), (carry << 64) | (low & mask)};
}

/// Quotient of `n / d`, rounded half to even.
uint128 divide_rounded(wide n, uint128 d) {
  if (n.high >= d) overflow();
  auto [quotient, rest] = n.high == 0 ? divide(n.low, d) : division{0, n.high};
  for (int bit = n.high == 0 ? -1 : 127; bit >= 0; --bit) {
    bool carry = (rest >> 127) != 0;
    rest = (rest << 1) | ((n.low >> bit) & 1);
    quotient <<= 1;
    if (carry || rest >= d) {
      rest -= d;
      quotient |= 1;
    }
  }
  auto to_next = d - rest;
  if (rest > to_next || (rest == to_next && (quotient & 1))) ++quotient;
  return quotient;
}

/// Writes the digits of `x` before `at`, with zeros in front up to `width`; returns the first.
char* write_before(char* at, std::uint64_t x, int width) {
  for (; x != 0 || width > 0; --width) {
    *--at = static_cast<char>('0' + x % 10);
    x /= 10;
  }
  return at;
}

/// Appends whole.part, the part with `places` digits; without places only the whole.
void append(std::string& out, bool negative, uint128 whole, std::uint64_t part, int places) {
  std::array<char, 48> buffer; // sign, 27 digits, point, 12 digits
  auto* const end = buffer.data() + buffer.size();
  auto* at = end;
  if (places > 0) {
    at = write_before(at, part, places);
    *--at = '.';
  }
  auto [high, low] = divide(whole, power_of_ten(18));
  at = write_before(at, static_cast<std::uint64_t>(low), high == 0 ? 1 : 18);
  at = write_before(at, static_cast<std::uint64_t>(high), 0);
  if (negative) *--at = '-';
  out.append(at, end);
}

} // namespace

std::optional<decimal> decimal::parse(std::string_view text) {
  bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  // Collect the digits as one integer and the power of ten it is worth.
  uint128 number = 0;
  int power = 0;
  int dropped = 0; // the first digit that does not fit, which only matters for rounding
  bool any = false, point = false, full = false, sticky = false;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    auto c = text[at];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any = true;
    if (number > (~uint128{0} - 9) / 10) {
      if (full)
        sticky = sticky || c != '0';
      else
        dropped = c - '0';
      full = true;
      power += point ? 0 : 1;
      continue;
    }
    number = number * 10 + static_cast<uint128>(c - '0');
    power -= point ? 1 : 0;
  }
  if (!any || text[at - 1] == '.') return {};
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return {};
    auto tail = text.substr(at + 1);
    if (!tail.empty() && tail.front() == '+') tail.remove_prefix(1);
    int exponent = 0;
    auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
    if (error != std::errc{} || end != tail.data() + tail.size()) return {};
    if (exponent < -1000 || exponent > 1000) return {};
    power += exponent;
  }
  auto shift = power + scale;
  if (number == 0) return decimal{};
  decimal out;
  if (shift >= 0) {
    if (shift > 36) return {};
    auto product = multiply(number, power_of_ten(shift));
    if (product.high != 0 || (product.low >> 127)) return {};
    // With digits dropped it is in range only as it stands, unshifted.
    if (dropped > 5 || (dropped == 5 && (sticky || (product.low & 1)))) ++product.low;
    if (product.low >> 127) return {};
    out.units_ = static_cast<int128>(product.low);
  } else if (shift < -38) {
    return decimal{};
  } else {
    // A sticky 1 in the last place breaks a tie upwards, as the dropped digits would.
    auto d = power_of_ten(-shift);
    auto [quotient, rest] = divide(number, d);
    auto twice = rest * 2;
    if (twice > d || (twice == d && (sticky || dropped > 0 || (quotient & 1)))) ++quotient;
    if (quotient >> 127) return {};
    out.units_ = static_cast<int128>(quotient);
  }
  if (negative) out.units_ = -out.units_;
  return out;
}

std::optional<decimal> decimal::from_double(double x) {
  if (!std::isfinite(x)) return {};
  std::array<char, 64> buffer;
  auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), x);
  if (error != std::errc{}) return {};
  return parse({buffer.data(), end});
}

std::string decimal::fixed(int places) const {
  auto kept = divide_rounded({0, magnitude(units_)}, power_of_ten(scale - places));
  auto [whole, part] = divide(kept, power_of_ten(places));
  std::string out;
  append(out, units_ < 0 && kept != 0, whole, static_cast<std::uint64_t>(part), places);
  return out;
}

void decimal::append_to(std::string& out) const {
  auto [whole, rest] = divide(magnitude(units_), static_cast<uint128>(one));
  auto part = static_cast<std::uint64_t>(rest);
  auto places = part == 0 ? 0 : scale;
  for (; places > 0 && part % 10 == 0; --places) part /= 10;
  append(out, units_ < 0, whole, part, places);
}

std::string decimal::str() const {
  std::string out;
  append_to(out);
  return out;
}

decimal decimal::rounded(int places) const {
  auto divisor = power_of_ten(scale - places);
  decimal out;
  out.units_ = with_sign(divide_rounded({0, magnitude(units_)}, divisor) * divisor, units_ < 0);
  return out;
}

double decimal::approximate() const {
  return static_cast<double>(units_) / static_cast<double>(one);
}

decimal& decimal::operator+=(decimal other) {
  if (__builtin_add_overflow(units_, other.units_, &units_)) overflow();
  return *this;
}

decimal& decimal::operator-=(decimal other) {
  if (__builtin_sub_overflow(units_, other.units_, &units_)) overflow();
  return *this;
}

decimal operator*(decimal a, decimal b) {
  decimal out;
  auto product = multiply(magnitude(a.units_), magnitude(b.units_));
  out.units_ = with_sign(divide_rounded(product, static_cast<uint128>(decimal::one)),
                         (a.units_ < 0) != (b.units_ < 0));
  return out;
}

decimal operator/(decimal a, decimal b) {
  if (b.units_ == 0) throw std::domain_error{"decimal division by zero"};
  decimal out;
  auto scaled = multiply(magnitude(a.units_), static_cast<uint128>(decimal::one));
  out.units_ =
      with_sign(divide_rounded(scaled, magnitude(b.units_)), (a.units_ < 0) != (b.units_ < 0));
  return out;
}

} // namespace binnacle
