#include "actors/referral_codes.hpp"

#include "integrations/tokens.hpp"

namespace binnacle {
namespace {

constexpr std::size_t longest_stem = 16;
constexpr std::size_t shortest_code = 6;
constexpr int attempts = 6;

/// Ids of users who came in the same millisecond begin alike.
std::string stem_of(const user_id& who) {
  std::string out;
  for (char c : who.value) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out.push_back(c);
  }
  return out.substr(0, longest_stem);
}

std::string random_digits() {
  return integrations::to_hex(integrations::sha256(integrations::random_token(32))).substr(0, 8);
}

} // namespace

std::vector<std::string> referral_codes(const user_id& who) {
  auto stem = stem_of(who);
  std::vector<std::string> out;
  if (stem.size() >= shortest_code) out.push_back(stem);
  while (out.size() < attempts) out.push_back(stem + random_digits());
  return out;
}

} // namespace binnacle
