#include "config/base/json.hpp"

#include "config/base/utf8.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace binnacle::json {
namespace {

/// Boost.JSON keeps the last of two equal names and says nothing; a body in which "amount" stands
/// twice is not one we want to guess about. A pass of its own finds them.
class duplicate_finder {
public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using error_code = boost::system::error_code;
  using text = boost::json::string_view;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t, error_code&) { return true; }
  bool on_object_begin(error_code&) {
    names_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, error_code& error) {
    auto& mine = names_.back();
    std::ranges::sort(mine);
    auto twice = std::ranges::adjacent_find(mine) != mine.end();
    names_.pop_back();
    if (twice) error = boost::system::errc::make_error_code(boost::system::errc::invalid_argument);
    return !twice;
  }
  bool on_string_part(text, std::size_t, error_code&) { return true; }
  bool on_string(text, std::size_t, error_code&) { return true; }
  bool on_key_part(text part, std::size_t, error_code&) {
    name_.append(part.data(), part.size());
    return true;
  }
  bool on_key(text part, std::size_t, error_code&) {
    name_.append(part.data(), part.size());
    names_.back().push_back(std::exchange(name_, {}));
    return true;
  }
  bool on_number_part(text, error_code&) { return true; }
  bool on_int64(std::int64_t, text, error_code&) { return true; }
  bool on_uint64(std::uint64_t, text, error_code&) { return true; }
  bool on_double(double, text, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(text, error_code&) { return true; }
  bool on_comment(text, error_code&) { return true; }

private:
  std::vector<std::vector<std::string>> names_{}; // of each object that is open
  std::string name_{};
};

boost::json::parse_options limits() {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  return options;
}

} // namespace

object::object(std::initializer_list<std::pair<std::string, value>> members) : members_{members} {}

object& object::add(std::string name, value v) {
  members_.emplace_back(std::move(name), std::move(v));
  return *this;
}

void write_string(std::string& out, std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  out.push_back('"');
  while (!text.empty()) {
    auto length = sequence_length(text);
    auto c = text.front();
    if (length == 0) {
      out.append("\xEF\xBF\xBD");
      length = 1;
    } else if (length > 1) {
      out.append(text.substr(0, length));
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c == '\r') {
      out.append("\\r");
    } else {
      out.append("\\u00").push_back(hex[static_cast<unsigned char>(c) >> 4]);
      out.push_back(hex[static_cast<unsigned char>(c) & 15]);
    }
    text.remove_prefix(length);
  }
  out.push_back('"');
}

void value::write(std::string& out) const {
  struct writer {
    std::string& out;
    void operator()(std::nullptr_t) const { out.append("null"); }
    void operator()(bool b) const { out.append(b ? "true" : "false"); }
    void operator()(std::int64_t n) const { out.append(std::to_string(n)); }
    void operator()(const decimal& d) const { d.append_to(out); }
    void operator()(const std::string& s) const { write_string(out, s); }
    void operator()(const raw& r) const { out.append(r.text); }
    void operator()(const array& items) const {
      out.push_back('[');
      for (auto separator = false; const auto& item : items) {
        if (std::exchange(separator, true)) out.push_back(',');
        item.write(out);
      }
      out.push_back(']');
    }
    void operator()(const object& o) const {
      out.push_back('{');
      for (auto separator = false; const auto& [name, member] : o.members()) {
        if (std::exchange(separator, true)) out.push_back(',');
        write_string(out, name);
        out.push_back(':');
        member.write(out);
      }
      out.push_back('}');
    }
  };
  std::visit(writer{out}, data_);
}

std::string to_text(const value& v) {
  std::string out;
  v.write(out);
  return out;
}

result<boost::json::value> parse(std::string_view text) {
  boost::system::error_code error;
  boost::json::basic_parser<duplicate_finder> names{limits()};
  auto used = names.write_some(false, text.data(), text.size(), error);
  if (!error && used == text.size()) {
    auto document = boost::json::parse({text.data(), text.size()}, error, {}, limits());
    if (!error) return document;
  }
  return fault{errc::bad_request, "Invalid JSON body", {}, error.message()};
}

} // namespace binnacle::json
