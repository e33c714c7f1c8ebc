/// How Stripe refuses, and what that means here.
#pragma once

#include "config/base/errors.hpp"
#include "integrations/http_client.hpp"

#include <string>

namespace binnacle::stripe {

/// Stripe's error object; empty texts where it said nothing. Source: docs.stripe.com/api/errors.
struct refusal {
  int status = 0;        // HTTP
  std::string type{};    // card_error, invalid_request_error, api_error, idempotency_error
  std::string code{};    // resource_missing, card_declined, …
  std::string param{};   // the offending parameter
  std::string message{}; // for us, not for the customer
};

/// Of an answer that is no success.
refusal read_refusal(const integrations::http_answer&);

/// What was to be created exists: an event with that identifier, an object with that id. For a
/// meter event this means that it was delivered.
bool already_exists(const refusal&);
/// The API key is wrong, expired or may not do this.
bool rejects_key(const refusal&);

/// The fault of a call:
///   not_found        what it names does not exist in Stripe
///   conflict         what it would create exists already
///   unprocessable    Stripe refused it for another reason
///   upstream_failed  Stripe failed or cannot be understood: it may have happened or not
/// `field` is Stripe's param, `detail` its own words; the text says nothing of either.
fault to_fault(const refusal&);

/// No intelligible answer came to a call that was sent: it may have happened or not. Only repeating
/// it under the same key, or looking, can tell. Every other fault of a call means that it did not.
inline bool may_have_happened(const fault& f) { return f.code == errc::upstream_failed; }

} // namespace binnacle::stripe
