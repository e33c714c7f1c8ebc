/// What handlers and actors share. Filled by `service` (service.hpp) before the first request and
/// unchanged until the last; the atomics are for any thread.
#pragma once

#include "actors/hopsworks_messages.hpp"
#include "actors/interfaces.hpp"
#include "actors/key_messages.hpp"
#include "actors/rosters.hpp"
#include "config/base/time.hpp"
#include "config/catalogue.hpp"
#include "config/settings.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace binnacle::integrations {
class object_cache;
class object_store;
class signing_key;
class vault;
} // namespace binnacle::integrations

namespace binnacle {

class known_keys;

struct services {
  settings config{};
  catalogue offers{}; // what is sold through Stripe
  const clock* time = &system_clock_source();
  std::string node{}; // this process, for leases and logs
  std::shared_ptr<const integrations::signing_key> signer{};
  std::shared_ptr<const integrations::vault> vault{};

  front_end_actor front_end{};
  identity_actor identity{};
  window_keeper_actor window_keeper{};
  pool_actor storage{};  // blocking jobs with a database connection
  pool_actor compute{};  // blocking jobs without one: password hashes, signatures
  pool_actor pictures{}; // likewise: pictures to decode, one at a time
  pool_actor objects{};  // blocking jobs with the object store
  std::shared_ptr<integrations::object_store> object_store{}; // used by those jobs
  std::shared_ptr<integrations::object_cache> object_cache{}; // what it was asked for last
  usage_collector_actor usage_collector{};
  stripe_actor stripe{};
  billing_actor billing{};
  meter_sync_actor meter_sync{};
  stripe_intake_actor stripe_intake{};
  stripe_inbox_actor stripe_inbox{};
  reconciler_actor reconciler{};
  hopsworks_actor hopsworks{};
  hopsworks_accounts_actor hopsworks_accounts{};
  project_sync_actor project_sync{};
  mailer_actor mailer{};
  team_actor team{};
  rosters_actor rosters{};
  login_provider_actor login_provider{}; // null: not configured
  upstream_actor hubspot{};
  std::shared_ptr<known_keys> api_keys{}; // what has been verified, in memory
  key_keeper_actor key_keeper{};

  /// Raised each time the notifier (again) listens: what was cached before may be stale.
  std::atomic<std::uint64_t> change_generation{0};
  /// False while nobody listens for changes: caches are not to be trusted then.
  std::atomic<bool> listening{false};
  std::atomic<bool> draining{false};
  /// Windows on their way to the database: counted in by who sends them to the window keeper, and
  /// out by the keeper. While there are none, a new session need not ask it.
  std::atomic<std::size_t> windows_unsaved{0};
  /// The last storage job got through to the database.
  std::atomic<bool> database_up{false};
};

/// A connection's memory of a credential: which bytes led to which session.
struct session_link {
  std::string authorization{}; // the header's bytes, compared in constant time
  std::string cookie{};        // the session cookie's value
  std::string address{};
  const surface* face = nullptr;
  std::shared_ptr<const credential> who{}; // null: anonymous
  session_actor session{};
  bool reusable = true; // false: the credential was no good, look at it anew next time
};

} // namespace binnacle
