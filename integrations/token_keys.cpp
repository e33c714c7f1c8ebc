#include "integrations/token_keys.hpp"

#include "config/base/json.hpp"
#include "integrations/encoding.hpp"
#include "integrations/key_file.hpp"
#include "integrations/pem.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

namespace bj = boost::json;

constexpr std::size_t least_rsa_bytes = 256;    // 2048 bits
constexpr std::size_t largest_rsa_bytes = 1024; // beyond it one check costs too much CPU
constexpr std::size_t p256_bytes = 32;

fault bad_document(std::string why) {
  return {errc::upstream_failed, {}, {}, "key document: " + std::move(why)};
}

std::string_view text_member(const bj::object& o, std::string_view name) {
  const auto* member = o.if_contains({name.data(), name.size()});
  if (!member || !member->is_string()) return {};
  return {member->get_string().data(), member->get_string().size()};
}

verification_key import(const json::object& jwk, std::string algorithm) {
  auto text = json::to_text(jwk);
  cjose_err error{};
  return {jwk_ptr{cjose_jwk_import(text.data(), text.size(), &error)}, std::move(algorithm)};
}

std::string_view without_leading_zeros(std::string_view bytes) {
  auto first = bytes.find_first_not_of('\0');
  return first == bytes.npos ? std::string_view{} : bytes.substr(first);
}

/// Null key when the numbers are not a public key we would trust a signature of.
verification_key rsa_key(std::string_view n, std::string_view e) {
  n = without_leading_zeros(n);
  e = without_leading_zeros(e);
  auto strong = n.size() > least_rsa_bytes ||
                (n.size() == least_rsa_bytes && (static_cast<unsigned char>(n[0]) & 0x80) != 0);
  auto odd = [](std::string_view x) { return (static_cast<unsigned char>(x.back()) & 1) != 0; };
  // An exponent of 1 would make every message its own signature.
  auto sound_exponent = !e.empty() && e.size() <= 8 && odd(e) && e != "\x01";
  if (!strong || n.size() > largest_rsa_bytes || !odd(n) || !sound_exponent) return {};
  return import({{"kty", "RSA"}, {"n", to_base64url(n)}, {"e", to_base64url(e)}}, "RS256");
}

/// cjose refuses a point that is not on the curve.
verification_key p256_key(std::string_view x, std::string_view y) {
  if (x.size() != p256_bytes || y.size() != p256_bytes) return {};
  return import({{"kty", "EC"}, {"crv", "P-256"}, {"x", to_base64url(x)}, {"y", to_base64url(y)}},
                "ES256");
}

bool is_for_signatures(const bj::object& jwk) {
  if (jwk.contains("use") && text_member(jwk, "use") != "sig") return false;
  const auto* operations = jwk.if_contains("key_ops");
  if (!operations) return true;
  return operations->is_array() &&
         std::any_of(
             operations->get_array().begin(), operations->get_array().end(),
             [](const bj::value& v) { return v.is_string() && v.get_string() == "verify"; });
}

/// Only the public numbers are taken over, in our own spelling.
verification_key read_jwk(const bj::object& jwk) {
  if (!is_for_signatures(jwk)) return {};
  auto number = [&](std::string_view name) {
    return from_base64url(text_member(jwk, name)).value_or(std::string{});
  };
  verification_key out;
  auto kind = text_member(jwk, "kty");
  if (kind == "RSA") out = rsa_key(number("n"), number("e"));
  if (kind == "EC" && text_member(jwk, "crv") == "P-256") out = p256_key(number("x"), number("y"));
  if (jwk.contains("alg") && text_member(jwk, "alg") != out.algorithm) return {};
  return out;
}

std::string padded(std::string bytes, std::size_t size) {
  if (bytes.size() < size) bytes.insert(0, size - bytes.size(), '\0');
  return bytes;
}

