/// The object store behind its workers: a directory, or R2 when it is configured.
///
/// What R2 is asked is repeated after network faults, 429 and 5xx (Retry-After respected) until its
/// deadline; every call is safe to repeat. After `tolerance` failures in a row nothing is asked for
/// `rest`, then single calls decide. Faults: upstream_failed, it was asked and did not do it;
/// unavailable, it was not asked; overloaded, when too many wait.
#pragma once

#include "actors/interfaces.hpp"
#include "actors/services.hpp"
#include "integrations/http_client.hpp"
#include "integrations/object_store.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

struct r2_store_config {
  r2_settings at{};
  integrations::retry_policy retry{.first = milliseconds{200}, .longest = milliseconds{5'000}};
  int tolerance = 5;
  milliseconds rest{15'000};
};
r2_store_config r2_store_config_of(const r2_settings&);

std::shared_ptr<integrations::object_store> open_r2_store(r2_store_config);
std::shared_ptr<integrations::object_store> open_object_store(const settings&);

/// Its jobs are calls of `app.object_store`.
pool_actor spawn_object_workers(caf::actor_system&, const services& app);

} // namespace binnacle
