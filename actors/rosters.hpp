/// The rosters of the projects that are being looked at. One actor for all; PostgreSQL is asked
/// each time what has changed, so that a page is never older than its request. Rosters that nobody
/// asks for are dropped, and the least asked for when all are too large together.
#pragma once

#include "actors/roster.hpp"
#include "config/base/errors.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/replies_to.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

namespace binnacle {

struct services;

struct find_roster {
  developer_project_id project{};
};
struct found_roster {
  std::shared_ptr<const roster_view> what{};
};

using rosters_actor = caf::typed_actor<
    // All that was committed before this message is in the reply.
    caf::replies_to<find_roster>::with<found_roster>,
    // INTERNAL: a minute has passed.
    caf::reacts_to<caf::tick_atom>>;

rosters_actor spawn_rosters(caf::actor_system& system, services& app);

template <class I>
typename I::result_type inspect(I& f, find_roster& x) {
  return f(caf::meta::type_name("find_roster"), x.project.value);
}

} // namespace binnacle

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::found_roster)

// Apart from the ids of messages.hpp, which may grow.
CAF_BEGIN_TYPE_ID_BLOCK(binnacle_rosters, caf::first_custom_type_id + 500)

  CAF_ADD_TYPE_ID(binnacle_rosters, (binnacle::find_roster))
  CAF_ADD_TYPE_ID(binnacle_rosters, (binnacle::found_roster))

CAF_END_TYPE_ID_BLOCK(binnacle_rosters)
