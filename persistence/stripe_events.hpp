/// The inbox of Stripe's events: each is stored once, by its id, and stays until it has been
/// applied, however often that fails.
///
/// Of the events of one object, at most one is worked on at a time, over all nodes, the oldest that
/// is due first. One that fails does not hold up those after it: what an event does is decided by
/// the object's state in Stripe, not by its place among the others.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct stripe_event {
  std::string id{}; // evt_…
  std::string type{};
  std::string object_key{}; // what its events are ordered by
  bool livemode = false;
  std::string api_version{};
  time_point created_at{}; // in Stripe
  std::string payload{};   // the body as it came, UTF-8
  bool inert = false;      // nothing follows from it: it is stored as applied
};

enum class event_source : std::uint8_t { webhook, healer };

/// Stores the events that are not known yet, and returns their ids, each once. All or none; one
/// statement that may be repeated: for access::append too.
result<std::vector<std::string>> store_stripe_events(transaction&, const std::vector<stripe_event>&,
                                                     event_source, time_point now);

/// An event that a node is at. Whoever has it must finish, fail or shelve it; after its lease it is
/// given to somebody else, and those three are refused (conflict).
struct held_stripe_event {
  std::string id{};
  std::string type{};
  std::string object_key{};
  bool livemode = false;
  std::string payload{};
  std::int64_t attempt = 0; // 1 for the first
  std::string holder{};
  time_point received_at{};
  /// By the database's clock, which all nodes share: what is read from Stripe from here on is newer
  /// than what was applied for the same object before.
  time_point held_at{};
};
/// At most `most` events that are due, of different objects.
result<std::vector<held_stripe_event>> hold_stripe_events(transaction&, const std::string& holder,
                                                          milliseconds lease, std::int64_t most,
                                                          time_point now);
/// Lets go of what `holder` has but is not at: what it took while the database went away, so that
/// it never learned of it, or could not give back. How many.
result<std::int64_t> release_stripe_events(transaction&, const std::string& holder,
                                           const std::vector<std::string>& except, time_point now);

/// In the transaction of the event's effects, which must not be committed when this is refused.
result<done> finish_stripe_event(transaction&, const held_stripe_event&, time_point now);
/// It is due again at `again`; `why` is for operators.
result<done> fail_stripe_event(transaction&, const held_stripe_event&, const std::string& why,
                               time_point again);
/// It is about somebody who is no user yet: it waits until there is one with this email.
result<done> shelve_stripe_event(transaction&, const held_stripe_event&, const std::string& email);
/// Makes due what waits for users that there are now; how many.
result<std::int64_t> unshelve_stripe_events(transaction&, time_point now);

// -- for admins and operators --------------------------------------------------------------------

struct stripe_event_record {
  std::int64_t seq = 0; // ascending in the order of arrival, but for what was stored together
  stripe_event what{};  // the payload only from find_stripe_event, and only while it is kept
  std::string source{};
  std::string state{}; // waiting, failed, unresolved, applied
  std::int64_t attempts = 0;
  std::optional<time_point> next_attempt_at{}; // of one that waits or has failed
  std::string awaited_email{};
  std::string last_error{};
  time_point received_at{};
  std::optional<time_point> applied_at{};
};
struct stripe_event_filter {
  std::string state{}; // empty: any
  std::string type{};
  std::optional<std::int64_t> before{}; // only those with a smaller seq
  std::int64_t most = 50;
};
/// The latest first.
result<std::vector<stripe_event_record>> list_stripe_events(transaction&,
                                                            const stripe_event_filter&);
result<std::optional<stripe_event_record>> find_stripe_event(transaction&, const std::string& id);
/// Makes the event due once more. not_found; conflict while somebody is at it, and when its payload
/// is no longer kept.
result<done> replay_stripe_event(transaction&, const std::string& id, time_point now);

struct stripe_event_counts {
  std::int64_t waiting = 0;
  std::int64_t failed = 0;
  std::int64_t unresolved = 0;
  std::optional<time_point> oldest{}; // arrival of the oldest that waits or has failed
};
result<stripe_event_counts> count_stripe_events(transaction&);

/// Drops the payloads of applied events that came before `before`, at most `most`; how many. What
/// tells a repetition stays.
result<std::int64_t> drop_stripe_payloads(transaction&, time_point before, std::int64_t most);

} // namespace binnacle::persistence
