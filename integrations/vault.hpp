/// Encrypts credentials before they are stored (libsodium secretbox: XSalsa20-Poly1305). The key
/// comes from the environment or a key file and never leaves this class.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"

#include <memory>
#include <string>

namespace binnacle::integrations {

class vault {
public:
  /// With `hex_key` (64 hex digits) that key; otherwise the key in `key_file`, which is made (0600,
  /// atomically) when there is none.
  static result<std::shared_ptr<const vault>> open(const secret& hex_key,
                                                   const std::string& key_file);

  /// "v1:<key id>:<base64 of nonce and box>". `context` (such as "kubeconfig:clu_1") is bound to
  /// it: a sealed text does not open under another context.
  std::string seal(const secret& text, std::string_view context) const;
  /// internal when it was sealed with another key or context, or was changed; the text says which
  /// of the first.
  result<secret> unseal(std::string_view sealed, std::string_view context) const;
  /// A keyed hash (BLAKE2b, 32 bytes): equal for equal texts of a context, and of no use for
  /// guessing the text without the key, whatever it is made of.
  std::string fingerprint(std::string_view text, std::string_view context) const;
  ~vault();

private:
  vault();
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

} // namespace binnacle::integrations
