#include "http/routes/body.hpp"

#include "config/base/json.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <cctype>
#include <cmath>

namespace binnacle::http {
namespace {

/// "application/json; charset=utf-8" and "application/merge-patch+json".
bool is_json(std::string_view content_type) {
  std::string type{content_type.substr(0, content_type.find(';'))};
  while (type.ends_with(' ')) type.pop_back();
  std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

/// 100, 100.0 and 1e2 are the same number to JSON.
std::optional<std::int64_t> whole(const boost::json::value& v) {
  constexpr double exact = 9'007'199'254'740'992; // 2^53
  if (v.is_int64()) return v.get_int64();
  if (!v.is_double() || std::trunc(v.get_double()) != v.get_double()) return {};
  if (std::abs(v.get_double()) > exact) return {};
  return static_cast<std::int64_t>(v.get_double());
}

} // namespace

result<json_fields> json_fields::of(const request& req) {
  auto type = req.at(field::content_type);
  if (!type.empty() && !is_json(type))
    return fault{errc::unsupported_media_type, "Content-Type must be application/json", {}, {}};
  auto parsed = json::parse(req.body);
  if (!parsed) return parsed.error();
  if (!parsed->is_object())
    return fault{errc::bad_request, "The body must be a JSON object", {}, {}};
  return json_fields{std::move(parsed->get_object())};
}

result<json_fields> json_fields::of_optional(const request& req) {
  if (req.body.empty()) return json_fields{boost::json::object{}};
  return of(req);
}

void json_fields::require(std::initializer_list<std::string_view> names) {
  std::string missing;
  for (auto name : names) {
    const auto* v = find(name);
    if (v && !(v->is_string() && v->get_string().empty())) continue;
    missing.append(missing.empty() ? "" : ", ").append(name);
  }
  if (!missing.empty()) note(bad_field(missing, "Missing required fields: " + missing));
}

void json_fields::refuse_others(std::initializer_list<std::string_view> names) {
  for (const auto& field : from_) {
    std::string_view name{field.key().data(), field.key().size()};
    if (std::ranges::find(names, name) == names.end()) note(name, "is not a field of this request");
  }
}

const boost::json::value* json_fields::find(std::string_view name) const {
  const auto* v = from_.if_contains({name.data(), name.size()});
  return v && !v->is_null() ? v : nullptr;
}

void json_fields::note(fault f) {
  field_problem one{f.field, f.text};
  if (!problem_) problem_ = std::move(f);
  if (!one.field.empty()) problem_->fields.push_back(std::move(one));
}

void json_fields::note(std::string_view name, std::string_view rule) {
  note(bad_field(std::string{name}, std::string{name}.append(" ").append(rule)));
}

bool json_fields::is_null(std::string_view name) const {
  const auto* v = from_.if_contains({name.data(), name.size()});
  return v && v->is_null();
}

std::optional<std::string> json_fields::maybe_text(std::string_view name, std::size_t longest) {
  const auto* v = find(name);
  if (!v) return {};
  if (!v->is_string()) {
    note(name, "must be a string");
    return {};
  }
  std::string text{v->get_string().data(), v->get_string().size()};
  if (text.size() > longest) {
    note(name, "is too long");
    return {};
  }
  if (text.find('\0') != text.npos) { // PostgreSQL's text cannot hold it
    note(name, "must not contain NUL");
    return {};
  }
  return text;
}

std::optional<std::int64_t> json_fields::maybe_integer(std::string_view name, std::int64_t least,
                                                       std::int64_t most) {
  const auto* v = find(name);
  if (!v) return {};
  auto n = whole(*v);
  if (n && *n >= least && *n <= most) return n;
  note(name,
       "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return {};
}

std::optional<time_point> json_fields::maybe_time(std::string_view name) {
  auto text = maybe_text(name, 64);
  if (!text) return {};
  auto representable = *text >= "1970" && *text < "2200"; // in a time_point
  auto t = representable ? parse_iso(*text) : std::nullopt;
  if (!t) note(name, "must be an RFC 3339 time such as 2025-02-07T03:00:00Z");
  return t;
}

std::optional<std::vector<std::string>>
json_fields::maybe_texts(std::string_view name, std::size_t most, std::size_t longest) {
  const auto* v = find(name);
  if (!v) return {};
  auto fits = [longest](const boost::json::value& each) {
    return each.is_string() && !each.get_string().empty() && each.get_string().size() <= longest &&
           each.get_string().find('\0') == boost::json::string::npos;
  };
  if (!v->is_array() || v->get_array().size() > most ||
      !std::ranges::all_of(v->get_array(), fits)) {
    note(name, "must be a list of at most " + std::to_string(most) + " strings of 1 to " +
                   std::to_string(longest) + " bytes");
    return {};
  }
  std::vector<std::string> out;
  for (const auto& each : v->get_array())
    out.emplace_back(each.get_string().data(), each.get_string().size());
  return out;
}

std::optional<bool> json_fields::maybe_truth(std::string_view name) {
  const auto* v = find(name);
  if (!v) return {};
  if (v->is_bool()) return v->get_bool();
  note(name, "must be true or false");
  return {};
}

} // namespace binnacle::http
