/// CSV (RFC 4180) for spreadsheets: text that a spreadsheet would run as a formula is defused.
#pragma once

#include "actors/exchange.hpp"
#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace binnacle::http {

class csv_cell {
public:
  csv_cell(std::string_view text);
  csv_cell(const std::string& text) : csv_cell{std::string_view{text}} {}
  csv_cell(const char* text) : csv_cell{std::string_view{text}} {}
  csv_cell(decimal number) : text_{number.str()} {}
  csv_cell(const std::optional<decimal>& number) : text_{number ? number->str() : ""} {}

  const std::string& text() const { return text_; }

private:
  std::string text_{};
};

class csv_table {
public:
  explicit csv_table(std::initializer_list<csv_cell> heading) { add(heading); }
  void add(std::initializer_list<csv_cell> row);
  const std::string& text() const { return text_; }
  /// A download under that name. It is never kept by the session: see keep_summary.
  response to_response(const std::string& file_name, caching how) const;

private:
  std::string text_{};
};

/// Whether `?format=csv` is asked for; bad_request for formats we do not have.
result<bool> wants_csv(const request& req);

} // namespace binnacle::http
