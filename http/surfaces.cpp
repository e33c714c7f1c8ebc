#include "http/surfaces.hpp"

#include "config/base/text.hpp"
#include "http/response_writer.hpp"
#include "http/routes/dialect.hpp"

#include <algorithm>
#include <cctype>

namespace binnacle::http {
namespace {

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// Cuts `text` up to the next `separator` off its front.
std::string_view take(std::string_view& text, char separator) {
  auto end = text.find(separator);
  auto out = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return trimmed(out);
}

/// "q=0", "q=0.0", …: not acceptable.
bool refuses(std::string_view parameter) {
  auto name = take(parameter, '=');
  return same_ignoring_case(name, "q") && !parameter.empty() &&
         parameter.find_first_not_of("0. ") == parameter.npos;
}

/// Problem details (RFC 9457).
json::object problem_of(int status, std::string_view text, const exchange& x) {
  return {{"type", "about:blank"},
          {"title", reason_phrase(status)},
          {"status", status},
          {"detail", text},
          {"instance", x.id}};
}

} // namespace

bool wants_problem(std::string_view accept) {
  while (!accept.empty()) {
    auto range = take(accept, ',');
    if (!same_ignoring_case(take(range, ';'), "application/problem+json")) continue;
    auto refused = false;
    while (!range.empty()) refused |= refuses(take(range, ';'));
    if (!refused) return true;
  }
  return false;
}

failure describe(const fault& f, const error_table& rows, std::span<const translation> texts) {
  const auto& general = binnacle::describe(f.code);
  const auto& row = rows[static_cast<std::size_t>(general.code)];
  auto known = std::ranges::find(texts, f.text, &translation::english);
  auto own = known == texts.end() ? std::string_view{f.text} : known->text;
  return {general.status, row.name, std::string{own.empty() ? row.text : own}};
}

bool is_csrf_refusal(const fault& f) {
  return f.code == errc::forbidden && f.detail.starts_with("csrf_");
}

std::int64_t retry_after(const exchange& x) {
  const auto& limit = x.limit;
  return std::max<std::int64_t>(limit ? limit->retry_after : 1, 1);
}

response present(const failure& f, const json::object& body, const exchange& x) {
  response out;
  out.status = f.status;
  out.cache = caching::no_store;
  if (wants_problem(x.req.at(field::accept))) {
    out.content_type = "application/problem+json";
    out.body = json::to_text(problem_of(f.status, f.text, x));
  } else {
    out.body = json::to_text(body);
  }
  return out;
}

response render_status(const surface& face, int status, std::string text, const exchange& x) {
  if (text.empty()) text = reason_phrase(status);
  fault f{status < 500 ? errc::bad_request : errc::internal, std::move(text), {}, {}};
  auto out = face.render(f, x);
  out.status = status;
  if (wants_problem(x.req.at(field::accept)))
    out.body = json::to_text(problem_of(status, f.text, x));
  return out;
}

} // namespace binnacle::http
