/// JSON Web Tokens: verifying those of trusted issuers and making our own. Signatures are cjose's
/// work; which algorithm, key and claims are acceptable is decided here, before the signature.
/// Sources: RFC 7515, 7517, 7519; RFC 8725 (best practices); Firebase "Verify ID tokens".
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "config/base/time.hpp"
#include "config/settings.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::integrations {

/// The public keys of one issuer, by kid. Immutable and shareable between threads.
class key_set {
public:
  /// A JWKS document (RFC 7517), or Google's JSON map kid -> PEM certificate; which, is told from
  /// its shape. Keys that are not for signatures, or of a kind we do not verify, are passed over.
  static result<std::shared_ptr<const key_set>> parse(std::string_view document);

  bool has(std::string_view kid) const;
  std::size_t size() const;
  ~key_set();

private:
  key_set();
  friend struct key_set_access;
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

/// What a token says before anything is verified: enough to choose the issuer and key. Nothing for
/// text that is no compact JWS of at most 8 KiB.
struct token_preview {
  std::string algorithm{};
  std::string kid{};
  std::string issuer{};
};
std::optional<token_preview> preview_token(std::string_view token);

struct token_claims {
  std::string issuer{};
  std::string subject{}; // 1..255 characters
  std::string email{};   // lower case; empty: none, or none that can be one
  bool email_verified = false;
  bool email_judged = false; // it says of `email` whether it is verified
  std::string name{};
  std::string kind{};               // our own tokens: "access"
  std::int64_t session_version = 0; // our own tokens
  std::string nonce{};              // ID tokens: of the login they belong to
  std::string authorized_party{};   // ID tokens: `azp`; empty: none
  bool several_audiences = false;
  time_point issued_at{};
  time_point expires_at{};
};

/// Checks, in this order: algorithm equals the issuer's pinned one; kid known; signature; iss, aud
/// (string or array), exp, nbf, iat (with `leeway`), auth_time when required, sub. unauthenticated
/// for everything; the detail says which, for the log.
result<token_claims> verify_token(std::string_view token, const issuer_settings& issuer,
                                  const key_set& keys, time_point now,
                                  std::chrono::milliseconds leeway);

/// Whether a verified ID token was given to that client (OpenID Connect Core 1.0 §3.1.3.7, 4 and
/// 5): who shares its audience with others must be named as the authorized party.
bool is_given_to(const token_claims&, std::string_view client);

/// The claims of a UserInfo answer in JSON (OpenID Connect Core 1.0 §5.3.2), of which nothing is
/// verified here. upstream_failed when it is no object.
result<token_claims> read_userinfo(std::string_view json);

/// Our own RSA key (2048 bits, RS256). Thread-safe.
class signing_key {
public:
  /// Reads the PEM file, or makes a key and writes it (0600, atomically) when there is none.
  static result<std::shared_ptr<const signing_key>> open(const std::string& pem_file);

  /// RFC 7638 thumbprint of the public key.
  const std::string& kid() const;
  /// {"keys":[…]}: the public key, for /.well-known/jwks.json.
  const std::string& jwks() const;
  std::shared_ptr<const key_set> public_keys() const;
  /// A signed compact token with header alg, kid, typ and these claims (iss, aud = issuer, sub,
  /// iat, nbf, exp, jti, typ claim `kind`, `sv`, email when there is one). About 1 ms of CPU.
  std::string sign(const token_claims& claims) const;
  ~signing_key();

private:
  signing_key();
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

/// How long an answer with keys may be kept: max-age of Cache-Control, within [60 s, 24 h];
/// one hour when absent.
std::chrono::seconds keys_lifetime(std::string_view cache_control);

/// SHA-256, 32 raw bytes.
std::string sha256(std::string_view text);
std::string to_hex(std::string_view bytes);
/// `n` random bytes as base64url without padding (32 bytes: 43 characters).
std::string random_token(std::size_t n);

} // namespace binnacle::integrations
