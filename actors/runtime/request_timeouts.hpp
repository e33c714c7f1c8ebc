/// The timeouts of requests between actors, on Asio's timer: 16 bytes and no thread switch each.
///
/// CAF's own clock keeps every timeout until it is due, answered or not, in three allocations of
/// 190 bytes together, and wakes its thread for each. A service that has just read something for
/// 100,000 users holds 200,000 of them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/message_id.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

namespace binnacle::runtime {

/// Thread-safe. Owned by a shared_ptr, as its timer's handler may outlive its owner's interest.
class request_timeouts : public std::enable_shared_from_this<request_timeouts> {
public:
  using time_point = caf::actor_clock::time_point;
  static_assert(std::is_same_v<time_point, std::chrono::steady_clock::time_point>);

  /// Timeouts that are this far away or more are rounded up to a multiple of `tick`.
  static constexpr std::chrono::milliseconds far_away{2'000}, tick{250};
  static time_point rounded(time_point due, time_point now);

  explicit request_timeouts(boost::asio::io_context& io) : timer_{io} {}

  /// Sends `sec::request_timeout` as the answer to `id`, never before `due`. An actor that has got
  /// its answer ignores it; one that is gone by then is not kept for it.
  void add(time_point due, caf::weak_actor_ptr who, caf::message_id id);

  /// Forgets all; from now on nothing is added and nothing fires.
  void stop();

private:
  struct timeout {
    caf::weak_actor_ptr who;
    caf::message_id id;
  };
  void fire();
  void await_first(); // holds mutex_

  std::mutex mutex_;
  boost::asio::steady_timer timer_;
  std::map<time_point, std::vector<timeout>> due_;
  bool stopped_ = false;
};

} // namespace binnacle::runtime
