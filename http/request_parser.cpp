#include "http/request_parser.hpp"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/impl/basic_parser.ipp>
#include <strings.h>

namespace binnacle::http {
namespace {

namespace beast_http = boost::beast::http;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<field> field_of(beast_http::field f, std::string_view name) {
  switch (f) {
  case beast_http::field::accept:
    return field::accept;
  case beast_http::field::accept_encoding:
    return field::accept_encoding;
  case beast_http::field::authorization:
    return field::authorization;
  case beast_http::field::content_type:
    return field::content_type;
  case beast_http::field::cookie:
    return field::cookie;
  case beast_http::field::host:
    return field::host;
  case beast_http::field::if_modified_since:
    return field::if_modified_since;
  case beast_http::field::if_none_match:
    return field::if_none_match;
  case beast_http::field::if_range:
    return field::if_range;
  case beast_http::field::origin:
    return field::origin;
  case beast_http::field::range:
    return field::range;
  case beast_http::field::referer:
    return field::referer;
  case beast_http::field::user_agent:
    return field::user_agent;
  default:
    break;
  }
  struct named {
    std::string_view name;
    field of;
  };
  static constexpr std::array others{
      named{"X-CSRF-Token", field::csrf_token},
      named{"X-Request-Id", field::request_id},
      named{"X-Forwarded-For", field::forwarded_for},
      named{"X-Forwarded-Host", field::forwarded_host},
      named{"X-Forwarded-Proto", field::forwarded_proto},
      named{"traceparent", field::traceparent},
      named{"Last-Event-ID", field::last_event_id},
      named{"Idempotency-Key", field::idempotency_key},
      named{"Stripe-Signature", field::stripe_signature},
      named{"X-Auth0-Secret", field::auth0_secret},
      named{"Access-Control-Request-Method", field::access_control_request_method}};
  for (auto& other : others)
    if (equal_ignoring_case(name, other.name)) return other.of;
  return {};
}

method method_of(beast_http::verb v) {
  switch (v) {
  case beast_http::verb::get:
    return method::get;
  case beast_http::verb::head:
    return method::head;
  case beast_http::verb::post:
    return method::post;
  case beast_http::verb::put:
    return method::put;
  case beast_http::verb::patch:
    return method::patch;
  case beast_http::verb::delete_:
    return method::delete_;
  case beast_http::verb::options:
    return method::options;
  default:
    return method::other;
  }
}

/// Printable ASCII only, no fragment, escapes well formed and never %00.
bool is_clean_target(std::string_view target) {
  auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  for (std::size_t i = 0; i < target.size(); ++i) {
    auto c = static_cast<unsigned char>(target[i]);
    if (c <= 0x20 || c >= 0x7F || c == '#' || c == '\\') return false;
    if (c != '%') continue;
    if (i + 2 >= target.size() || !is_hex(target[i + 1]) || !is_hex(target[i + 2])) return false;
    if (target[i + 1] == '0' && target[i + 2] == '0') return false;
  }
  return true;
}

/// reg-name, IPv4 or bracketed IPv6, and an optional port (RFC 9110 §7.2).
bool is_clean_host(std::string_view host) {
  if (host.empty() || host.size() > 255) return false;
  for (char c : host) {
    auto ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    if (!ok) return false;
  }
  return true;
}

/// Beast (to 1.83 at least) joins the lines of a folded value in a buffer of its own, or skips its
/// empty first lines. RFC 9112 §5.2 lets us refuse both.
bool is_folded(std::string_view name, std::string_view value, std::int64_t max_header_bytes) {
  auto name_end = reinterpret_cast<std::uintptr_t>(name.data()) + name.size();
  auto gap = reinterpret_cast<std::uintptr_t>(value.data()) - name_end;
  if (gap > static_cast<std::uintptr_t>(max_header_bytes)) return true;
  return std::string_view{name.data() + name.size(), gap}.find('\n') != std::string_view::npos;
}

} // namespace

request_parser::request_parser(const http_settings& limits, std::string buffer)
    : limits_{limits}, head_{std::move(buffer)}, body_limit_{static_cast<std::uint64_t>(
                                                     limits.max_body_bytes)} {
  head_.clear();
  header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  basic_parser::body_limit(boost::none); // ours is per route and known only after the head
}

void request_parser::refuse(int status, std::string_view why, error_code& error) {
  refused_ = {status, why};
  error = beast_http::error::bad_value;
}

request_parser::span request_parser::store(text t) {
  span s{static_cast<std::uint32_t>(head_.size()), static_cast<std::uint32_t>(t.size())};
  head_.append(t.data(), t.size());
  return s;
}

void request_parser::on_request_impl(beast_http::verb v, text, text target, int version,
                                     error_code& error) {
  version_ = version;
  verb_ = method_of(v);
  if (target.size() > static_cast<std::size_t>(limits_.max_target_bytes))
    return refuse(414, "Request target too long", error);
  head_bytes_ = static_cast<std::int64_t>(target.size());
  target_ = store(target);
  std::string_view t{target.data(), target.size()};
  // absolute-form (RFC 9112 §3.2.2): only its path and query count for us.
  for (std::string_view scheme : {"http://", "https://"})
    if (t.size() > scheme.size() && equal_ignoring_case(t.substr(0, scheme.size()), scheme)) {
      auto slash = t.find('/', scheme.size());
      if (slash == t.npos) return refuse(400, "Invalid request target", error);
      target_.at += static_cast<std::uint32_t>(slash);
      target_.size -= static_cast<std::uint32_t>(slash);
      t.remove_prefix(slash);
      break;
    }
  auto asterisk = t == "*" && verb_ == method::options;
  if (!asterisk && (t.empty() || t.front() != '/' || !is_clean_target(t)))
    return refuse(400, "Invalid request target", error);
  if (verb_ == method::other) refuse(501, "Method not implemented", error);
}

void request_parser::on_field_impl(beast_http::field f, text name, text value, error_code& error) {
  if (++field_count_ > limits_.max_header_count)
    return refuse(431, "Too many header fields", error);
  // Beast's limit starts anew with every piece that arrives.
  head_bytes_ += static_cast<std::int64_t>(name.size() + value.size() + 4);
  if (head_bytes_ > limits_.max_header_bytes)
    return refuse(431, "Request header fields too large", error);
  if (head_done_) return; // a trailer; nothing in it may change what the head said
  std::string_view v{value.data(), value.size()};
  if (is_folded({name.data(), name.size()}, v, limits_.max_header_bytes))
    return refuse(400, "Folded header field", error);
  switch (f) {
  case beast_http::field::host:
    if (++hosts_ > 1) return refuse(400, "More than one Host field", error);
    if (!is_clean_host(v)) return refuse(400, "Invalid Host field", error);
    break;
  case beast_http::field::transfer_encoding:
    ++transfer_encodings_;
    plain_chunked_ = equal_ignoring_case(v, "chunked");
    break;
  case beast_http::field::content_length:
    ++content_lengths_;
    break;
  case beast_http::field::content_encoding:
    if (!equal_ignoring_case(v, "identity"))
      return refuse(415, "Content-Encoding is not supported", error);
    break;
  case beast_http::field::expect:
    if (!equal_ignoring_case(v, "100-continue"))
      return refuse(417, "Expectation not supported", error);
    expects_continue_ = true;
    break;
  default:
    break;
  }
  auto known = field_of(f, {name.data(), name.size()});
  if (!known) return;
  auto& slot = fields_[static_cast<std::size_t>(*known)];
  if (slot.size == 0) {
    slot = store(value);
    return;
  }
  // A list that came in several fields is one list (RFC 9110 §5.3); credentials are no list.
  if (*known == field::authorization)
    return refuse(400, "More than one Authorization field", error);
  std::string joined{view(slot)};
  joined.append(*known == field::cookie ? "; " : ", ").append(v);
  slot = store({joined.data(), joined.size()});
}

void request_parser::on_header_impl(error_code& error) {
  head_done_ = true;
  if (version_ >= 11 && hosts_ == 0) return refuse(400, "Missing Host field", error);
  if (transfer_encodings_ > 0) {
    // Who reads a message framed in two ways, or in a way we do not know, may read another one
    // than the proxy in front of us did (request smuggling).
    if (content_lengths_ > 0)
      return refuse(400, "Transfer-Encoding together with Content-Length", error);
    if (version_ < 11) return refuse(400, "Transfer-Encoding in HTTP/1.0", error);
    if (transfer_encodings_ > 1 || !plain_chunked_)
      return refuse(501, "Only the chunked transfer coding is supported", error);
  }
  if (content_lengths_ > 1) return refuse(400, "More than one Content-Length field", error);
}

void request_parser::on_body_init_impl(boost::optional<std::uint64_t> const& length, error_code&) {
  if (length) body_.reserve(static_cast<std::size_t>(std::min(*length, std::uint64_t{65'536})));
}

std::size_t request_parser::on_body_impl(text part, error_code& error) {
  body_bytes_ += part.size();
  if (body_bytes_ > body_limit_) {
    refuse(413, "Payload too large", error);
    return 0;
  }
  body_.append(part.data(), part.size());
  return part.size();
}

void request_parser::on_chunk_header_impl(std::uint64_t size, text extensions, error_code& error) {
  if (extensions.size() > 256) return refuse(400, "Chunk extension too long", error);
  if (size > body_limit_ - std::min(body_bytes_, body_limit_))
    refuse(413, "Payload too large", error);
}

std::size_t request_parser::on_chunk_body_impl(std::uint64_t, text part, error_code& error) {
  return on_body_impl(part, error);
}

void request_parser::describe(request& out, std::string& head) {
  head = std::move(head_);
  head_.clear();
  auto view_of = [&](span s) { return std::string_view{head}.substr(s.at, s.size); };
  out.verb = verb_;
  out.target = view_of(target_);
  auto question = out.target.find('?');
  out.path = out.target.substr(0, question);
  out.query = question == out.target.npos ? std::string_view{} : out.target.substr(question + 1);
  for (std::size_t i = 0; i < fields_.size(); ++i)
    out.fields[i] = fields_[i].at == 0 ? std::string_view{} : view_of(fields_[i]); // 0: the target
}

} // namespace binnacle::http
