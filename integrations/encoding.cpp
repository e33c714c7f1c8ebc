#include "integrations/encoding.hpp"

#include "integrations/tokens.hpp"

#include <algorithm>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

std::string encode(std::string_view bytes, int variant) {
  need_sodium();
  std::string out(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes_of(bytes), bytes.size(), variant);
  out.pop_back(); // libsodium counts and writes a terminating zero
  return out;
}

/// libsodium 1.0.18 also reads some bytes past 0x7F as the letter without their highest bit.
bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::optional<std::string> decode(std::string_view text, int variant) {
  need_sodium();
  if (!is_ascii(text)) return {};
  std::string out(text.size() / 4 * 3 + 3, '\0');
  std::size_t length = 0;
  const char* end = nullptr;
  if (sodium_base642bin(bytes_of(out), out.size(), text.data(), text.size(), nullptr, &length, &end,
                        variant) != 0 ||
      end != text.data() + text.size())
    return {};
  out.resize(length);
  return out;
}

} // namespace

void need_sodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) throw std::runtime_error{"libsodium cannot be initialised"};
}

std::string to_base64(std::string_view bytes) {
  return encode(bytes, sodium_base64_VARIANT_ORIGINAL);
}
std::optional<std::string> from_base64(std::string_view text) {
  return decode(text, sodium_base64_VARIANT_ORIGINAL);
}
std::string to_base64url(std::string_view bytes) {
  return encode(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}
std::optional<std::string> from_base64url(std::string_view text) {
  return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<std::string> from_hex(std::string_view text) {
  need_sodium();
  std::string out(text.size() / 2, '\0');
  std::size_t length = 0;
  const char* end = nullptr;
  if (!is_ascii(text) || text.size() % 2 != 0 ||
      sodium_hex2bin(bytes_of(out), out.size(), text.data(), text.size(), nullptr, &length, &end) !=
          0 ||
      length != out.size())
    return {};
  return out;
}

std::string sha256(std::string_view text) {
  // Looked up once: OpenSSL 3 takes longer to find the algorithm than to hash a token.
  static const auto* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::string out(32, '\0');
  if (EVP_Digest(text.data(), text.size(), bytes_of(out), nullptr, algorithm, nullptr) != 1)
    throw std::runtime_error{"cannot compute SHA-256"};
  return out;
}

std::string to_hex(std::string_view bytes) {
  std::string out(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), bytes_of(bytes), bytes.size());
  out.pop_back();
  return out;
}

std::string random_token(std::size_t n) {
  need_sodium();
  std::string bytes(n, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  auto out = to_base64url(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return out;
}

} // namespace binnacle::integrations
