#include "config/base/errors.hpp"

#include <array>
#include <stdexcept>

namespace binnacle {
namespace {

constexpr std::array rows{
    errc_row{errc::none, 200, "ok", "OK"},
    errc_row{errc::bad_request, 400, "bad_request", "Bad request"},
    errc_row{errc::unauthenticated, 401, "unauthorized", "Unauthorized"},
    errc_row{errc::forbidden, 403, "forbidden", "Forbidden"},
    errc_row{errc::not_found, 404, "not_found", "Not found"},
    errc_row{errc::method_not_allowed, 405, "method_not_allowed", "Method not allowed"},
    errc_row{errc::conflict, 409, "conflict", "Conflict"},
    errc_row{errc::gone, 410, "gone", "Gone"},
    errc_row{errc::payload_too_large, 413, "payload_too_large", "Payload too large"},
    errc_row{errc::unsupported_media_type, 415, "unsupported_media_type", "Unsupported media type"},
    errc_row{errc::unprocessable, 422, "unprocessable", "Unprocessable content"},
    errc_row{errc::rate_limited, 429, "rate_limited", "Too many requests, please try again later"},
    errc_row{errc::not_implemented, 501, "not_implemented", "Not implemented"},
    errc_row{errc::internal, 500, "internal_error", "Internal server error"},
    errc_row{errc::upstream_failed, 502, "upstream_failed", "An upstream service failed"},
    errc_row{errc::unavailable, 503, "unavailable", "Service temporarily unavailable"},
    errc_row{errc::overloaded, 503, "overloaded", "Service temporarily overloaded"},
    errc_row{errc::timed_out, 503, "timed_out", "The request took too long"},
    errc_row{errc::request_timeout, 408, "request_timeout", "Request timeout"},
    errc_row{errc::target_too_long, 414, "uri_too_long", "Request target too long"},
    errc_row{errc::head_too_large, 431, "header_fields_too_large",
             "Request header fields too large"},
    errc_row{errc::expectation_failed, 417, "expectation_failed", "Expectation failed"},
    errc_row{errc::version_not_supported, 505, "version_not_supported",
             "HTTP version not supported"},
    errc_row{errc::in_progress, 409, "request_in_progress",
             "A request with this Idempotency-Key is still in progress"},
};

static_assert(rows.size() == static_cast<std::size_t>(errc::count_), "one row per error code");

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].code != static_cast<errc>(i)) return false;
  return true;
}
static_assert(rows_in_order(), "rows stand in the order of the enumeration");

} // namespace

const errc_row& describe(errc code) {
  auto index = static_cast<std::size_t>(code);
  return rows[index < rows.size() ? index : static_cast<std::size_t>(errc::internal)];
}

errc errc_of_status(int status) {
  for (auto& row : rows)
    if (row.status == status) return row.code;
  return status >= 400 && status < 500 ? errc::bad_request : errc::internal;
}

fault bad_field(std::string field, std::string text) {
  return {errc::bad_request, std::move(text), std::move(field), {}};
}

fault bad_fields(std::vector<field_problem> all) {
  auto out = bad_field(all.front().field, all.front().text);
  out.fields = std::move(all);
  return out;
}

fault internal_fault(std::string detail) { return {errc::internal, {}, {}, std::move(detail)}; }

std::string to_string(const fault& f) {
  std::string out{describe(f.code).name};
  out.append(": ").append(f.message());
  if (!f.field.empty()) out.append(" [").append(f.field).append("]");
  if (!f.detail.empty()) out.append(" (").append(f.detail).append(")");
  return out;
}

void throw_exception_from_error(const fault& f, const boost::source_location&) {
  throw std::runtime_error{to_string(f)};
}

} // namespace binnacle
