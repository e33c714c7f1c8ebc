#include "actors/context.hpp"

#include "actors/rejections.hpp"

#include <algorithm>

namespace binnacle {

context::context(services& app_, async_scope& scope, session_actor::pointer self, ticket t,
                 std::shared_ptr<const persistence::user> caller)
    : app{app_}, req{t->req}, scope_{scope}, self_{self}, ticket_{std::move(t)}, caller_{std::move(
                                                                                     caller)} {}

caf::timespan context::patience() const {
  auto left = ticket_->received + app.config.http.request_timeout - now();
  return std::max<caf::timespan>(left, milliseconds{1});
}

fault context::refuse(const limit_report& over) {
  rejections(over.name).Increment();
  ticket_->limit = over;
  return {errc::rate_limited, {}, {}, {}};
}

} // namespace binnacle
