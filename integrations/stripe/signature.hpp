/// Stripe-Signature: proof that a webhook's body was written by Stripe, recently.
/// Source: docs.stripe.com/webhooks#verify-manually.
#pragma once

#include "config/base/secret.hpp"
#include "config/base/time.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace binnacle::stripe {

enum class verdict : std::uint8_t {
  genuine,
  no_header,
  no_timestamp,  // no `t`, or one that is no number
  no_signature,  // no `v1`
  too_old,       // by more than the tolerance: possibly a replay
  in_the_future, // likewise
  no_match,      // none of the v1 is ours; also when there are no secrets
};

/// A short sentence, for the log and for the sender.
std::string_view to_string(verdict);

/// HMAC-SHA256 over "<t>.<body>", keyed with the whole secret ("whsec_…"); one v1 must match one
/// secret. `body` is the raw body, byte for byte. Other schemes (v0) are ignored. Signatures are
/// compared before ages, so that only a genuine sender learns about clocks. Constant time per
/// comparison.
verdict verify_signature(std::string_view header, std::string_view body,
                         const std::vector<secret>& secrets, seconds tolerance, time_point now);

} // namespace binnacle::stripe
