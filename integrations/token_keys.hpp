/// What tokens.cpp needs of a key_set and cjose; not for users of tokens.hpp.
#pragma once

#include "integrations/tokens.hpp"

#include <cjose/cjose.h>

namespace binnacle::integrations {

struct free_cjose {
  void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
  void operator()(cjose_jws_t* signature) const { cjose_jws_release(signature); }
  void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
using jwk_ptr = std::unique_ptr<cjose_jwk_t, free_cjose>;
using jws_ptr = std::unique_ptr<cjose_jws_t, free_cjose>;
using header_ptr = std::unique_ptr<cjose_header_t, free_cjose>;

/// A public key and the one algorithm it is used with.
///
/// Threads: cjose keeps an unguarded reference count per key, and cjose_jwk_retain and _release
/// are the only functions that touch it (jwk.c, 0.6.2). Verifying and signing take the key as
/// const, allocate everything else per call, and hand the key to RSA_verify, ECDSA_do_verify and
/// RSA_sign, whose caches inside the key OpenSSL guards by locks. So a key has one owner here and
/// is never retained, and any number of threads may use it.
struct verification_key {
  jwk_ptr key{};
  std::string algorithm{}; // RS256 or ES256
};

struct key_set_access {
  /// Null when there is none.
  static const verification_key* find(const key_set& keys, std::string_view kid);
};

} // namespace binnacle::integrations
