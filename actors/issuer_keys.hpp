/// The public keys of one trusted issuer, and when to fetch them anew.
///
/// Keys are fresh as long as their answer said, and good for a day more while fresher ones cannot
/// be had: an issuer whose server hangs locks nobody out who has a token. After a failure the pause
/// doubles, from 1 s to 30 s. A key id that nobody knows makes one fetch, at most every 30 s: the
/// issuer may just have changed its keys. No thread, no clock of its own.
#pragma once

#include "config/base/time.hpp"
#include "integrations/tokens.hpp"

#include <memory>
#include <string>

namespace binnacle {

class issuer_keys {
public:
  enum class outlook {
    known,       // verify with `keys()`
    unknown,     // the issuer has no such key
    coming,      // wait for the fetch that is going on
    unavailable, // no keys, and too early to try again
  };
  struct advice {
    outlook what = outlook::unavailable;
    bool fetch = false; // begin to, now; counts as begun
  };

  /// What to do about a token that names this key.
  advice look_for(const std::string& kid, time_point now);
  /// A fetch has come to its end; `fetched` is null when it failed.
  void end_fetch(std::shared_ptr<const integrations::key_set> fetched, seconds lifetime,
                 time_point now);

  const integrations::key_set& keys() const { return *keys_; }

private:
  std::shared_ptr<const integrations::key_set> keys_{};
  time_point fresh_until_{};
  time_point retry_at_{};   // after a failure
  time_point refetch_at_{}; // for a key id that is unknown
  seconds pause_{0};
  bool fetching_ = false;
};

} // namespace binnacle
