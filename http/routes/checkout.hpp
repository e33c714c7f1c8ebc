/// What the surfaces' checkouts have in common.
#pragma once

#include "actors/context.hpp"

#include <string>
#include <string_view>

namespace binnacle::http {

/// The occasion of a checkout of the caller: `what` with their Idempotency-Key, so that a repeated
/// request opens the same page; without one every request is an occasion of its own. Two pages are
/// harmless: only a payment has an effect.
std::string occasion(const context& ctx, std::string_view what);

/// What a client hears of Stripe's fault: not configured and passing troubles as they are, and
/// everything else, which is none of the client's, as `otherwise`.
fault stripe_failed(const fault& f, errc otherwise);

fault stripe_not_configured();

} // namespace binnacle::http
