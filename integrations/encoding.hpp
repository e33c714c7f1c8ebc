/// Base64, base64url and hexadecimal text (libsodium), strict: no white space, exact padding, no
/// set bits behind the last byte. So one byte string has one text, and a changed character is seen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace binnacle::integrations {

/// Starts libsodium; every function that uses it calls this first. Throws std::runtime_error when
/// the machine has no source of randomness.
void need_sodium();

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

/// Without padding (RFC 4648 §5, as in RFC 7515).
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

std::optional<std::string> from_hex(std::string_view text);

/// A byte string as C libraries want it.
inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

} // namespace binnacle::integrations
