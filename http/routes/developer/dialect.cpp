#include "http/routes/dialect.hpp"
#include "http/routes/developer/origins.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

// developer.md §1.
constexpr error_table rows{{
    {errc::none, "internal_error", "internal error"},
    {errc::bad_request, "validation_error", "invalid request"},
    {errc::unauthenticated, "unauthorized", "authentication required"},
    {errc::forbidden, "forbidden", "access denied"},
    {errc::not_found, "not_found", "not found"},
    {errc::method_not_allowed, "method_not_allowed", "method not allowed"},
    {errc::conflict, "conflict", "contradicts the present state"},
    {errc::gone, "not_found", "no longer available"},
    {errc::payload_too_large, "validation_error", "request body too large"},
    {errc::unsupported_media_type, "validation_error", "unsupported media type"},
    {errc::unprocessable, "validation_error", "the request cannot be processed"},
    {errc::rate_limited, "rate_limit_exceeded", "too many requests, please try again later"},
    {errc::not_implemented, "not_implemented", "not implemented"},
    {errc::internal, "internal_error", "internal error"},
    {errc::upstream_failed, "internal_error", "an upstream service failed"},
    {errc::unavailable, "internal_error", "service temporarily unavailable"},
    {errc::overloaded, "internal_error", "service temporarily overloaded"},
    {errc::timed_out, "internal_error", "the request took too long"},
    {errc::request_timeout, "validation_error", "the request did not arrive in time"},
    {errc::target_too_long, "validation_error", "request target too long"},
    {errc::head_too_large, "validation_error", "request header fields too large"},
    {errc::expectation_failed, "validation_error", "expectation not supported"},
    {errc::version_not_supported, "validation_error", "HTTP version not supported"},
    {errc::in_progress, "conflict", "a request with this Idempotency-Key is still in progress"},
}};
static_assert(in_order(rows));

constexpr std::array translations{translation{"Invalid JSON body", "invalid JSON body"}};

response render(const fault& f, const exchange& x) {
  auto shown = describe(f, rows, translations);
  auto of_refresh = x.req.path == "/auth/refresh" || x.req.path == "/auth/logout";
  if (f.code == errc::unauthenticated && of_refresh) shown.name = "invalid_refresh_token";
  json::object error{{"code", shown.name}, {"message", shown.text}};
  return present(shown, {{"error", std::move(error)}}, x);
}

} // namespace

const surface developer{.name = "developer",
                        .order = {check::authentication, check::limit, check::csrf},
                        .render = render,
                        .admits_origin = admits_origin};

} // namespace binnacle::http