/// The dates of the certificate do not matter: what is published for the issuer is trusted for as
/// long as it is published, as Firebase's own libraries do.
verification_key read_certificate_key(std::string_view pem) {
  auto certificate = read_certificate(pem);
  if (!certificate) return {};
  const auto* key = X509_get0_pubkey(certificate.get());
  if (key == nullptr) return {};
  if (EVP_PKEY_is_a(key, "RSA"))
    return rsa_key(number_of(key, OSSL_PKEY_PARAM_RSA_N), number_of(key, OSSL_PKEY_PARAM_RSA_E));
  if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256)
    return p256_key(padded(number_of(key, OSSL_PKEY_PARAM_EC_PUB_X), p256_bytes),
                    padded(number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y), p256_bytes));
  return {};
}

} // namespace

struct key_set::implementation {
  std::map<std::string, verification_key, std::less<>> keys{};

  /// The first usable key of a kid counts.
  void add(std::string_view kid, verification_key key) {
    if (!kid.empty() && key.key) keys.try_emplace(std::string{kid}, std::move(key));
  }
};

key_set::key_set() : inside_{std::make_unique<implementation>()} {}
key_set::~key_set() = default;

result<std::shared_ptr<const key_set>> key_set::parse(std::string_view document) {
  auto parsed = json::parse(document);
  if (!parsed) return bad_document("no JSON");
  if (!parsed->is_object()) return bad_document("no JSON object");
  const auto& root = parsed->get_object();
  std::shared_ptr<key_set> out{new key_set};
  if (const auto* list = root.if_contains("keys"); list && list->is_array()) {
    for (const auto& entry : list->get_array())
      if (const auto* jwk = entry.if_object())
        out->inside_->add(text_member(*jwk, "kid"), read_jwk(*jwk));
  } else {
    for (const auto& [kid, pem] : root)
      if (pem.is_string())
        out->inside_->add({kid.data(), kid.size()},
                          read_certificate_key({pem.get_string().data(), pem.get_string().size()}));
  }
  // An error rather than an empty set, so that a broken answer never replaces keys that work.
  if (out->size() == 0) return bad_document("no usable key in it");
  return std::shared_ptr<const key_set>{std::move(out)};
}

bool key_set::has(std::string_view kid) const { return inside_->keys.contains(kid); }
std::size_t key_set::size() const { return inside_->keys.size(); }

const verification_key* key_set_access::find(const key_set& keys, std::string_view kid) {
  auto at = keys.inside_->keys.find(kid);
  return at == keys.inside_->keys.end() ? nullptr : &at->second;
}

// -- our own key ---------------------------------------------------------------------------------

