/// Keeps users' accounts at the Hopsworks of their clusters as they should be (platform.md §4, §6).
///
/// Who is put on a cluster, suspended, let in again, or begins or ceases to pay stands in an outbox
/// (persistence/hopsworks_accounts.hpp) from the same transaction on. Their account is looked up by
/// its id or their email, made if there is none, deactivated or activated, and given as many
/// projects as they are entitled to. What fails is tried again after 2, 4 and 8 s, then noted as a
/// health failure and tried on, at most an hour apart, for ever. Nothing of it holds up the
/// assignment.
///
/// An account that Hopsworks' own admins have blocked stays so, and more projects than ours stay.
#pragma once

#include "actors/hopsworks_messages.hpp"
#include "actors/services.hpp"
#include "actors/task.hpp"
#include "integrations/hopsworks.hpp"
#include "persistence/hopsworks_accounts.hpp"

#include <caf/fwd.hpp>
#include <functional>

namespace binnacle {

/// What the accounts want of the database: functions of persistence/.
struct account_books {
  using tx = persistence::transaction;
  using held = persistence::held_account;
  std::function<result<std::optional<persistence::hopsworks_holder>>(tx&, const user_id&)> find =
      persistence::find_hopsworks_holder;
  std::function<result<done>(tx&, const user_id&, const cluster_id&,
                             const persistence::hopsworks_account&)>
      store = persistence::store_hopsworks_account;
  std::function<result<std::vector<held>>(tx&, const std::string& holder, milliseconds lease,
                                          std::int64_t most, time_point now)>
      hold = persistence::hold_accounts;
  std::function<result<done>(tx&, const held&, time_point now)> finish =
      persistence::finish_account;
  /// Also notes the failure for somebody to look at, when it is `final`.
  std::function<result<done>(tx&, const held&, const std::string& why, time_point again,
                             bool is_final, time_point now)>
      fail;
  std::function<result<std::int64_t>(tx&)> count = persistence::count_accounts;
  std::function<result<done>(tx&, const persistence::project_role&, time_point now)> store_role =
      persistence::store_project_role;

  account_books();
};

struct hopsworks_accounts_config {
  std::int64_t lanes = 4;   // accounts side by side
  bool works_outbox = true; // false: only answers what it is asked
  account_books books{};    // for deterministic tests
};

hopsworks_accounts_actor spawn_hopsworks_accounts(caf::actor_system&, services&,
                                                  hopsworks_accounts_config = {});

/// The pause after the attempt of this number: 2, 4 and 8 s, then 1 min doubling to 1 h.
seconds pause_of_account(std::int64_t attempt);

/// The account, looked up by its id, else by the email. `ask(call, reader)` is what is co_awaited
/// for a call.
template <class Ask>
task<result<std::optional<hopsworks::user>>>
look_up_account(Ask ask, persistence::hopsworks_account known, std::string email) {
  if (known.id) {
    auto by_id = co_await ask(hopsworks::get_user(*known.id), hopsworks::read_user);
    if (by_id) co_return std::optional{std::move(*by_id)};
    if (by_id.error().code != errc::not_found) co_return by_id.error();
  }
  auto all = co_await ask(hopsworks::list_users(), hopsworks::read_users);
  if (!all) co_return all.error();
  co_return hopsworks::user_with_email(*all, email);
}

} // namespace binnacle
