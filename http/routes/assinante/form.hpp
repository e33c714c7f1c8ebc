/// Reads the assinante surface's data from JSON, the same whether a browser, an admin or an import
/// brings it. assinante.md §7, §10.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"

#include <boost/json/object.hpp>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

/// The fields of one object. A reader of a wrong field notes the problem in Portuguese, under the
/// field's whole name ("address.zipCode"), and returns an empty value: all are read, then
/// `problems` is asked once. Texts come without the blanks around them and never contain control
/// characters.
class form {
public:
  explicit form(const boost::json::object& from) : from_{&from} {}

  const std::vector<field_problem>& problems() const { return problems_; }
  void note(std::string_view field, std::string_view text);
  /// The answer to them; only when there are any.
  fault refusal() const { return bad_fields(problems_); }
  /// Absent or null.
  bool lacks(std::string_view name) const { return find(name) == nullptr; }

  /// Characters, not bytes. Absent, null and empty are refused.
  std::string text(std::string_view name, std::size_t least, std::size_t most);
  /// Absent, null and empty give empty text.
  std::string maybe_text(std::string_view name, std::size_t most);
  /// What may stand in a path as it is: letters, digits, "-", "_", "." and ":", at most 128.
  std::string id(std::string_view name);
  /// One of these, exactly.
  std::string choice(std::string_view name, std::initializer_list<std::string_view> of);
  std::int64_t integer(std::string_view name, std::int64_t least, std::int64_t most);
  /// Reais: 0 to 9,999,999,999.99, at most two decimals; a number or its text.
  decimal money(std::string_view name);
  /// 2025-10-01, or an instant at midnight UTC.
  std::optional<date> day(std::string_view name);
  std::optional<time_point> time(std::string_view name); // RFC 3339

  std::string person(std::string_view name); // 3 to 255 characters
  std::string email(std::string_view name);  // lower case
  std::string cpf(std::string_view name);    // digits
  std::string phone(std::string_view name);  // digits with the country's 55
  std::optional<date> birth_date(std::string_view name, time_point now);
  /// An address as JSON, with the optional fields that were given.
  std::string address(std::string_view name);

private:
  const boost::json::value* find(std::string_view name) const;
  std::optional<std::string> read(std::string_view name); // nothing: absent, null, or noted

  const boost::json::object* from_;
  std::vector<field_problem> problems_{};
};

} // namespace binnacle::http
