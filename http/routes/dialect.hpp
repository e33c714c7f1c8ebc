/// What the error dialects have in common. A dialect turns a fault into a `failure` (its status and
/// its words) and a body; `present` makes the response, as problem details when the client asks.
#pragma once

#include "actors/exchange.hpp"
#include "actors/route.hpp"
#include "config/base/errors.hpp"
#include "config/base/json.hpp"

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace binnacle::http {

/// An error as a client sees it.
struct failure {
  int status = 500;
  std::string_view name{}; // the surface's code or type, where it has one
  std::string text{};
};

/// A surface's own name and default sentence of a code.
struct error_row {
  errc code;
  std::string_view name;
  std::string_view text;
};
using error_table = std::array<error_row, static_cast<std::size_t>(errc::count_)>;

/// For static_assert: a row per code, in the order of the enumeration.
constexpr bool in_order(const error_table& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].code != static_cast<errc>(i)) return false;
  return true;
}

/// A sentence of the service's own, in a surface's language.
struct translation {
  std::string_view english;
  std::string_view text;
};

/// Status of the code, name and default sentence of the table; the fault's own text wins.
failure describe(const fault& f, const error_table& rows, std::span<const translation> texts = {});

/// The request was refused because of Origin or the CSRF token.
bool is_csrf_refusal(const fault& f);
/// Seconds after which the limiter admits again; at least 1.
std::int64_t retry_after(const exchange& x);

response present(const failure& f, const json::object& body, const exchange& x);

} // namespace binnacle::http
