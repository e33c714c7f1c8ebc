/// Exact decimal numbers for money and metered quantities: a 128-bit integer count of 10^-12.
/// Range ±1.7e26. Addition and subtraction are exact; multiplication and division round half to
/// even at the 12th decimal. Overflow throws std::overflow_error rather than wrapping.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace binnacle {

class decimal {
public:
  __extension__ using int128 = __int128;
  static constexpr int scale = 12;
  static constexpr std::int64_t one = 1'000'000'000'000;

  constexpr decimal() = default;
  constexpr explicit decimal(std::int64_t whole) : units_{static_cast<int128>(whole) * one} {}

  /// Reads "12", "-0.5", "1.5e-05"; nothing for any other text, for more digits than the range
  /// holds, and for NaN. Digits after the 12th decimal are rounded half to even.
  static std::optional<decimal> parse(std::string_view text);
  /// The shortest decimal that reads back as `x`: what the sender of a JSON number wrote.
  /// Nothing for NaN, infinities and values out of range.
  static std::optional<decimal> from_double(double x);

  /// Plain digits without exponent or trailing zeros: "42.75", "0", "-0.000001".
  std::string str() const;
  /// The same, at the end of `out`.
  void append_to(std::string& out) const;
  /// Exactly `places` decimals, rounded half to even: "120.50". 0 <= places <= 12.
  std::string fixed(int places) const;
  /// Rounded half to even to `places` decimals.
  decimal rounded(int places) const;
  /// For ratios and charts only, never for money that is stored.
  double approximate() const;

  decimal& operator+=(decimal other);
  decimal& operator-=(decimal other);
  friend decimal operator+(decimal a, decimal b) { return a += b; }
  friend decimal operator-(decimal a, decimal b) { return a -= b; }
  friend decimal operator-(decimal a) { return decimal{} - a; }
  friend decimal operator*(decimal a, decimal b);
  /// Throws std::domain_error when `b` is zero.
  friend decimal operator/(decimal a, decimal b);

  constexpr auto operator<=>(const decimal&) const = default;
  constexpr bool is_zero() const { return units_ == 0; }

private:
  int128 units_ = 0;
};

} // namespace binnacle
