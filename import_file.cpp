#include "import_file.hpp"

#include "config/base/json.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <cstring>
#include <iostream>

namespace binnacle::commands {
namespace {

/// Rows of one transaction: what is refused in it is refused with all of it.
constexpr std::size_t batch_rows = 5'000;

std::string told(const fault& f) {
  if (f.fields.empty()) return (f.field.empty() ? "" : f.field + ": ") + std::string{f.message()};
  std::string out;
  for (const auto& p : f.fields)
    out.append(out.empty() ? "" : "; ").append(p.field).append(": ").append(p.text);
  return out;
}

} // namespace

line_source::line_source(const std::string& file) : in_{&std::cin} {
  if (file == "-") return;
  in_ = &file_;
  file_.open(file, std::ios::binary | std::ios::ate);
  size_ = std::max<std::int64_t>(file_.tellg(), 0);
  file_.seekg(0);
}

std::optional<line_source::line> line_source::next() {
  for (auto searched = begin_;;) {
    const auto* from = buffer_.data() + searched;
    const auto* end = static_cast<const char*>(std::memchr(from, '\n', end_ - searched));
    if (end) return take(static_cast<std::size_t>(end - buffer_.data()), 1);
    auto fresh = fill();
    if (!fresh) return begin_ == end_ ? std::nullopt : std::optional{take(end_, 0)};
    searched = *fresh;
  }
}

line_source::line line_source::take(std::size_t end, std::size_t separator) {
  line out{++number_, {buffer_.data() + begin_, end - begin_}, false};
  out.too_long = std::exchange(cut_, false) || out.text.size() > longest;
  begin_ = end + separator;
  return out;
}

/// More bytes behind what is left, and tells where they begin; nothing at the end.
std::optional<std::size_t> line_source::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ > longest) {
    cut_ = true;
    end_ = longest;
  }
  auto fresh = end_;
  in_->read(buffer_.data() + end_, static_cast<std::streamsize>(buffer_.size() - end_));
  end_ += static_cast<std::size_t>(in_->gcount());
  read_ += in_->gcount();
  return end_ > fresh ? std::optional{fresh} : std::nullopt;
}

batch batch_reader::next() {
  batch out;
  for (std::size_t n = 0; n < batch_rows;) {
    auto line = from_.next();
    if (!line) break;
    if (out.first == 0) out.first = line->number;
    out.last = line->number;
    if (line->text.find_first_not_of(" \t\r") == line->text.npos && !line->too_long) continue;
    ++n;
    if (auto read = add(*line, out); !read)
      out.refused.push_back({line->number, told(read.error())});
  }
  out.read = from_.read();
  return out;
}

template <class Row, class Id>
result<done> batch_reader::keep(std::string_view kind, result<Row> row, Id id, rows<Row>& to,
                                std::int64_t line) {
  if (!row) return row.error();
  auto [at, fresh] = seen_.try_emplace(std::string{kind} + " " + id(*row), line);
  if (!fresh) return bad_field("id", "is in line " + std::to_string(at->second) + " already");
  to.add(std::move(*row), line);
  return done{};
}

result<done> batch_reader::add(const line_source::line& line, batch& to) {
  if (line.too_long)
    return bad_field("line", "longer than " + std::to_string(line_source::longest) + " bytes");
  auto parsed = json::parse(line.text);
  if (!parsed) return fault{errc::bad_request, "not JSON", {}, {}};
  if (!parsed->is_object()) return fault{errc::bad_request, "not a JSON object", {}, {}};
  const auto& from = parsed->get_object();
  const auto* kind = from.if_contains("kind");
  auto name = kind && kind->is_string() ? std::string_view{kind->get_string()} : "";
  using http::records::source;
  if (name == "subscriber") {
    auto read = http::records::read_subscriber(from, now_);
    return keep(
        name, std::move(read), [](auto& r) { return r.who.email; }, to.subscribers, line.number);
  }
  if (name == "subscription") {
    auto read = http::records::read_subscription(from, source::import);
    return keep(
        name, std::move(read), [](auto& r) { return r.what.id; }, to.subscriptions, line.number);
  }
  auto id = [](auto& r) { return r.id; };
  if (name == "order")
    return keep(name, http::records::read_order(from, source::import), id, to.orders, line.number);
  if (name == "invoice")
    return keep(name, http::records::read_invoice(from, source::import), id, to.invoices,
                line.number);
  return bad_field("kind", "must be subscriber, subscription, order or invoice");
}

} // namespace binnacle::commands
