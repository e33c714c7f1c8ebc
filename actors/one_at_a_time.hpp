/// Requests that one actor serves one after the other, in the order they came, while the others
/// wait.
#pragma once

#include "actors/async.hpp"
#include "config/base/log.hpp"

#include <caf/result.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <functional>
#include <utility>

namespace binnacle {

/// A member of the actor's state, declared after its scope. A run that throws is an internal fault;
/// however one ends, the next begins.
template <class Request, class Reply>
class one_at_a_time {
public:
  using service = std::function<task<result<Reply>>(Request)>;

  one_at_a_time(async_scope& scope, service serve) : scope_{scope}, serve_{std::move(serve)} {}

  /// The reply comes when the request's turn is over; errc::overloaded at once when `most` wait.
  template <class Self>
  caf::result<Reply> take(Self* self, Request what, std::size_t most) {
    if (busy_ && waiting_.size() >= most) return errc::overloaded;
    auto reply = self->template make_response_promise<Reply>();
    waiting_.emplace_back(std::move(what), reply);
    if (!busy_) scope_.adopt(serve_all());
    return reply;
  }

private:
  detached_frame serve_all() {
    busy_ = true;
    while (!waiting_.empty()) {
      auto next = std::move(waiting_.front());
      waiting_.pop_front();
      result<Reply> out{fault{}};
      try {
        auto run = serve_(std::move(next.first));
        out = co_await run;
      } catch (const std::exception& e) {
        log::error("a run failed", {{"why", e.what()}});
        out = internal_fault(e.what());
      }
      if (out)
        next.second.deliver(std::move(*out));
      else
        next.second.deliver(caf::make_error(out.error().code));
    }
    busy_ = false;
  }

  async_scope& scope_;
  service serve_;
  std::deque<std::pair<Request, caf::typed_response_promise<Reply>>> waiting_{};
  bool busy_ = false;
};

} // namespace binnacle
