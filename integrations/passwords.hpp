/// Password hashes: argon2id (libsodium) for new ones, bcrypt ($2a$, $2b$, $2y$; libcrypt) for
/// those imported from older systems. Each call takes tens of milliseconds of CPU and up to 64 MiB:
/// run them on a compute worker.
#pragma once

#include "config/base/secret.hpp"

#include <string>

namespace binnacle::integrations {

std::string hash_password(const secret& password);

struct password_check {
  bool matches = false;
  bool outdated = false; // matches, but should be hashed anew
};
/// An empty `hash` (no such user) takes as long as a real one and never matches.
password_check check_password(const secret& password, const std::string& hash);

} // namespace binnacle::integrations
