#include "http/response_writer.hpp"

#include "actors/body.hpp"
#include "actors/route.hpp"
#include "http/text_of_second.hpp"
#include "integrations/object_store.hpp"

#include <array>
#include <charconv>
#include <chrono>

namespace binnacle::http {
namespace {

constexpr std::string_view security_headers =
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
    "X-Frame-Options: DENY\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: strict-origin-when-cross-origin\r\n"
    "Permissions-Policy: camera=(), microphone=(), geolocation=(), interest-cohort=()\r\n";

void append_number(std::string& out, std::int64_t n) {
  std::array<char, 20> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), n).ptr;
  out.append(buffer.data(), end);
}

void append(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_limit(std::string& out, const limit_report& l) {
  out.append("X-RateLimit-Limit: ");
  append_number(out, l.limit.max);
  out.append("\r\nX-RateLimit-Remaining: ");
  append_number(out, l.remaining);
  out.append("\r\nX-RateLimit-Reset: ");
  append_number(out, l.reset_at);
  // draft-ietf-httpapi-ratelimit-headers-10
  auto policy = limit_rows[static_cast<std::size_t>(l.name)].policy;
  out.append("\r\nRateLimit-Policy: \"").append(policy).append("\";q=");
  append_number(out, l.limit.max);
  out.append(";w=");
  append_number(out, l.limit.window.count());
  out.append("\r\nRateLimit: \"").append(policy).append("\";r=");
  append_number(out, l.remaining);
  out.append(";t=");
  append_number(
      out, std::max<std::int64_t>(0, l.reset_at - unix_seconds(std::chrono::system_clock::now())));
  out.append("\r\n");
  if (l.retry_after > 0) {
    out.append("Retry-After: ");
    append_number(out, l.retry_after);
    out.append("\r\n");
  }
}

void append_milliseconds(std::string& out, std::chrono::microseconds d) {
  append_number(out, d.count() / 1'000);
  out.push_back('.');
  auto rest = d.count() % 1'000;
  out.push_back(static_cast<char>('0' + rest / 100));
  out.push_back(static_cast<char>('0' + rest / 10 % 10));
}

std::string_view cache_control(caching c) {
  switch (c) {
  case caching::private_revalidate:
    return "private, no-cache";
  case caching::no_store:
    return "no-store";
  case caching::never_kept:
    return "no-store, no-cache, must-revalidate";
  case caching::public_short:
    return "public, max-age=60";
  case caching::public_immutable:
    return "public, max-age=31536000, immutable";
  case caching::private_immutable:
    return "private, max-age=31536000, immutable";
  case caching::public_for_a_quarter:
    return "public, max-age=900, immutable";
  }
  return "no-store";
}

/// CORS (Fetch §3.2.3). A day is the longest that some browser remembers a preflight.
void append_sharing(std::string& out, const exchange& x, std::string_view allow) {
  if (!x.matched || !x.matched->face->admits_origin) return;
  append(out, "Vary", "Origin");
  if (x.shown_to.empty()) return;
  append(out, "Access-Control-Allow-Origin", x.shown_to);
  append(out, "Access-Control-Allow-Credentials", "true");
  if (!is_preflight(x.req)) {
    append(out, "Access-Control-Expose-Headers",
           "Allow, ETag, RateLimit, RateLimit-Policy, Retry-After, X-RateLimit-Limit, "
           "X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id");
    return;
  }
  append(out, "Access-Control-Allow-Methods", allow);
  append(out, "Access-Control-Allow-Headers",
         "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id");
  append(out, "Access-Control-Max-Age", "86400");
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

} // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 206:
    return "Partial Content";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 416:
    return "Range Not Satisfiable";
  case 417:
    return "Expectation Failed";
  case 422:
    return "Unprocessable Content";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  default:
    return "Status";
  }
}

