/// Subscriptions to the newsletter: asked for, confirmed with a token from a mail, ended.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace binnacle::persistence {

struct newsletter_request {
  std::string token_digest{}; // SHA-256 of the token, 32 raw bytes
  std::string email{};        // lower case
  std::string first_name{};   // empty: unknown
  std::string source{};
  time_point created_at{};
  time_point expires_at{};
};

/// Whoever else asks for the same address waits until this transaction is over. In a statement of
/// its own: the next one sees what the previous holder committed.
result<done> lock_newsletter_address(transaction&, const std::string& email);
result<done> insert_newsletter_request(transaction&, const newsletter_request&);

/// What a token stands for; whoever else wants to use it waits.
result<std::optional<newsletter_request>> lock_newsletter_request(transaction&,
                                                                  const std::string& token_digest);
/// The same without using it.
result<std::optional<newsletter_request>> find_newsletter_request(transaction&,
                                                                  const std::string& token_digest);
result<done> delete_newsletter_request(transaction&, const std::string& token_digest);

/// The address gets the newsletter; since when: now, or since it was confirmed before.
result<time_point> subscribe_newsletter(transaction&, const newsletter_request&, time_point now);
/// The address gets it no more, and what was asked for it is void.
result<done> unsubscribe_newsletter(transaction&, const std::string& email);

/// Deletes what has expired before `before`; how many.
result<std::int64_t> delete_expired_newsletter_requests(transaction&, time_point before);

} // namespace binnacle::persistence
