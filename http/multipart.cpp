#include "http/multipart.hpp"

#include "config/base/text.hpp"

#include <algorithm>
#include <cstring>

namespace binnacle::http {
namespace {

constexpr std::size_t longest_boundary = 70;

fault malformed(std::string why) {
  return {errc::bad_request, "Malformed form data", {}, "multipart: " + std::move(why)};
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_boundary_character(char c) {
  constexpr std::string_view signs = "'()+_,-./:=? ";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         signs.find(c) != signs.npos;
}

/// Takes `; name=value` or `; name="value"` off the front of a header's rest. In quotes, \" is a
/// quote; any other backslash stands for itself, as browsers write it.
struct parameter {
  std::string_view name{};
  std::string value{};
};
std::optional<parameter> take_parameter(std::string_view& rest) {
  rest = trimmed(rest);
  if (!rest.starts_with(';')) return {};
  rest.remove_prefix(1);
  auto equals = rest.find('=');
  if (equals == rest.npos) return {};
  parameter out;
  out.name = trimmed(rest.substr(0, equals));
  rest.remove_prefix(equals + 1);
  if (!rest.starts_with('"')) {
    auto end = std::min(rest.find(';'), rest.size());
    out.value = trimmed(rest.substr(0, end));
    rest.remove_prefix(end);
    return out;
  }
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    if (rest[at] == '\\' && at + 1 < rest.size() && rest[at + 1] == '"') ++at;
    out.value.push_back(rest[at]);
  }
  if (at == rest.size()) return {}; // the quotes are not closed
  rest.remove_prefix(at + 1);
  return out;
}

/// Browsers escape these three and nothing else.
std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    auto escape = text.substr(0, 3);
    auto c = equal_ignoring_case(escape, "%0A")   ? '\n'
             : equal_ignoring_case(escape, "%0D") ? '\r'
             : escape == "%22"                    ? '"'
                                                  : '\0';
    out.push_back(c ? c : text.front());
    text.remove_prefix(c ? 3 : 1);
  }
  return out;
}

std::optional<std::string> boundary_of(std::string_view content_type) {
  auto semicolon = std::min(content_type.find(';'), content_type.size());
  if (!equal_ignoring_case(trimmed(content_type.substr(0, semicolon)), "multipart/form-data"))
    return {};
  auto rest = content_type.substr(semicolon);
  while (auto p = take_parameter(rest)) {
    if (!equal_ignoring_case(p->name, "boundary")) continue;
    if (p->value.empty() || p->value.size() > longest_boundary || p->value.back() == ' ' ||
        !std::ranges::all_of(p->value, is_boundary_character))
      return {};
    return p->value;
  }
  return {};
}

std::size_t find(std::string_view in, std::string_view what) {
  auto* at = static_cast<const char*>(::memmem(in.data(), in.size(), what.data(), what.size()));
  return at ? static_cast<std::size_t>(at - in.data()) : in.npos;
}

/// "form-data; name=…; filename=…". False when it is something else or names nothing.
bool read_disposition(std::string_view text, form_part& out) {
  auto semicolon = std::min(text.find(';'), text.size());
  if (!equal_ignoring_case(trimmed(text.substr(0, semicolon)), "form-data")) return false;
  auto named = false;
  auto rest = text.substr(semicolon);
  while (auto p = take_parameter(rest)) {
    if (equal_ignoring_case(p->name, "name")) {
      out.name = unescaped(p->value);
      named = true;
    } else if (equal_ignoring_case(p->name, "filename")) {
      out.filename = unescaped(p->value);
    }
  }
  return named && trimmed(rest).empty();
}

bool read_head(std::string_view head, form_part& out) {
  auto named = false;
  while (!head.empty()) {
    auto end = find(head, "\r\n");
    auto line = head.substr(0, end);
    head.remove_prefix(end == head.npos ? head.size() : end + 2);
    auto colon = line.find(':');
    if (colon == line.npos || line.find('\0') != line.npos) return false;
    auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (equal_ignoring_case(name, "content-disposition")) {
      if (named || !read_disposition(value, out)) return false;
      named = true;
    } else if (equal_ignoring_case(name, "content-type")) {
      out.content_type = value;
    }
  }
  return named;
}

} // namespace

result<std::vector<form_part>> parse_form(std::string_view content_type, std::string_view body) {
  auto boundary = boundary_of(content_type);
  if (!boundary) return malformed("no form, or no boundary");
  auto delimiter = "\r\n--" + *boundary;
  if (body.starts_with("\r\n")) body.remove_prefix(2);
  // The line end before the first delimiter is the head's of the whole message.
  if (!body.starts_with(std::string_view{delimiter}.substr(2)))
    return malformed("does not begin with the boundary");
  body.remove_prefix(delimiter.size() - 2);

  std::vector<form_part> out;
  for (;;) {
    if (body.starts_with("--")) return out; // what comes after the last delimiter is of no interest
    while (body.starts_with(' ') || body.starts_with('\t')) body.remove_prefix(1);
    if (!body.starts_with("\r\n")) return malformed("no line end after the boundary");
    if (out.size() == most_form_parts) return malformed("too many parts");
    body.remove_prefix(2);
    auto head_end = find(body.substr(0, longest_part_head), "\r\n\r\n");
    if (head_end == body.npos) return malformed("a part's head has no end, or is too long");
    auto& part = out.emplace_back();
    if (!read_head(body.substr(0, head_end), part)) return malformed("a part has no name");
    // An empty part's delimiter may share the line end of the empty line before it.
    body.remove_prefix(head_end + 2);
    auto end = find(body, delimiter);
    if (end == body.npos) return malformed("no final boundary");
    part.content = end < 2 ? std::string_view{} : body.substr(2, end - 2);
    body.remove_prefix(end + delimiter.size());
  }
}

} // namespace binnacle::http
