#include "actors/runtime/asio_scheduler.hpp"

#include "actors/runtime/request_timeouts.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/logger.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <latch>
#include <memory>
#include <thread>
#include <utility>

namespace binnacle::runtime {
namespace {

class asio_coordinator;

/// What a `handoff` of this thread has caught.
struct caught_job {
  bool armed = false;
  asio_coordinator* by = nullptr;
  caf::resumable* job = nullptr;
};
thread_local caught_job caught;

/// CAF's, except for request timeouts, of which there are as many as requests.
class asio_clock final : public caf::detail::thread_safe_actor_clock {
public:
  explicit asio_clock(boost::asio::io_context& io)
      : requests_{std::make_shared<request_timeouts>(io)} {}
  ~asio_clock() override { requests_->stop(); }

  void set_request_timeout(time_point due, caf::abstract_actor* self, caf::message_id id) override {
    requests_->add(due, caf::weak_actor_ptr{self->ctrl()}, id);
  }
  void cancel_request_timeout(caf::abstract_actor*, caf::message_id) override {
    // one that fires all the same answers a request that nobody has open
  }

private:
  std::shared_ptr<request_timeouts> requests_;
};

class asio_coordinator final : public caf::scheduler::abstract_coordinator {
public:
  asio_coordinator(caf::actor_system& system, boost::asio::io_context& io)
      : abstract_coordinator{system}, io_{io}, clock_{io} {}

  void enqueue(caf::resumable* job) override {
    if (caught.armed && !caught.job) {
      caught.by = this;
      caught.job = job;
      return;
    }
    posted_.fetch_add(1, std::memory_order_relaxed);
    boost::asio::post(io_, [this, job] {
      run(job);
      if (posted_.fetch_sub(1, std::memory_order_release) == 1) posted_.notify_all();
    });
  }

  void run(caf::resumable* job) {
    unit here{*this};
    switch (job->resume(&here, max_throughput())) {
    case caf::resumable::resume_later:
      enqueue(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
      caf::intrusive_ptr_release(job);
      break;
    }
  }

  caf::actor_clock& clock() noexcept override { return clock_; }
  bool detaches_utility_actors() const override { return true; }

  void start() override {
    clock_thread_ = std::thread{[this] { clock_.run_dispatch_loop(); }};
    abstract_coordinator::start();
  }

  void stop() override {
    stop_actors();
    // The system has just told its own helper actors to end, and nobody else waits for them: their
    // last jobs must have run before this scheduler is gone.
    while (auto left = posted_.load(std::memory_order_acquire)) posted_.wait(left);
    clock_.cancel_dispatch_loop();
    clock_thread_.join();
  }

private:
  struct unit final : caf::execution_unit {
    explicit unit(asio_coordinator& c) : execution_unit{&c.system()}, coordinator{c} {}
    void exec_later(caf::resumable* job) override { coordinator.enqueue(job); }
    asio_coordinator& coordinator;
  };

  boost::asio::io_context& io_;
  std::atomic<std::size_t> posted_{0};
  asio_clock clock_;
  std::thread clock_thread_{};
};

} // namespace

void schedule_on(boost::asio::io_context& io, caf::actor_system_config& config) {
  config.module_factories.emplace_back(
      [&io](caf::actor_system& system) -> caf::actor_system::module* {
        return new asio_coordinator{system, io}; // owned by the actor system
      });
}

void forget_logger(boost::asio::io_context& io, std::size_t threads) {
  // Nobody leaves before everybody has come, so each thread runs this once.
  auto all = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(threads) + 1);
  for (std::size_t i = 0; i < threads; ++i)
    boost::asio::post(io, [all] {
      caf::logger::set_current_actor_system(nullptr);
      all->arrive_and_wait();
    });
  all->arrive_and_wait();
}

handoff::handoff() { caught.armed = true; }

handoff::~handoff() {
  caught.armed = false;
  if (auto* job = std::exchange(caught.job, nullptr)) std::exchange(caught.by, nullptr)->run(job);
}

} // namespace binnacle::runtime
