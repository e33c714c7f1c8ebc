/// JSON. Reading: Boost.JSON behind a depth limit and UTF-8 validation. Writing: a small ordered
/// document whose numbers are decimals in plain digits, with `/` and non-ASCII left unescaped
/// (Boost.JSON 1.81 would print 42.75 as 4.275E1).
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"

#include <boost/json/fwd.hpp>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace binnacle::json {

class value;
using array = std::vector<value>;
/// Members in the order they were given.
class object {
public:
  object() = default;
  object(std::initializer_list<std::pair<std::string, value>> members);
  object& add(std::string name, value v);
  const std::vector<std::pair<std::string, value>>& members() const { return members_; }

private:
  std::vector<std::pair<std::string, value>> members_{};
};

/// Text that is JSON already, such as a stored document; written as it is.
struct raw {
  std::string text;
};

class value {
public:
  value() = default;
  value(std::nullptr_t) {}
  value(std::same_as<bool> auto b) : data_{b} {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) value(T n) : data_{static_cast<std::int64_t>(n)} {}
  value(decimal d) : data_{d} {}
  value(std::string s) : data_{std::move(s)} {}
  value(std::string_view s) : data_{std::string{s}} {}
  value(const char* s) : data_{std::string{s}} {}
  value(raw r) : data_{std::move(r)} {}
  value(array a) : data_{std::move(a)} {}
  value(object o) : data_{std::move(o)} {}
  template <class T>
  value(const std::optional<T>& x) {
    if (x) *this = value{*x};
  }

  void write(std::string& out) const;

private:
  std::variant<std::nullptr_t, bool, std::int64_t, decimal, std::string, raw, array, object> data_{
      nullptr};
};

/// Appends `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD.
void write_string(std::string& out, std::string_view text);
std::string to_text(const value& v);

/// At most this many arrays and objects inside one another.
inline constexpr std::size_t max_depth = 32;

/// Parses a whole document. bad_request "Invalid JSON body" for anything else: trailing text, too
/// deep, invalid UTF-8, a name given twice in one object.
result<boost::json::value> parse(std::string_view text);

} // namespace binnacle::json
