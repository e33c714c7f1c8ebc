#include "integrations/stripe/signature.hpp"

#include "config/base/text.hpp"

#include <array>
#include <charconv>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <optional>
#include <stdexcept>
#include <string>

namespace binnacle::stripe {
namespace {

struct parts {
  std::string_view timestamp{}; // as written: it is part of what is signed
  std::vector<std::string_view> signatures{};
};

parts split(std::string_view header) {
  parts out;
  while (!header.empty()) {
    auto comma = header.find(',');
    auto item = trimmed(header.substr(0, comma));
    if (item.starts_with("t=") && out.timestamp.empty())
      out.timestamp = item.substr(2);
    else if (item.starts_with("v1="))
      out.signatures.push_back(item.substr(3));
    header.remove_prefix(comma == header.npos ? header.size() : comma + 1);
  }
  return out;
}

std::string sign(std::string_view timestamp, std::string_view body, const secret& key) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string message;
  message.reserve(timestamp.size() + 1 + body.size());
  message.append(timestamp).append(".").append(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int size = 0;
  if (!::HMAC(::EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
              reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac.data(),
              &size))
    throw std::runtime_error{"HMAC failed"};
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out.append({hex[mac[i] >> 4], hex[mac[i] & 15]});
  return out;
}

/// Every pair is compared, so that the time says nothing of which one matched.
bool any_match(const parts& p, std::string_view body, const std::vector<secret>& secrets) {
  auto found = false;
  for (const auto& key : secrets) {
    if (key.empty()) continue;
    auto expected = sign(p.timestamp, body, key);
    for (auto given : p.signatures)
      if (constant_time_equal(expected, given)) found = true;
  }
  return found;
}

std::optional<std::int64_t> seconds_of(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 0) return {};
  return out;
}

} // namespace

std::string_view to_string(verdict v) {
  static constexpr std::array<std::string_view, 7> texts{
      "The signature is genuine",
      "The Stripe-Signature header is missing",
      "The Stripe-Signature header has no timestamp",
      "The Stripe-Signature header has no v1 signature",
      "The signature is too old",
      "The signature is from the future",
      "No signature matches",
  };
  return texts[static_cast<std::size_t>(v)];
}

verdict verify_signature(std::string_view header, std::string_view body,
                         const std::vector<secret>& secrets, seconds tolerance, time_point now) {
  if (trimmed(header).empty()) return verdict::no_header;
  auto given = split(header);
  auto signed_at = seconds_of(given.timestamp);
  if (!signed_at) return verdict::no_timestamp;
  if (given.signatures.empty()) return verdict::no_signature;
  if (!any_match(given, body, secrets)) return verdict::no_match;
  auto present = unix_seconds(now);
  if (*signed_at < present - tolerance.count()) return verdict::too_old;
  if (*signed_at > present + tolerance.count()) return verdict::in_the_future;
  return verdict::genuine;
}

} // namespace binnacle::stripe
