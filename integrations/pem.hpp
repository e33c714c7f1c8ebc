/// PEM texts (OpenSSL). Never asks for a passphrase and opens no file.
#pragma once

#include <memory>
#include <openssl/types.h>
#include <optional>
#include <string>
#include <string_view>

namespace binnacle::integrations {

struct free_openssl {
  void operator()(EVP_PKEY* key) const;
  void operator()(X509* certificate) const;
  void operator()(BIO* bio) const;
  void operator()(BIGNUM* number) const;
};
using pkey_ptr = std::unique_ptr<EVP_PKEY, free_openssl>;
using x509_ptr = std::unique_ptr<X509, free_openssl>;

/// Null when the text holds no such thing, or an encrypted one.
x509_ptr read_certificate(std::string_view pem); // the first one
pkey_ptr read_private_key(std::string_view pem);

/// A number of a key, such as OSSL_PKEY_PARAM_RSA_N, as big-endian bytes without leading zeros.
/// Empty when the key has none of that name.
std::string number_of(const EVP_PKEY* key, const char* name);

/// What is wrong with a text that should hold certificates; nothing when they can be used.
std::optional<std::string> problem_with_certificates(std::string_view pem);
/// What is wrong with the key that should belong to the first of those certificates.
std::optional<std::string> problem_with_key(std::string_view key_pem, std::string_view cert_pem);

} // namespace binnacle::integrations
