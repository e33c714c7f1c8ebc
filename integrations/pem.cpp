#include "integrations/pem.hpp"

#include "integrations/encoding.hpp"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace binnacle::integrations {
namespace {

using bio_ptr = std::unique_ptr<BIO, free_openssl>;

bio_ptr view(std::string_view text) {
  return bio_ptr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

/// Without it OpenSSL would ask for a passphrase on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

} // namespace

void free_openssl::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
void free_openssl::operator()(X509* certificate) const { X509_free(certificate); }
void free_openssl::operator()(BIO* bio) const { BIO_free(bio); }
void free_openssl::operator()(BIGNUM* number) const { BN_clear_free(number); }

x509_ptr read_certificate(std::string_view pem) {
  x509_ptr out{PEM_read_bio_X509(view(pem).get(), nullptr, no_passphrase, nullptr)};
  ERR_clear_error(); // a failure here must not be taken for one of a later TLS call
  return out;
}

pkey_ptr read_private_key(std::string_view pem) {
  pkey_ptr out{PEM_read_bio_PrivateKey(view(pem).get(), nullptr, no_passphrase, nullptr)};
  ERR_clear_error();
  return out;
}

std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) {
    ERR_clear_error();
    return {};
  }
  std::unique_ptr<BIGNUM, free_openssl> number{raw};
  std::string out(static_cast<std::size_t>(BN_num_bytes(raw)), '\0');
  BN_bn2bin(raw, bytes_of(out));
  return out;
}

std::optional<std::string> problem_with_certificates(std::string_view pem) {
  if (pem.find("PRIVATE KEY-----") != pem.npos) return "holds a private key";
  auto bio = view(pem);
  auto found = 0;
  while (x509_ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)})
    ++found;
  // "No start line" is how reading ends; anything else is a damaged certificate.
  auto ended_well = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (found == 0 || !ended_well) return "is no PEM certificate";
  return {};
}

std::optional<std::string> problem_with_key(std::string_view key_pem, std::string_view cert_pem) {
  if (key_pem.find("ENCRYPTED") != key_pem.npos)
    return "is encrypted with a passphrase; use an unencrypted key";
  auto key = read_private_key(key_pem);
  if (!key) return "is no PEM private key";
  auto certificate = read_certificate(cert_pem);
  auto fits = certificate && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!fits) return "does not belong to the client certificate";
  return {};
}

} // namespace binnacle::integrations
