/// The outbox of mails: what a transaction wants said to somebody is stored with it, and stays
/// until it has been handed over or is too old.
///
/// A mail has one cause and is queued once for it. It carries the same id at every attempt, so that
/// a transport that knows ids delivers it once (Resend keeps them for 24 hours, and no mail is
/// tried for longer than `mail_life`). Its content is encrypted by the caller and dropped at the
/// end: links in it are credentials, of which the rest of the database knows digests only.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

constexpr hours mail_life{23};

struct queued_mail {
  std::string id{};        // make_ulid
  std::string cause{};     // such as "invite:<id>"
  std::string kind{};      // such as "team_invite", for people
  std::string recipient{}; // an address that is_email
  std::string subject{};
  std::string content_sealed{};
};

/// Stores the mail unless there is one for its cause; true when there was none.
result<bool> queue_mail(transaction&, const queued_mail&, time_point now);

/// Mails of that kind to that address since then, whatever became of them.
result<std::int64_t> count_mails_to(transaction&, const std::string& recipient,
                                    const std::string& kind, time_point since);

/// A mail that a node is about to send. Whoever has it must finish, postpone or fail it; after its
/// lease it is given to somebody else, and those three are refused (conflict).
struct held_mail {
  queued_mail what{};
  std::int64_t attempt = 0; // 1 for the first
  std::string holder{};
};
/// The one that is due for the longest; nothing when none is. One statement that may be repeated:
/// for access::append too.
result<std::optional<held_mail>> hold_mail(transaction&, const std::string& holder,
                                           milliseconds lease, time_point now);

result<done> finish_mail(transaction&, const held_mail&, time_point now);
/// It is due again at `again`; `why` is for operators and holds no secret.
result<done> postpone_mail(transaction&, const held_mail&, const std::string& why,
                           time_point again);
/// It will not be tried again.
result<done> fail_mail(transaction&, const held_mail&, const std::string& why, time_point now);

// -- for admins and operators --------------------------------------------------------------------

/// Without its content.
struct mail_record {
  std::int64_t seq = 0; // ascending in the order of queueing
  std::string id{};
  std::string kind{};
  std::string recipient{};
  std::string subject{};
  std::string state{}; // waiting, sent, failed
  std::int64_t attempts = 0;
  std::optional<time_point> next_attempt_at{}; // of one that waits
  std::string last_error{};
  time_point queued_at{};
  std::optional<time_point> finished_at{};
};
struct mail_filter {
  std::string state{};                  // empty: any
  std::optional<std::int64_t> before{}; // only those with a smaller seq
  std::int64_t most = 50;
};
/// The latest first.
result<std::vector<mail_record>> list_mails(transaction&, const mail_filter&);

struct mail_counts {
  std::int64_t waiting = 0;
  std::int64_t failed = 0;
  std::optional<time_point> oldest{}; // of those that wait
};
result<mail_counts> count_mails(transaction&);

/// Fails what waits and has expired, and forgets what has been over since before `forget_before`,
/// each at most `most`; how many rows were changed.
result<std::int64_t> sweep_mails(transaction&, time_point forget_before, std::int64_t most,
                                 time_point now);

} // namespace binnacle::persistence
