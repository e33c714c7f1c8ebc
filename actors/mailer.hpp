/// Sends the mails of the outbox (persistence/mail.hpp), one after another: through Resend, or a
/// mail server, or not at all while neither is configured.
///
/// What this node has queued it sends at once; what another has left behind (it died, or failed) it
/// finds within a second of its becoming due. An attempt that failed is repeated after 5 s,
/// doubling to 1 h, with full jitter and Retry-After respected (integrations::retry_policy), until
/// the mail is sent, refused for what it is, or older than persistence::mail_life. After
/// `tolerance` failures in a row nothing is tried for `rest`. A mail has one id for all attempts,
/// so that an attempt whose outcome is unknown does not become a second mail; a mail server has no
/// such promise.
///
/// Seen in GET /api/admin/mail and the metrics binnacle_mail….
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "integrations/http_client.hpp"
#include "persistence/mail.hpp"

#include <caf/fwd.hpp>
#include <functional>
#include <limits>
#include <string>

namespace binnacle {

/// A mail as whoever causes it writes it.
struct mail_draft {
  std::string cause{}; // one mail each
  std::string kind{};
  std::string recipient{};
  std::string subject{};
  std::string text{};
  std::string html{};
  std::string link{}; // what it is about
};
/// For queue_mail, in the transaction of the cause.
persistence::queued_mail seal_mail(const services&, const mail_draft&, time_point now);
/// After that transaction: has it sent at once. While nothing is configured that could send it, the
/// log says that it waits, in development with its link.
void announce_mail(const services&, const mail_draft&);

/// Makes one attempt and blocks until it is over.
using mail_sender_actor = caf::typed_actor<caf::replies_to<deliver_mail>::with<mail_delivery>>;

/// What the mailer wants of the database.
struct mail_books {
  using tx = persistence::transaction;
  using held = persistence::held_mail;
  std::function<result<std::optional<held>>(tx&, const std::string& holder, milliseconds lease,
                                            time_point now)>
      hold = persistence::hold_mail;
  std::function<result<done>(tx&, const held&, time_point now)> finish = persistence::finish_mail;
  std::function<result<done>(tx&, const held&, const std::string& why, time_point again)> postpone =
      persistence::postpone_mail;
  std::function<result<done>(tx&, const held&, const std::string& why, time_point now)> fail =
      persistence::fail_mail;
  std::function<result<persistence::mail_counts>(tx&)> count = persistence::count_mails;
};

struct mailer_config {
  integrations::retry_policy retry{.attempts = std::numeric_limits<int>::max(), // its age ends it
                                   .first = seconds{5},
                                   .longest = hours{1}};
  int tolerance = 5;
  seconds rest{60};

  // For deterministic tests.
  mail_books books{};
  std::function<mail_sender_actor(mailer_actor::pointer)> spawn_sender{};
  std::function<double()> random{}; // in [0, 1)
};

mailer_actor spawn_mailer(caf::actor_system&, services&, mailer_config = {});

} // namespace binnacle
