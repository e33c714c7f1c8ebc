/// Answers kept by Idempotency-Key: a request is claimed before it is executed and its answer is
/// kept afterwards. One claim of a key wins, whichever node it comes from.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <string>

namespace binnacle::persistence {

struct idempotency_claim {
  std::string scope{}; // whose key it is
  std::string key{};
  std::string fingerprint{}; // of the request, opaque bytes
  std::string holder{};      // this attempt; unlike any other
  time_point lease_until{};  // who has not settled the claim by then has died
  time_point expires_at{};
  std::int64_t most = 10'000; // keys of one scope at a time, so that nobody fills the table
};

enum class idempotency_state {
  claimed,    // this attempt is to execute the request
  running,    // another one does
  answered,   // it has been executed
  mismatched, // the key belongs to a request with another fingerprint
  crowded,    // the key is new and its scope has too many
};

struct idempotency_verdict {
  idempotency_state state = idempotency_state::claimed;
  std::string answer{}; // of `answered`, as it was kept
  time_point room_at{}; // of `crowded`: when the first of its keys expires
};

/// Claims a key that is new, expired, or whose claim has outlived its lease without an answer.
result<idempotency_verdict> claim_idempotency_key(transaction&, const idempotency_claim&,
                                                  time_point now);
/// Keeps the answer. Nothing happens when the claim was taken over: the answer is the other's.
result<done> keep_idempotent_answer(transaction&, const idempotency_claim&,
                                    const std::string& answer);
/// Gives the claim back without an answer, so that the next attempt executes the request.
result<done> release_idempotency_key(transaction&, const idempotency_claim&);
result<std::int64_t> delete_expired_idempotency_keys(transaction&, time_point now);

} // namespace binnacle::persistence
