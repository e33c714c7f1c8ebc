#include "http/routes/dialect.hpp"
#include "http/surfaces.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

// gateway.md §1.1: the codes of format B. Format A shows the text only.
constexpr error_table rows{{
    {errc::none, "INTERNAL_SERVER_ERROR", "Internal error"},
    {errc::bad_request, "VALIDATION_ERROR", "Invalid input"},
    {errc::unauthenticated, "AUTH_UNAUTHORIZED", "Unauthorized"},
    {errc::forbidden, "AUTH_INSUFFICIENT_PERMISSIONS", "Forbidden"},
    {errc::not_found, "RESOURCE_NOT_FOUND", "Not found"},
    {errc::method_not_allowed, "METHOD_NOT_ALLOWED", "Method not allowed"},
    {errc::conflict, "RESOURCE_ALREADY_EXISTS", "Conflict"},
    {errc::gone, "RESOURCE_NOT_FOUND", "No longer available"},
    {errc::payload_too_large, "VALIDATION_ERROR", "Request body too large"},
    {errc::unsupported_media_type, "VALIDATION_INVALID_FORMAT", "Unsupported media type"},
    {errc::unprocessable, "VALIDATION_ERROR", "The request cannot be processed"},
    {errc::rate_limited, "RATE_LIMIT_EXCEEDED", "Too many requests. Try again later."},
    {errc::not_implemented, "INTERNAL_SERVER_ERROR", "Not implemented"},
    {errc::internal, "INTERNAL_SERVER_ERROR", "Internal error"},
    {errc::upstream_failed, "PROVIDER_ERROR", "An upstream service failed"},
    {errc::unavailable, "INTERNAL_SERVER_ERROR", "Service temporarily unavailable"},
    {errc::overloaded, "INTERNAL_SERVER_ERROR", "Service temporarily overloaded"},
    {errc::timed_out, "INTERNAL_SERVER_ERROR", "The request took too long"},
    {errc::request_timeout, "VALIDATION_ERROR", "Request timeout"},
    {errc::target_too_long, "VALIDATION_ERROR", "Request target too long"},
    {errc::head_too_large, "VALIDATION_ERROR", "Request header fields too large"},
    {errc::expectation_failed, "VALIDATION_ERROR", "Expectation not supported"},
    {errc::version_not_supported, "VALIDATION_ERROR", "HTTP version not supported"},
    {errc::in_progress, "VALIDATION_ERROR",
     "A request with this Idempotency-Key is still in progress"},
}};
static_assert(in_order(rows));

constexpr std::array structured_paths{
    std::string_view{"/api/auth/login"}, std::string_view{"/api/auth/change-password"},
    std::string_view{"/api/setup"}, std::string_view{"/api/providers/keys"}};

/// What a route says of its own.
struct special {
  std::string_view path;
  errc code;
  int status;
  std::string_view name;
  std::string_view text; // empty: as in the table
};
constexpr std::array specials{
    special{"/api/auth/login", errc::rate_limited, 429, "RATE_LIMIT_EXCEEDED",
            "Too many login attempts. Try again later."},
    special{"/api/auth/login", errc::unauthenticated, 401, "AUTH_FAILED", "Invalid credentials"},
    special{"/api/setup", errc::conflict, 400, "SETUP_ALREADY_COMPLETED",
            "Setup is already complete"},
};

/// 400s by what is wrong: fields missing, a field of the wrong form, or something else.
json::object describe_bad_request(const fault& f, failure& shown) {
  constexpr std::string_view missing = "Missing required fields";
  json::object details;
  if (f.text.starts_with(missing)) {
    shown.name = "VALIDATION_MISSING_FIELDS";
    json::array fields;
    for (std::string_view rest = f.field; !rest.empty();) {
      auto end = rest.find(", ");
      fields.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 2);
    }
    details.add("fields", std::move(fields));
  } else if (!f.field.empty()) {
    shown.name = "VALIDATION_INVALID_FORMAT";
    details.add("field", f.field);
  }
  return details;
}

response render(const fault& f, const exchange& x) {
  auto shown = describe(f, rows);
  auto own = std::ranges::find_if(
      specials, [&](const special& s) { return s.path == x.req.path && s.code == f.code; });
  if (own != specials.end()) shown = {own->status, own->name, std::string{own->text}};
  if (is_csrf_refusal(f)) {
    shown.text = "Forbidden";
    return present(shown, {{"error", shown.text}}, x); // format A on every route
  }
  if (std::ranges::find(structured_paths, x.req.path) == structured_paths.end())
    return present(shown, {{"error", shown.text}}, x);
  // Somebody is logged in, so it is the password that was refused and not the session.
  if (f.code == errc::unauthenticated && !f.text.empty()) shown.name = "AUTH_FAILED";
  json::object details;
  if (f.code == errc::bad_request) details = describe_bad_request(f, shown);
  json::object error{{"code", shown.name}, {"message", shown.text}};
  if (!details.members().empty()) error.add("details", std::move(details));
  return present(shown, {{"error", std::move(error)}}, x);
}

} // namespace

const surface gateway{.name = "gateway",
                      .order = {check::limit, check::authentication, check::csrf},
                      .render = render,
                      .session_cookie = "session"};

} // namespace binnacle::http
