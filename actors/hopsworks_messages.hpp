/// The messages and interfaces of the actors that speak with Hopsworks.
#pragma once

#include "actors/messages.hpp"
#include "persistence/clusters.hpp"

#include <caf/typed_actor.hpp>

namespace binnacle::hopsworks {
struct call;
}

namespace binnacle {

// -- one call ------------------------------------------------------------------------------------

/// Make this call at the Hopsworks of `where`, unless it could not be sent within `patience`.
struct call_hopsworks {
  std::shared_ptr<const persistence::cluster> where{};
  std::shared_ptr<const hopsworks::call> what{};
  caf::timespan patience{};
};
/// What Hopsworks answered in the end, whatever its status, or why there is no answer; never null.
struct hopsworks_answer {
  std::shared_ptr<const result<integrations::http_answer>> what{};
};

// -- accounts and roles --------------------------------------------------------------------------

/// The user's account at their cluster, looked up, or made if there is none.
struct ensure_hopsworks_account {
  user_id who{};
};
struct hopsworks_identity {
  std::int64_t id = 0;
  std::string username{};
};
/// Look for accounts that are to be brought in line at once, not only at the next second.
struct hopsworks_accounts_changed {};

/// Give `member` the role in the project of this name on their cluster; in all active projects of
/// `owner` when there is no name.
struct grant_project_role {
  user_id member{};
  user_id owner{};       // whose projects; empty: anybody's on the cluster
  std::string project{}; // by name; empty: all of the owner's
  std::string role{};    // Data owner, Data scientist, Observer
  user_id granted_by{};
};
struct granted_roles {
  std::vector<std::string> projects{}; // in these the member has the role now
  std::vector<std::string> errors{};   // "project: why"
};

// -- projects ------------------------------------------------------------------------------------

/// Bring user_projects in line with what all clusters have.
struct sync_projects {};
struct synced_projects {
  std::int64_t synced = 0;
  std::int64_t failed = 0; // clusters and projects that could not be brought in line
  std::string report{};    // JSON, in the shape that `POST /api/cron/sync-projects` answers with
};
/// Find out whose these namespaces of the cluster are, and note it.
struct find_project_owners {
  cluster_id cluster{};
  std::vector<std::string> namespaces{};
};
struct found_project_owners {
  std::vector<persistence::project> projects{};
};

/// The way to the Hopsworks of all clusters.
using hopsworks_actor = caf::typed_actor<
    // Replies with what Hopsworks says, after retries; errc::overloaded when too many wait.
    caf::replies_to<call_hopsworks>::with<hopsworks_answer>>;

/// Keeps users' accounts at Hopsworks as they should be.
using hopsworks_accounts_actor = caf::typed_actor<
    // errc::not_found: no such user; errc::unprocessable: they are on no cluster, or have no email;
    // otherwise the fault of Hopsworks' call (hopsworks.hpp).
    caf::replies_to<ensure_hopsworks_account>::with<hopsworks_identity>,
    // errc::not_found: no such member, owner or project; errc::unprocessable: the member is on no
    // cluster or not known there. Projects that fail are part of the reply.
    caf::replies_to<grant_project_role>::with<granted_roles>,
    caf::reacts_to<hopsworks_accounts_changed>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

/// Knows whose projects are whose.
using project_sync_actor = caf::typed_actor<
    // One run at a time, others wait their turn. errc::overloaded: too many wait.
    caf::replies_to<sync_projects>::with<synced_projects>,
    // Replies with those that were found; none when Hopsworks cannot be asked.
    caf::replies_to<find_project_owners>::with<found_project_owners>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

template <class I>
typename I::result_type inspect(I& f, ensure_hopsworks_account& x) {
  return f(caf::meta::type_name("ensure_hopsworks_account"), x.who.value);
}
template <class I>
typename I::result_type inspect(I& f, hopsworks_identity& x) {
  return f(caf::meta::type_name("hopsworks_identity"), x.id, x.username);
}
template <class I>
typename I::result_type inspect(I& f, hopsworks_accounts_changed&) {
  return f(caf::meta::type_name("hopsworks_accounts_changed"));
}
template <class I>
typename I::result_type inspect(I& f, grant_project_role& x) {
  return f(caf::meta::type_name("grant_project_role"), x.member.value, x.owner.value, x.project,
           x.role, x.granted_by.value);
}
template <class I>
typename I::result_type inspect(I& f, granted_roles& x) {
  return f(caf::meta::type_name("granted_roles"), x.projects, x.errors);
}
template <class I>
typename I::result_type inspect(I& f, sync_projects&) {
  return f(caf::meta::type_name("sync_projects"));
}
template <class I>
typename I::result_type inspect(I& f, synced_projects& x) {
  return f(caf::meta::type_name("synced_projects"), x.synced, x.failed, x.report);
}
template <class I>
typename I::result_type inspect(I& f, find_project_owners& x) {
  return f(caf::meta::type_name("find_project_owners"), x.cluster.value, x.namespaces);
}

} // namespace binnacle

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::call_hopsworks)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::hopsworks_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::found_project_owners)

// Apart from the ids of messages.hpp, which may grow.
CAF_BEGIN_TYPE_ID_BLOCK(binnacle_hopsworks, caf::first_custom_type_id + 400)

  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::call_hopsworks))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::hopsworks_answer))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::ensure_hopsworks_account))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::hopsworks_identity))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::hopsworks_accounts_changed))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::grant_project_role))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::granted_roles))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::sync_projects))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::synced_projects))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::find_project_owners))
  CAF_ADD_TYPE_ID(binnacle_hopsworks, (binnacle::found_project_owners))

CAF_END_TYPE_ID_BLOCK(binnacle_hopsworks)
