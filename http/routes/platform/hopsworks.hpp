/// What the handlers that speak with Hopsworks have in common.
#pragma once

#include "actors/context.hpp"
#include "actors/hopsworks.hpp"
#include "actors/hopsworks_accounts.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {

/// Nobody at a dashboard waits longer; and this much of the request's time is kept for its answer.
constexpr seconds longest_wait{10};
constexpr seconds kept_for_answer{1};

/// One call to the Hopsworks of a cluster on behalf of a request; faults as in actors/hopsworks.hpp
/// and integrations/hopsworks.hpp.
template <class T>
task<result<T>> call_cluster(context& ctx, const persistence::cluster& where, hopsworks::call what,
                             result<T> (*read)(const integrations::http_answer&)) {
  auto patience = std::min<caf::timespan>(ctx.patience() - kept_for_answer, longest_wait);
  auto request = request_for(where, std::move(what), patience);
  auto got =
      co_await ctx.ask<hopsworks_answer>(ctx.app.hopsworks, request, ctx.patience() - patience);
  auto answer = answer_of(got);
  if (!answer) co_return answer.error();
  co_return read(*answer);
}

/// The user's account at their cluster; nothing when they have none.
inline task<result<std::optional<hopsworks::user>>>
look_up(context& ctx, const persistence::hopsworks_holder& h) {
  auto ask = [&ctx, &h](hopsworks::call what, auto read) {
    return call_cluster(ctx, h.where, std::move(what), read);
  };
  co_return co_await look_up_account(ask, h.known, h.email);
}

} // namespace binnacle::http
