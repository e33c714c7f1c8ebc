/// The file of an import: lines, and the rows in them, a batch at a time.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "http/routes/assinante/records.hpp"

#include <cstdint>
#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace binnacle::commands {

/// A file, or standard input, line by line. Of a line that is too long a part is forgotten.
class line_source {
public:
  /// "-" is standard input.
  explicit line_source(const std::string& file);
  bool good() const { return in_->good(); }
  bool broke() const { return in_->bad(); }   // it could not be read to its end
  std::int64_t size() const { return size_; } // bytes; 0: unknown
  std::int64_t read() const { return read_; } // bytes so far

  struct line {
    std::int64_t number = 0; // from 1
    std::string_view text{}; // until the next one is read
    bool too_long = false;
  };
  std::optional<line> next();

  static constexpr std::size_t longest = 1'048'576; // bytes of a line

private:
  line take(std::size_t end, std::size_t separator);
  std::optional<std::size_t> fill();

  std::ifstream file_{};
  std::istream* in_;
  std::int64_t size_ = 0, read_ = 0, number_ = 0;
  std::string buffer_ = std::string(4 * longest, '\0');
  std::size_t begin_ = 0, end_ = 0;
  bool cut_ = false;
};

/// Why a line is refused.
struct refusal {
  std::int64_t line = 0;
  std::string why{};
};

/// Rows of one kind, and the lines they are in.
template <class Row>
struct rows {
  std::vector<Row> what{};
  std::vector<std::int64_t> lines{};

  void add(Row row, std::int64_t line) {
    what.push_back(std::move(row));
    lines.push_back(line);
  }
};

struct batch {
  std::int64_t first = 0, last = 0; // lines; 0: none
  std::int64_t read = 0;            // bytes so far
  rows<http::records::subscriber_record> subscribers{};
  rows<http::records::subscription_record> subscriptions{};
  rows<persistence::assinante::order> orders{};
  rows<persistence::assinante::invoice> invoices{};
  std::vector<refusal> refused{};
};

/// Reads every line as what its `kind` says. A row whose id has come before is refused: which of
/// the two holds would depend on their order.
class batch_reader {
public:
  batch_reader(line_source& from, time_point now) : from_{from}, now_{now} {}

  /// At most 5,000 rows and refusals; `first` is 0 at the end.
  batch next();

private:
  result<done> add(const line_source::line& line, batch& to);
  template <class Row, class Id>
  result<done> keep(std::string_view kind, result<Row> row, Id id, rows<Row>& to,
                    std::int64_t line);

  line_source& from_;
  time_point now_;
  std::unordered_map<std::string, std::int64_t> seen_{}; // the line of every id
};

} // namespace binnacle::commands
