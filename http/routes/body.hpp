/// Reads a JSON object from a request's body, field by field.
#pragma once

#include "actors/exchange.hpp"
#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "config/base/time.hpp"

#include <boost/json/object.hpp>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

/// The fields of a body. A getter of a wrong field notes the problem, names the field in it, and
/// returns an empty value: a handler reads all it needs and asks `problem` once. Fields that nobody
/// asks for are ignored, as in the systems the contracts come from.
class json_fields {
public:
  /// 415 for another Content-Type than JSON (none is fine), 400 for anything but an object.
  static result<json_fields> of(const request& req);
  /// The same, but no body at all is an empty object.
  static result<json_fields> of_optional(const request& req);

  /// Notes all that are absent, null or an empty string: "Missing required fields: a, b".
  void require(std::initializer_list<std::string_view> names);

  /// Notes a field of none of these names, for contracts that are strict about it.
  void refuse_others(std::initializer_list<std::string_view> names);

  /// It is there, and null: for contracts in which that is not the same as absent.
  bool is_null(std::string_view name) const;
  /// Absent and null give nothing.
  std::optional<std::string> maybe_text(std::string_view name, std::size_t longest = 4'096);
  std::optional<std::int64_t> maybe_integer(std::string_view name, std::int64_t least,
                                            std::int64_t most);
  std::optional<time_point> maybe_time(std::string_view name); // RFC 3339
  std::optional<bool> maybe_truth(std::string_view name);
  /// At most `most` strings, each of 1 to `longest` bytes.
  std::optional<std::vector<std::string>> maybe_texts(std::string_view name, std::size_t most,
                                                      std::size_t longest);
  bool truth(std::string_view name, bool otherwise) {
    return maybe_truth(name).value_or(otherwise);
  }
  /// Absent and null give empty text; `require` tells whether that is allowed.
  std::string text(std::string_view name, std::size_t longest = 4'096) {
    return maybe_text(name, longest).value_or("");
  }
  binnacle::secret secret(std::string_view name) { return binnacle::secret{text(name)}; }

  /// All of it, for fields that are objects themselves.
  const boost::json::object& object() const { return from_; }

  /// The first thing that was wrong; its `fields` are all that were.
  const std::optional<fault>& problem() const { return problem_; }
  void note(fault f);

private:
  explicit json_fields(boost::json::object from) : from_{std::move(from)} {}
  const boost::json::value* find(std::string_view name) const;
  void note(std::string_view name, std::string_view rule);

  boost::json::object from_{};
  std::optional<fault> problem_{};
};

} // namespace binnacle::http
