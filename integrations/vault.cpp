#include "integrations/vault.hpp"

#include "integrations/encoding.hpp"
#include "integrations/key_file.hpp"
#include "integrations/tokens.hpp"

#include <array>
#include <sodium.h>

namespace binnacle::integrations {
namespace {

using key_bytes = std::array<unsigned char, crypto_secretbox_KEYBYTES>;

/// Key bytes that are wiped when they go.
struct wiped_key {
  key_bytes bytes{};
  wiped_key() = default;
  wiped_key(const wiped_key&) = delete;
  wiped_key& operator=(const wiped_key&) = delete;
  ~wiped_key() { sodium_memzero(bytes.data(), bytes.size()); }
};

bool read_hex(std::string_view hex, key_bytes& out) {
  while (!hex.empty() && (hex.back() == '\n' || hex.back() == '\r')) hex.remove_suffix(1);
  if (hex.size() != 2 * out.size()) return false;
  auto bytes = from_hex(hex);
  if (!bytes) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  sodium_memzero(bytes->data(), bytes->size());
  return true;
}

secret make_hex_key() {
  key_bytes bytes;
  randombytes_buf(bytes.data(), bytes.size());
  std::string hex(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), bytes.data(), bytes.size());
  sodium_memzero(bytes.data(), bytes.size());
  hex.back() = '\n';
  return secret{std::move(hex)};
}

} // namespace

/// The stored key never encrypts anything itself: each context gets its own key, the keyed BLAKE2b
/// of the context. Opening under another context is thus opening with another key, and fails.
struct vault::implementation {
  wiped_key key{};
  std::string id{}; // tells keys apart in sealed texts; says nothing about the key

  void derive(std::string_view context, key_bytes& out) const {
    crypto_generichash(out.data(), out.size(), bytes_of(context), context.size(), key.bytes.data(),
                       key.bytes.size());
  }
};

vault::vault() : inside_{std::make_unique<implementation>()} {}
vault::~vault() = default;

result<std::shared_ptr<const vault>> vault::open(const secret& hex_key,
                                                 const std::string& key_file) {
  need_sodium();
  std::shared_ptr<vault> out{new vault};
  auto& key = out->inside_->key.bytes;
  if (!hex_key.empty()) {
    if (!read_hex(hex_key.reveal(), key))
      return internal_fault("the encryption key is not 64 hexadecimal digits");
  } else {
    auto content = read_or_make_key_file(key_file, make_hex_key);
    if (!content) return content.error();
    if (!read_hex(content->reveal(), key))
      return internal_fault("key file " + key_file + " does not hold 64 hexadecimal digits");
  }
  // 16 bytes is BLAKE2b's least; a hash of another length is unrelated to the derived keys.
  constexpr std::string_view label = "binnacle vault key id";
  std::string id(crypto_generichash_BYTES_MIN, '\0');
  crypto_generichash(bytes_of(id), id.size(), bytes_of(label), label.size(), key.data(),
                     key.size());
  out->inside_->id = to_hex(std::string_view{id}.substr(0, 4));
  return std::shared_ptr<const vault>{std::move(out)};
}

std::string vault::seal(const secret& text, std::string_view context) const {
  wiped_key key;
  inside_->derive(context, key.bytes);
  const auto& plain = text.reveal();
  std::string sealed(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.size(), '\0');
  auto* nonce = bytes_of(sealed);
  randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, bytes_of(std::string_view{plain}),
                        plain.size(), nonce, key.bytes.data());
  return "v1:" + inside_->id + ":" + to_base64(sealed);
}

result<secret> vault::unseal(std::string_view sealed, std::string_view context) const {
  if (!sealed.starts_with("v1:")) return internal_fault("not a sealed text");
  sealed.remove_prefix(3);
  auto colon = sealed.find(':');
  if (colon == sealed.npos) return internal_fault("not a sealed text");
  auto id = sealed.substr(0, colon);
  auto bytes = from_base64(sealed.substr(colon + 1));
  constexpr auto overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (!bytes || bytes->size() < overhead) return internal_fault("not a sealed text");
  if (id != inside_->id) {
    auto text = "The stored credential was encrypted with another key (" +
                std::string{id.substr(0, 16)} + "; the present one is " + inside_->id + ")";
    return fault{errc::internal, text, {}, text};
  }
  wiped_key key;
  inside_->derive(context, key.bytes);
  std::string plain(bytes->size() - overhead, '\0');
  const auto* nonce = bytes_of(std::string_view{*bytes});
  if (crypto_secretbox_open_easy(bytes_of(plain), nonce + crypto_secretbox_NONCEBYTES,
                                 bytes->size() - crypto_secretbox_NONCEBYTES, nonce,
                                 key.bytes.data()) != 0) {
    std::string text = "The stored credential was changed, or belongs to another record";
    return fault{errc::internal, text, {}, text};
  }
  return secret{std::move(plain)};
}

std::string vault::fingerprint(std::string_view text, std::string_view context) const {
  wiped_key key;
  inside_->derive("fingerprint:" + std::string{context}, key.bytes);
  std::string out(crypto_generichash_BYTES, '\0');
  crypto_generichash(bytes_of(out), out.size(), bytes_of(text), text.size(), key.bytes.data(),
                     key.bytes.size());
  return out;
}

} // namespace binnacle::integrations
