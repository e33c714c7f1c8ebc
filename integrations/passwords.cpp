#include "integrations/passwords.hpp"

#include "config/base/metrics.hpp"
#include "integrations/encoding.hpp"

#include <array>
#include <crypt.h>
#include <memory>
#include <new>
#include <sodium.h>

namespace binnacle::integrations {
namespace {

prometheus::Counter& computed_hashes(const char* algorithm) {
  return metrics::counter("binnacle_password_hashes_total",
                          "Password hashes computed, to keep them or to compare",
                          {{"algorithm", algorithm}});
}

int verify_argon2id(const std::string& hash, const std::string& password) {
  static auto& count = computed_hashes("argon2id");
  count.Increment();
  return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size());
}

std::string argon2id(const std::string& password) {
  static auto& count = computed_hashes("argon2id");
  count.Increment();
  need_sodium();
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str(out.data(), password.data(), password.size(),
                        crypto_pwhash_OPSLIMIT_INTERACTIVE,
                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
    throw std::bad_alloc{}; // its only failure
  return out.data();
}

/// What a password is checked against when there is nothing to check it against: same cost, and
/// nobody knows its password.
const std::string& dummy_hash() {
  static const std::string hash = [] {
    std::array<char, 32> random;
    need_sodium();
    randombytes_buf(random.data(), random.size());
    return argon2id({random.data(), random.size()});
  }();
  return hash;
}

password_check no_match(const std::string& password) {
  const auto& hash = dummy_hash();
  // The hash is computed for the time it takes; even a match would be none.
  [[maybe_unused]] auto ignored = verify_argon2id(hash, password);
  return {};
}

password_check check_argon2id(const std::string& password, const std::string& hash) {
  password_check out;
  out.matches = verify_argon2id(hash, password) == 0;
  out.outdated = out.matches &&
                 crypto_pwhash_str_needs_rehash(hash.c_str(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                                crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0;
  return out;
}

/// `$2b$12$` and 53 characters. A cost past 16 would take minutes of CPU per login; no system we
/// import from makes such hashes.
bool is_bcrypt(std::string_view hash) {
  if (hash.size() != 60 || !hash.starts_with("$2") || hash[3] != '$' || hash[6] != '$')
    return false;
  if (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y') return false;
  auto cost = hash.substr(4, 2);
  return cost >= "04" && cost <= "16" && cost.find_first_not_of("0123456789") == cost.npos;
}

password_check check_bcrypt(const std::string& password, const std::string& hash) {
  static auto& count = computed_hashes("bcrypt");
  count.Increment();
  auto data = std::make_unique<crypt_data>();
  const char* computed = ::crypt_r(password.c_str(), hash.c_str(), data.get());
  password_check out;
  // bcrypt ends a password at its first NUL, so one that has a NUL would match its own beginning.
  // Such a password costs the same time and never matches.
  out.matches = computed != nullptr && constant_time_equal(computed, hash) &&
                password.find('\0') == password.npos;
  out.outdated = out.matches;
  sodium_memzero(data.get(), sizeof(crypt_data));
  return out;
}

} // namespace

std::string hash_password(const secret& password) { return argon2id(password.reveal()); }

password_check check_password(const secret& password, const std::string& hash) {
  // Made on the first call of whichever kind, lest the first unknown user be slower than others.
  dummy_hash();
  if (hash.starts_with("$argon2id$")) return check_argon2id(password.reveal(), hash);
  if (is_bcrypt(hash)) return check_bcrypt(password.reveal(), hash);
  return no_match(password.reveal());
}

} // namespace binnacle::integrations
