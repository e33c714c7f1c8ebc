#include "actors/interfaces.hpp"
#include "actors/runtime/asio_scheduler.hpp"
#include "actors/runtime/request_timeouts.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using runtime::request_timeouts;

constexpr request_timeouts::time_point noon{12h};

TEST(request_timeouts_test, FiresAShortTimeoutToThePoint) {
  EXPECT_EQ(request_timeouts::rounded(noon + 137ms, noon), noon + 137ms);
  EXPECT_EQ(request_timeouts::rounded(noon - 1ms, noon), noon - 1ms);
}

TEST(request_timeouts_test, GathersLongTimeoutsAndFiresNoneEarly) {
  EXPECT_EQ(request_timeouts::rounded(noon + 30s, noon), noon + 30s);
  EXPECT_EQ(request_timeouts::rounded(noon + 30s + 1ns, noon), noon + 30s + 250ms);
  EXPECT_EQ(request_timeouts::rounded(noon + 30s + 249ms, noon), noon + 30s + 250ms);
}

/// An actor system on one io_context and one thread, stopped in the service's order.
class asio_system : public ::testing::Test {
protected:
  asio_system() { runtime::schedule_on(io, config); }
  ~asio_system() override {
    runtime::forget_logger(io, 1);
    system.reset();
    work.reset();
    thread.join();
  }
  void start() {
    system.emplace(config);
    thread = std::thread{[this] { io.run(); }};
  }

  boost::asio::io_context io{};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work{
      boost::asio::make_work_guard(io)};
  caf::actor_system_config config{};
  std::optional<caf::actor_system> system{};
  std::thread thread{};
};

/// Any interface with a reply will do.
using silent_actor = window_keeper_actor;
struct silent_state {
  explicit silent_state(silent_actor::pointer) {}
  std::vector<caf::typed_response_promise<kept_windows>> owed{};
};
silent_actor::behavior_type silent(silent_actor::stateful_pointer<silent_state> self) {
  return {[](const keep_windows&) {},
          [self](const recall_windows&) -> caf::result<kept_windows> {
            return self->state.owed.emplace_back(self->make_response_promise<kept_windows>());
          },
          [](const flush_windows&) { return flushed{}; }, [](caf::tick_atom) {}};
}

TEST_F(asio_system, EndsARequestThatNobodyAnswers) {
  start();
  std::promise<caf::error> outcome;
  auto other = system->spawn(silent);
  system->spawn([&outcome, other](caf::event_based_actor* self) {
    self->request(other, 20ms, recall_windows{})
        .then([&](const kept_windows&) { outcome.set_value({}); },
              [&](const caf::error& e) { outcome.set_value(e); });
  });

  auto got = outcome.get_future().get();

  EXPECT_EQ(got, caf::sec::request_timeout) << caf::to_string(got);
  caf::anon_send_exit(other, caf::exit_reason::user_shutdown);
}

} // namespace
} // namespace binnacle
