/// Keys, certificates and tokens made with OpenSSL alone, so that cjose is not its own witness.
#pragma once

#include "config/base/json.hpp"
#include "config/base/time.hpp"
#include "integrations/pem.hpp"
#include "integrations/tokens.hpp"

#include <string>

namespace binnacle::integrations::testing {

/// A folder that is removed with everything in it.
class temporary_folder {
public:
  temporary_folder();
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);
/// Exit status of a shell command.
int run(const std::string& command);

pkey_ptr make_rsa(int bits = 2048);
pkey_ptr make_p256();
pkey_ptr make_p384();
/// One RSA key for all tests that need no second one.
const pkey_ptr& an_rsa_key();
const pkey_ptr& a_p256_key();

std::string private_pem(const pkey_ptr& key);
std::string public_pem(const pkey_ptr& key);

struct certificate_wishes {
  std::string common_name = "localhost";
  std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
  bool authority = false;
  bool expired = false;
};
/// Signed by `issuer_key` in the name of `issuer_name`; by itself when that is empty.
std::string certificate(const pkey_ptr& key, const certificate_wishes& wishes = {},
                        const pkey_ptr* issuer_key = nullptr, const std::string& issuer_name = {});

json::object public_jwk(const pkey_ptr& key, const std::string& kid);
std::string jwks_of(const json::object& jwk);

std::string rs256(const pkey_ptr& key, const std::string& text);
std::string es256(const pkey_ptr& key, const std::string& text); // 64 bytes
std::string hs256(const std::string& secret, const std::string& text);

/// header.claims, both in base64url.
std::string signing_input(const json::object& header, const json::object& claims);
std::string signing_input(const std::string& header, const std::string& claims);
std::string rs256_token(const pkey_ptr& key, const json::object& header,
                        const json::object& claims);

} // namespace binnacle::integrations::testing
