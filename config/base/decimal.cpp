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

/// A 256-bit product and its division by a 128-bit number, schoolbook. Long, but needed only
/// because the product of two 12-decimal numbers does not fit into 128 bits.
struct wide {
  uint128 high = 0;
  uint128 low = 0;
};

wide multiply(uint128 a, uint128 b) {
  constexpr auto mask = static_cast<uint128>(UINT64_MAX);
  auto a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
  auto low = a0 * b0, mid1 = a1 * b0, mid2 = a0 * b1, high = a1 * b1;
  auto carry = (low >> 64) + (mid1 & mask) + (mid2 & mask);
  return {high + (mid1 >> 64) + (mid2 >> 64) + (carry >> 64), (carry << 64) | (low & mask)};
}

/// Quotient of `n / d`, rounded half to even.
uint128 divide_rounded(wide n, uint128 d) {
  if (n.high >= d) overflow();
  uint128 quotient = 0;
  auto rest = n.high;
  if (rest == 0) {
    quotient = n.low / d;
    rest = n.low % d;
  } else {
    for (int bit = 127; bit >= 0; --bit) {
      bool carry = (rest >> 127) != 0;
      rest = (rest << 1) | ((n.low >> bit) & 1);
      quotient <<= 1;
      if (carry || rest >= d) {
        rest -= d;
        quotient |= 1;
      }
    }
  }
  auto to_next = d - rest;
  if (rest > to_next || (rest == to_next && (quotient & 1))) ++quotient;
  return quotient;
}

uint128 power_of_ten(int n) {
  uint128 p = 1;
  while (n-- > 0) p *= 10;
  return p;
}

std::string digits(uint128 x) {
  std::array<char, 40> buffer;
  auto* at = buffer.data() + buffer.size();
  do {
    *--at = static_cast<char>('0' + static_cast<int>(x % 10));
    x /= 10;
  } while (x != 0);
  return {at, buffer.data() + buffer.size()};
}

} // namespace

std::optional<decimal> decimal::parse(std::string_view text) {
  bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  int exponent = 0;
  if (auto e = text.find_first_of("eE"); e != text.npos) {
    auto tail = text.substr(e + 1);
    if (!tail.empty() && tail.front() == '+') tail.remove_prefix(1);
    auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
    if (error != std::errc{} || end != tail.data() + tail.size()) return {};
    if (exponent < -1000 || exponent > 1000) return {};
    text = text.substr(0, e);
  }
  // Collect the digits as one integer and the power of ten it is worth.
  uint128 number = 0;
  int power = exponent;
  bool any = false, point = false, sticky = false;
  for (char c : text) {
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return {};
    any = true;
    if (number >= power_of_ten(36)) { // further digits only matter for rounding
      sticky = sticky || c != '0';
      power += point ? 0 : 1;
      continue;
    }
    number = number * 10 + static_cast<uint128>(c - '0');
    power -= point ? 1 : 0;
  }
  if (!any || text.back() == '.') return {};
  auto shift = power + scale;
  if (number == 0) return decimal{};
  decimal out;
  if (shift >= 0) {
    if (shift > 36) return {};
    auto product = multiply(number, power_of_ten(shift));
    if (product.high != 0 || (product.low >> 127)) return {};
    out.units_ = static_cast<int128>(product.low);
  } else if (shift < -38) {
    return decimal{};
  } else {
    // A sticky 1 in the last place breaks a tie upwards, as the dropped digits would.
    auto d = power_of_ten(-shift);
    auto rest = number % d;
    auto quotient = number / d;
    auto twice = rest * 2;
    if (twice > d || (twice == d && (sticky || (quotient & 1)))) ++quotient;
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
  auto divisor = power_of_ten(scale - places);
  auto kept = divide_rounded({0, magnitude(units_)}, divisor);
  auto text = digits(kept);
  auto wanted = static_cast<std::size_t>(places);
  if (text.size() <= wanted) text.insert(0, wanted + 1 - text.size(), '0');
  if (places > 0) text.insert(text.size() - wanted, 1, '.');
  if (units_ < 0 && kept != 0) text.insert(0, 1, '-');
  return text;
}

std::string decimal::str() const {
  auto text = fixed(scale);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
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
