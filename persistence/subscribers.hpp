/// Subscribers of the assinante surface: users with the data that only it needs, their consents.
/// assinante.md §6, §10.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/assinante.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>

namespace binnacle::persistence::assinante {

struct subscriber {
  user_id id{};
  std::string name{};
  std::string email{}; // lower case; empty: none
  std::string phone{}; // digits with the country's 55; empty: none
  std::string cpf{};   // 11 digits; empty: none
  std::optional<date> birth_date{};
  std::string address{};    // JSON object; empty: none
  std::string avatar_url{}; // when read: the picture uploaded here where there is none; empty: none
  time_point created_at{};
};

result<std::optional<subscriber>> find_subscriber(transaction&, const user_id&);
result<std::optional<subscriber>> find_subscriber_by_email(transaction&, const std::string& email);

/// Whether somebody else has the address.
result<bool> is_email_taken(transaction&, const user_id&, const std::string& email);

/// Makes a user a subscriber, who consents to the terms and to the processing of their data; in the
/// audit log. conflict: already one, or with field "email": somebody else has the address. Touches
/// identity and subscriber.
result<done> register_subscriber(transaction&, const subscriber&, const author&, time_point now);

/// Somebody's subject at an issuer; empty: unknown.
struct login_at {
  std::string issuer{};
  std::string subject{};
};
/// A subscriber who comes in from outside, known by the address, by the login or by both; a user
/// made when there is none, under `fresh_id`. An operator vouches for the address. What is empty in
/// `given` stays as it is. conflict with field "email" or "firebaseUid": that is another user's.
/// Touches identity and subscriber.
struct upserted_subscriber {
  user_id who{};
  outcome what = outcome::unchanged;
};
result<upserted_subscriber> upsert_subscriber(transaction&, const subscriber& given,
                                              const login_at& login, const user_id& fresh_id,
                                              time_point now);

} // namespace binnacle::persistence::assinante
