/// Turns a response into bytes: status line, the headers every response carries (contract README,
/// decision 8; hub.md §1.4), limits, caching, timing, and the body to send with them.
#pragma once

#include "actors/exchange.hpp"

#include <string>
#include <string_view>

namespace binnacle::http {

struct write_options {
  bool keep_alive = true;
  bool to_http_1_0 = false; // such a client must be told that the connection stays
  std::string_view allow{}; // for 405 and OPTIONS
};

/// What to send: `head` is appended to, `body` points into the response or into `scratch`.
struct written {
  std::string_view body{};
  bool from_store = false; // instead of `body`: the response's part of an object not in memory
};

/// Appends the head of `x`'s response to `head`. `scratch` may take a compressed body; both must
/// live until the bytes are sent.
written write_response(const exchange& x, const write_options& options, std::string& head,
                       std::string& scratch);

/// A whole response outside any exchange: a connection refused, a head that could not be parsed.
std::string bare_response(int status, std::string_view json_body, std::string_view request_id);

std::string_view reason_phrase(int status);

} // namespace binnacle::http
