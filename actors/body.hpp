/// Response bodies: validators and compression.
#pragma once

#include "actors/exchange.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace binnacle {

/// Bodies below this are sent as they are.
inline constexpr std::size_t worth_compressing = 1'024;

/// A body with its strong ETag (half of its SHA-256) and, when it pays, its gzip form.
std::shared_ptr<const shared_body> make_shared_body(std::string text);

/// gzip (RFC 1952), level 6. Empty when the result would not be smaller.
std::string gzip(std::string_view text);

/// Whether If-None-Match (RFC 9110 §13.1.2, weak comparison) names `etag`, in either coding.
bool matches(std::string_view if_none_match, std::string_view etag);
/// The validator of the gzip form: "abc" -> "abc-gz".
std::string gzip_etag(std::string_view etag);
/// Whether Accept-Encoding (RFC 9110 §12.5.3) takes gzip.
bool accepts_gzip(std::string_view accept_encoding);

} // namespace binnacle
