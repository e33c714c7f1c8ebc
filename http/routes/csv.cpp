#include "http/routes/csv.hpp"

#include <utility>

namespace binnacle::http {

csv_cell::csv_cell(std::string_view text) {
  // owasp.org, "CSV Injection": a cell that begins like this is a formula to a spreadsheet.
  constexpr std::string_view begins_formula = "=+-@\t\r";
  if (!text.empty() && begins_formula.find(text.front()) != text.npos) text_.push_back('\'');
  text_.append(text);
  if (text_.find_first_of("\",\r\n") == text_.npos) return;
  std::string quoted = "\"";
  for (char c : text_) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  text_ = std::move(quoted);
}

void csv_table::add(std::initializer_list<csv_cell> row) {
  for (auto separator = false; const auto& cell : row) {
    if (std::exchange(separator, true)) text_.push_back(',');
    text_.append(cell.text());
  }
  text_.append("\r\n");
}

response csv_table::to_response(const std::string& file_name, caching how) const {
  response out;
  out.content_type = "text/csv; charset=utf-8";
  out.body = text_;
  out.cache = how;
  out.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + file_name + "\"");
  return out;
}

result<bool> wants_csv(const request& req) {
  auto format = req.parameter("format").value_or("json");
  if (format == "csv") return true;
  if (format == "json") return false;
  return bad_field("format", "format must be json or csv");
}

} // namespace binnacle::http
