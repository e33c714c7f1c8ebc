/// Everything that is kept about one person, in the tables of all surfaces: to hand it out, and to
/// erase it (LGPD art. 18, GDPR art. 15 and 17). For operators; a person is known by the address.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

/// The users with this address: verified, or given at registration.
result<std::vector<user_id>> users_of_person(transaction&, const std::string& email);

/// JSON: the rows by table, without secrets. What Stripe has sent about the person is in
/// `stripe_events`, as it came.
result<std::string> export_person(transaction&, const std::string& email);

/// Takes out who it was, and keeps what the books need: what was used, ordered, paid and owed, by
/// an id that leads to nobody. The users are deleted ones afterwards, their subscriptions
/// cancelled, their pictures in the bucket `pictures` due to be removed. A later erasure finds
/// nothing to do. Touches everything of the users; answers them.
result<std::vector<user_id>> erase_person(transaction&, const std::string& email,
                                          const std::string& pictures, time_point now);

} // namespace binnacle::persistence
