#include "actors/runtime/request_timeouts.hpp"

#include <algorithm>
#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/sec.hpp>
#include <iterator>
#include <utility>

namespace binnacle::runtime {

request_timeouts::time_point request_timeouts::rounded(time_point due, time_point now) {
  if (due - now < far_away) return due;
  auto over = due.time_since_epoch() % tick;
  return over == over.zero() ? due : due + (tick - over);
}

void request_timeouts::add(time_point due, caf::weak_actor_ptr who, caf::message_id id) {
  auto when = rounded(due, std::chrono::steady_clock::now());
  std::lock_guard lock{mutex_};
  if (stopped_) return;
  auto [at, fresh] = due_.try_emplace(when);
  at->second.push_back({std::move(who), id});
  if (fresh && at == due_.begin()) await_first();
}

void request_timeouts::stop() {
  std::map<time_point, std::vector<timeout>> dropped;
  std::lock_guard lock{mutex_};
  stopped_ = true;
  dropped.swap(due_);
  timer_.cancel();
}

void request_timeouts::await_first() {
  timer_.expires_at(due_.begin()->first);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& e) {
    if (!e) self->fire();
  });
}

void request_timeouts::fire() {
  std::vector<timeout> over;
  {
    std::lock_guard lock{mutex_};
    auto end = due_.upper_bound(std::chrono::steady_clock::now());
    for (auto at = due_.begin(); at != end; ++at)
      std::ranges::move(at->second, std::back_inserter(over));
    due_.erase(due_.begin(), end);
    if (!due_.empty()) await_first();
  }
  for (auto& [weak, id] : over)
    if (auto who = weak.lock()) who->get()->eq_impl(id, who, nullptr, caf::sec::request_timeout);
}

} // namespace binnacle::runtime
