/// Logins that an issuer reports of its own accord (POST /api/webhooks/auth0), and the users that
/// come into being by them.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <string>

namespace binnacle::persistence {

struct reported_login {
  std::string issuer{};
  std::string subject{};
  std::string email{};         // lower case
  bool email_verified = false; // the issuer says that it is the person's
  bool email_refuted = false;  // it says that it does not know
  std::string name{};
  std::string address{};   // the browser's
  std::int64_t logins = 0; // of the subject at the issuer, this one included
};

struct noted_login {
  user_id who{};
  bool fresh = false;          // the user is new
  bool promised_roles = false; // as a new team member (teams.hpp)
  bool pays = false;           // and should have a customer at Stripe: no team member, not deleted
};

/// The same report again changes nothing but the time of the last login. A new user pays afterwards
/// (postpaid). An address links to the user who has it only if it is verified; one that is not even
/// refuted is kept if nobody has it, for the tenant vouches for whom it lets in.
result<noted_login> record_reported_login(transaction&, const reported_login&,
                                          const user_id& fresh_id, time_point now);

/// For a new user who is a team member after all: the owner pays.
result<done> stop_paying(transaction&, const user_id&);

} // namespace binnacle::persistence
