/// Handing mails over: to Resend's HTTP API, or to a mail server (SMTP, with libcurl).
/// Sources: resend.com/docs "Send Email" and "Idempotency Keys"; RFC 5321, RFC 5322, RFC 2045-2047.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "config/base/time.hpp"
#include "integrations/http_client.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

namespace binnacle::mail {

struct message {
  std::string id{};   // the same at every attempt: Resend's idempotency key, the Message-ID
  std::string from{}; // an address, or Name <address>
  std::string to{};   // an address
  std::string subject{};
  std::string text{}; // UTF-8
  std::string html{}; // the same for clients that show it
};

/// "no-reply@example.com" of "Example <no-reply@example.com>".
std::string_view address_of(std::string_view from);

/// POST /emails. Under the same key within 24 hours Resend sends a mail once.
integrations::http_call to_resend(const message&, const std::string& api_url, const secret& key,
                                  milliseconds deadline);

/// A whole message: headers in ASCII, both bodies in base64.
std::string to_mime(const message&, time_point date);

/// What to do about an attempt is decided as for a call over HTTP (integrations::retry_policy), so
/// a mail server's reply is told as an answer: 2yz is 200, 4yz is 503, 5yz is 422, each with the
/// reply in its body. No reply is a fault. Blocking; `cancel` ends it within about a second.
result<integrations::http_answer> send_by_smtp(const message&, const secret& url, time_point date,
                                               milliseconds deadline,
                                               const std::atomic<bool>* cancel = nullptr);

/// Why an attempt did not succeed, for operators; without the mail's content and any secret.
std::string reason_of(const result<integrations::http_answer>&);

} // namespace binnacle::mail
