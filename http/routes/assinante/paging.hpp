/// Which part of a list is asked for. assinante.md §8, §9.
#pragma once

#include "actors/exchange.hpp"
#include "config/base/errors.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::http {

/// The query of a list. A reader of a wrong parameter notes the problem and returns the default.
class page_query {
public:
  explicit page_query(const request& req) : req_{&req} {}

  const std::vector<field_problem>& problems() const { return problems_; }

  /// At least 1; more than `most` is `most`.
  std::int64_t limit(std::int64_t otherwise, std::int64_t most);
  std::int64_t offset();
  /// Four digits; absent gives nothing.
  std::optional<std::int64_t> year();
  /// One of these, exactly; in lower case, as it is stored. Absent gives empty text.
  std::string status(std::initializer_list<std::string_view> of);

private:
  const request* req_;
  std::vector<field_problem> problems_{};
};

/// Of ASCII.
std::string upper_case(std::string_view text);

} // namespace binnacle::http