written write_response(const exchange& x, const write_options& options, std::string& head,
                       std::string& scratch) {
  const auto& r = x.result_of();
  auto is_part = r.part.of != nullptr;
  std::string_view body = is_part    ? r.part.of->text(r.part.begin, r.part.size)
                          : r.shared ? std::string_view{r.shared->text}
                                     : std::string_view{r.body};
  std::string etag{r.shared ? r.shared->etag() : std::string_view{}};
  auto compressed = false;
  if (!is_part && body.size() > worth_compressing &&
      accepts_gzip(x.req.at(field::accept_encoding))) {
    if (r.shared) {
      if (!r.shared->gzip.empty()) body = r.shared->gzip, compressed = true;
    } else if (scratch = gzip(body); !scratch.empty()) {
      body = scratch, compressed = true;
    }
    if (compressed && !etag.empty()) etag = gzip_etag(etag);
  }

  head.append("HTTP/1.1 ");
  append_number(head, r.status);
  head.append(" ").append(reason_phrase(r.status)).append("\r\n");
  append(head, "Date", text_of_second<format_http>());
  head.append(security_headers);
  append(head, "X-Request-Id", x.id);
  if (may_have_body(r.status)) {
    append(head, "Content-Type", r.content_type);
    if (compressed) head.append("Content-Encoding: gzip\r\n");
    if (!r.stream) { // which lasts as long as the connection
      head.append("Content-Length: ");
      append_number(head, static_cast<std::int64_t>(is_part ? r.part.size : body.size()));
      head.append("\r\n");
    }
  }
  if (compressed || (!is_part && (body.size() > worth_compressing || r.status == 304)))
    head.append("Vary: Accept-Encoding\r\n");
  append_sharing(head, x, options.allow);
  if (!etag.empty()) append(head, "ETag", etag);
  append(head, "Cache-Control", r.status < 400 ? cache_control(r.cache) : "no-store");
  if (r.limit) append_limit(head, *r.limit);
  // A full queue, a database that is away: asking again at once makes nothing better. A limit that
  // knows better has said so.
  auto limited = r.status == 429 && !(r.limit && r.limit->retry_after > 0);
  if (r.status == 503 || limited) head.append("Retry-After: 1\r\n");
  if (r.status == 200) {
    auto total = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now() - x.received);
    head.append("Server-Timing: ");
    if (r.database_time.count() > 0) {
      head.append("db;dur=");
      append_milliseconds(head, r.database_time);
      head.append(", ");
    }
    head.append("total;dur=");
    append_milliseconds(head, std::max(total, std::chrono::microseconds{0}));
    head.append("\r\n");
  }
  if (!x.traceparent.empty()) append(head, "traceparent", x.traceparent);
  if (!options.allow.empty()) append(head, "Allow", options.allow);
  for (auto& [name, value] : r.headers) append(head, name, value);
  if (!options.keep_alive)
    head.append("Connection: close\r\n");
  else if (options.to_http_1_0)
    head.append("Connection: keep-alive\r\n");
  head.append("\r\n");
  if (x.req.verb == method::head || !may_have_body(r.status)) return {};
  if (is_part && (r.part.stream || r.part.of->file() >= 0)) return {.from_store = true};
  return {.body = body};
}

std::string bare_response(int status, std::string_view json_body, std::string_view request_id) {
  std::string out{"HTTP/1.1 "};
  append_number(out, status);
  out.append(" ").append(reason_phrase(status)).append("\r\n");
  append(out, "Date", text_of_second<format_http>());
  out.append(security_headers);
  if (!request_id.empty()) append(out, "X-Request-Id", request_id);
  append(out, "Content-Type", "application/json; charset=utf-8");
  append(out, "Cache-Control", "no-store");
  if (status == 503 || status == 429) append(out, "Retry-After", "1");
  out.append("Content-Length: ");
  append_number(out, static_cast<std::int64_t>(json_body.size()));
  out.append("\r\nConnection: close\r\n\r\n").append(json_body);
  return out;
}

} // namespace binnacle::http