namespace {

secret make_rsa_pem() {
  pkey_ptr key{EVP_RSA_gen(2048)};
  std::unique_ptr<BIO, free_openssl> memory{BIO_new(BIO_s_secmem())};
  if (!key || !memory ||
      PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1)
    throw std::runtime_error{"OpenSSL cannot make an RSA key"};
  char* text = nullptr;
  auto length = BIO_get_mem_data(memory.get(), &text);
  return secret{std::string(text, static_cast<std::size_t>(length))};
}

/// The private key for cjose. The numbers stay in `secret`s, which wipe themselves.
jwk_ptr private_jwk(const EVP_PKEY* key) {
  auto number = [&](const char* name) { return secret{number_of(key, name)}; };
  auto n = number(OSSL_PKEY_PARAM_RSA_N), e = number(OSSL_PKEY_PARAM_RSA_E);
  auto d = number(OSSL_PKEY_PARAM_RSA_D);
  auto p = number(OSSL_PKEY_PARAM_RSA_FACTOR1), q = number(OSSL_PKEY_PARAM_RSA_FACTOR2);
  auto dp = number(OSSL_PKEY_PARAM_RSA_EXPONENT1), dq = number(OSSL_PKEY_PARAM_RSA_EXPONENT2);
  auto qi = number(OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
  cjose_jwk_rsa_keyspec spec{};
  // cjose only reads the numbers although its struct is not const.
  auto give = [](const secret& from, uint8_t*& data, size_t& length) {
    data = const_cast<uint8_t*>(bytes_of(std::string_view{from.reveal()}));
    length = from.reveal().size();
  };
  give(n, spec.n, spec.nlen);
  give(e, spec.e, spec.elen);
  give(d, spec.d, spec.dlen);
  give(p, spec.p, spec.plen);
  give(q, spec.q, spec.qlen);
  give(dp, spec.dp, spec.dplen);
  give(dq, spec.dq, spec.dqlen);
  give(qi, spec.qi, spec.qilen);
  cjose_err error{};
  return jwk_ptr{cjose_jwk_create_RSA_spec(&spec, &error)};
}

} // namespace

struct signing_key::implementation {
  jwk_ptr key{}; // never retained, so free to use from any thread: see verification_key
  std::string kid{};
  std::string jwks{};
  std::shared_ptr<const key_set> keys{};
};

signing_key::signing_key() : inside_{std::make_unique<implementation>()} {}
signing_key::~signing_key() = default;

result<std::shared_ptr<const signing_key>> signing_key::open(const std::string& pem_file) {
  auto pem = read_or_make_key_file(pem_file, make_rsa_pem);
  if (!pem) return pem.error();
  auto key = read_private_key(pem->reveal());
  if (!key || !EVP_PKEY_is_a(key.get(), "RSA"))
    return internal_fault("key file " + pem_file + " holds no RSA private key in PEM");
  if (EVP_PKEY_get_bits(key.get()) < 2048)
    return internal_fault("the RSA key in " + pem_file + " is shorter than 2048 bits");
  std::shared_ptr<signing_key> out{new signing_key};
  auto& in = *out->inside_;
  in.key = private_jwk(key.get());
  if (!in.key) return internal_fault("the RSA key in " + pem_file + " cannot be used");
  auto n = to_base64url(number_of(key.get(), OSSL_PKEY_PARAM_RSA_N));
  auto e = to_base64url(number_of(key.get(), OSSL_PKEY_PARAM_RSA_E));
  // RFC 7638: the required members in alphabetical order, nothing else.
  in.kid = to_base64url(sha256(json::to_text(json::object{{"e", e}, {"kty", "RSA"}, {"n", n}})));
  in.jwks =
      json::to_text(json::object{{"keys", json::array{json::object{{"kty", "RSA"},
                                                                   {"use", "sig"},
                                                                   {"alg", "RS256"},
                                                                   {"kid", in.kid},
                                                                   {"n", n},
                                                                   {"e", e}}}}});
  auto keys = key_set::parse(in.jwks);
  if (!keys) return internal_fault("the RSA key in " + pem_file + " cannot be published");
  in.keys = *keys;
  return std::shared_ptr<const signing_key>{std::move(out)};
}

const std::string& signing_key::kid() const { return inside_->kid; }
const std::string& signing_key::jwks() const { return inside_->jwks; }
std::shared_ptr<const key_set> signing_key::public_keys() const { return inside_->keys; }

std::string signing_key::sign(const token_claims& claims) const {
  json::object payload{{"iss", claims.issuer},
                       {"aud", claims.issuer},
                       {"sub", claims.subject},
                       {"iat", unix_seconds(claims.issued_at)},
                       {"nbf", unix_seconds(claims.issued_at)},
                       {"exp", unix_seconds(claims.expires_at)},
                       {"jti", random_token(16)},
                       {"typ", claims.kind},
                       {"sv", claims.session_version}};
  if (!claims.email.empty()) payload.add("email", claims.email);
  auto text = json::to_text(payload);
  cjose_err error{};
  header_ptr header{cjose_header_new(&error)};
  const char* compact = nullptr;
  jws_ptr signature;
  if (header && cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_RS256, &error) &&
      cjose_header_set(header.get(), CJOSE_HDR_KID, inside_->kid.c_str(), &error) &&
      cjose_header_set(header.get(), "typ", "JWT", &error))
    signature.reset(cjose_jws_sign(inside_->key.get(), header.get(),
                                   bytes_of(std::string_view{text}), text.size(), &error));
  if (!signature || !cjose_jws_export(signature.get(), &compact, &error))
    throw std::runtime_error{std::string{"cannot sign a token: "} +
                             (error.message != nullptr ? error.message : "no reason given")};
  return compact; // owned by the signature; copied
}

} // namespace binnacle::integrations
