/// Parameters as Stripe wants them: application/x-www-form-urlencoded, nesting in brackets.
/// Source: the URL Standard, "application/x-www-form-urlencoded serializing";
/// docs.stripe.com/api (requests).
#pragma once

#include "config/base/decimal.hpp"

#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binnacle::stripe {

using metadata = std::map<std::string, std::string>;

/// Names are written with their brackets: "line_items[0][price]", "expand[]". Order is kept.
class form {
public:
  form& add(std::string name, std::string_view text);
  form& add(std::string name, const char* text) {
    return add(std::move(name), std::string_view{text});
  }
  form& add(std::string name, std::same_as<bool> auto b) {
    return add(std::move(name), b ? "true" : "false");
  }
  template <std::integral T>
  requires(!std::same_as<T, bool>) form& add(std::string name, T n) {
    return add(std::move(name), std::to_string(n));
  }
  form& add(std::string name, decimal d) { return add(std::move(name), d.str()); }
  /// Nothing when `text` is empty: to Stripe an empty value means "unset it".
  form& add_given(std::string name, std::string_view text);
  /// "name[key]" for every entry.
  form& add_all(const std::string& name, const metadata& entries);

  bool empty() const { return fields_.empty(); }
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }
  /// Encoded. Brackets of names are escaped like any other reserved character.
  std::string str() const;

private:
  std::vector<std::pair<std::string, std::string>> fields_{};
};

/// One segment of a path, with everything but RFC 3986's unreserved characters escaped. Text that
/// cannot be one (empty, dots) becomes one that names nothing.
std::string path_segment(std::string_view text);

} // namespace binnacle::stripe
