#include "support.hpp"

#include "integrations/encoding.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sstream>
#include <stdexcept>

namespace binnacle::integrations::testing {
namespace {

using bio_ptr = std::unique_ptr<BIO, free_openssl>;

void need(bool ok) {
  if (!ok) throw std::runtime_error{"OpenSSL refused"};
}

std::string text_of(const bio_ptr& bio) {
  char* data = nullptr;
  auto size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string sign(const pkey_ptr& key, const std::string& text) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx{EVP_MD_CTX_new(), EVP_MD_CTX_free};
  std::size_t size = 0;
  need(EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1);
  need(EVP_DigestSign(ctx.get(), nullptr, &size, bytes_of(std::string_view{text}), text.size()) ==
       1);
  std::string out(size, '\0');
  need(EVP_DigestSign(ctx.get(), bytes_of(out), &size, bytes_of(std::string_view{text}),
                      text.size()) == 1);
  out.resize(size);
  return out;
}

std::string padded(std::string bytes) {
  bytes.insert(0, 32 - bytes.size(), '\0');
  return bytes;
}

} // namespace

temporary_folder::temporary_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "binnacle-XXXXXX").string();
  need(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}
temporary_folder::~temporary_folder() { std::filesystem::remove_all(path_); }

void write_file(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}
std::string read_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}
int run(const std::string& command) { return std::system(command.c_str()); }

pkey_ptr make_rsa(int bits) { return pkey_ptr{EVP_RSA_gen(static_cast<unsigned>(bits))}; }
pkey_ptr make_p256() { return pkey_ptr{EVP_EC_gen("P-256")}; }
pkey_ptr make_p384() { return pkey_ptr{EVP_EC_gen("P-384")}; }
const pkey_ptr& an_rsa_key() {
  static const pkey_ptr key = make_rsa();
  return key;
}
const pkey_ptr& a_p256_key() {
  static const pkey_ptr key = make_p256();
  return key;
}

std::string private_pem(const pkey_ptr& key) {
  bio_ptr bio{BIO_new(BIO_s_mem())};
  need(PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio);
}
std::string public_pem(const pkey_ptr& key) {
  bio_ptr bio{BIO_new(BIO_s_mem())};
  need(PEM_write_bio_PUBKEY(bio.get(), key.get()) == 1);
  return text_of(bio);
}

std::string certificate(const pkey_ptr& key, const certificate_wishes& wishes,
                        const pkey_ptr* issuer_key, const std::string& issuer_name) {
  x509_ptr out{X509_new()};
  auto* x = out.get();
  static long serial = 1;
  need(X509_set_version(x, 2) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -48 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(x), wishes.expired ? -24 * 3600 : 24 * 3600);
  auto name = [](X509_NAME* to, const std::string& cn) {
    X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, bytes_of(std::string_view{cn}), -1, -1, 0);
  };
  name(X509_get_subject_name(x), wishes.common_name);
  std::unique_ptr<X509_NAME, decltype(&X509_NAME_free)> by{X509_NAME_new(), X509_NAME_free};
  name(by.get(), issuer_name.empty() ? wishes.common_name : issuer_name);
  X509_set_issuer_name(x, by.get());
  X509_set_pubkey(x, key.get());
  auto extend = [&](int nid, const std::string& text) {
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> e{
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, text.c_str()), X509_EXTENSION_free};
    need(e && X509_add_ext(x, e.get(), -1) == 1);
  };
  extend(NID_basic_constraints, wishes.authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!wishes.authority) extend(NID_subject_alt_name, wishes.alternative_names);
  need(X509_sign(x, issuer_key != nullptr ? issuer_key->get() : key.get(), EVP_sha256()) > 0);
  bio_ptr bio{BIO_new(BIO_s_mem())};
  need(PEM_write_bio_X509(bio.get(), x) == 1);
  return text_of(bio);
}

json::object public_jwk(const pkey_ptr& key, const std::string& kid) {
  if (EVP_PKEY_is_a(key.get(), "RSA"))
    return {{"kty", "RSA"},
            {"kid", kid},
            {"n", to_base64url(number_of(key.get(), OSSL_PKEY_PARAM_RSA_N))},
            {"e", to_base64url(number_of(key.get(), OSSL_PKEY_PARAM_RSA_E))}};
  return {{"kty", "EC"},
          {"crv", "P-256"},
          {"kid", kid},
          {"x", to_base64url(padded(number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_X)))},
          {"y", to_base64url(padded(number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y)))}};
}
std::string jwks_of(const json::object& jwk) {
  return json::to_text(json::object{{"keys", json::array{jwk}}});
}

std::string rs256(const pkey_ptr& key, const std::string& text) { return sign(key, text); }

std::string es256(const pkey_ptr& key, const std::string& text) {
  auto der = sign(key, text);
  const auto* at = bytes_of(std::string_view{der});
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> sig{
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free};
  std::string out(64, '\0');
  need(BN_bn2binpad(ECDSA_SIG_get0_r(sig.get()), bytes_of(out), 32) == 32);
  need(BN_bn2binpad(ECDSA_SIG_get0_s(sig.get()), bytes_of(out) + 32, 32) == 32);
  return out;
}

std::string hs256(const std::string& secret, const std::string& text) {
  std::string out(32, '\0');
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       bytes_of(std::string_view{text}), text.size(), bytes_of(out), &size);
  return out;
}

std::string signing_input(const std::string& header, const std::string& claims) {
  return to_base64url(header) + "." + to_base64url(claims);
}
std::string signing_input(const json::object& header, const json::object& claims) {
  return signing_input(json::to_text(header), json::to_text(claims));
}
std::string rs256_token(const pkey_ptr& key, const json::object& header,
                        const json::object& claims) {
  auto input = signing_input(header, claims);
  return input + "." + to_base64url(rs256(key, input));
}

} // namespace binnacle::integrations::testing
