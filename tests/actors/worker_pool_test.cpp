#include "actors/worker_pool.hpp"

#include "config/base/metrics.hpp"
#include "deterministic_system.hpp"

#include <stdexcept>

namespace binnacle {
namespace {

using testing::deterministic_system;

struct noting_job final : job {
  noting_job(std::vector<int>& notes, int number) : notes_{notes}, number_{number} {}
  void run(worker_tools&) override { notes_.push_back(number_); }
  std::vector<int>& notes_;
  int number_;
};

struct throwing_job final : job {
  void run(worker_tools&) override { throw std::runtime_error{"on purpose"}; }
};

class worker_pool_test : public deterministic_system {
protected:
  pool_actor spawn(std::size_t workers, std::size_t queue) {
    pool_config config;
    config.name = "test";
    config.workers = workers;
    config.queue = queue;
    config.detached = false;
    return owned(spawn_worker_pool(system, std::move(config)));
  }
  perform note(int number) { return {std::make_shared<noting_job>(notes, number)}; }
  static double gauge(const char* name) {
    return metrics::gauge(name, "", {{"pool", "test"}}).Value();
  }
  std::vector<int> notes{};
};

TEST_F(worker_pool_test, RunsJobsInTheOrderTheyCame) {
  auto pool = spawn(1, 100);

  for (int i = 0; i < 20; ++i) self->send(pool, note(i));
  run();

  std::vector<int> expected(20);
  for (int i = 0; i < 20; ++i) expected[static_cast<std::size_t>(i)] = i;
  EXPECT_EQ(notes, expected);
}

TEST_F(worker_pool_test, RefusesWhatDoesNotFitIntoTheQueue) {
  auto pool = spawn(1, 2);

  // All four are in the mailbox before the worker runs for the first time.
  auto a = self->request(pool, caf::infinite, note(1));
  auto b = self->request(pool, caf::infinite, note(2));
  auto c = self->request(pool, caf::infinite, note(3));
  auto d = self->request(pool, caf::infinite, note(4));

  EXPECT_TRUE(reply_of<performed>(a));
  EXPECT_TRUE(reply_of<performed>(b));
  EXPECT_TRUE(reply_of<performed>(c));
  auto refused = reply_of<performed>(d);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::overloaded);
  EXPECT_EQ(notes, (std::vector{1, 2, 3}));
  EXPECT_EQ(gauge("binnacle_pool_queue"), 0);
  EXPECT_EQ(gauge("binnacle_pool_busy_workers"), 0);
}

TEST_F(worker_pool_test, GoesOnAfterAJobThatThrows) {
  auto pool = spawn(1, 10);

  EXPECT_TRUE(ask<performed>(pool, perform{std::make_shared<throwing_job>()}));
  EXPECT_TRUE(ask<performed>(pool, note(1)));

  EXPECT_EQ(notes, std::vector{1});
  EXPECT_EQ(gauge("binnacle_pool_busy_workers"), 0);
}

TEST_F(worker_pool_test, AnswersEverybodyWhenItEnds) {
  auto pool = spawn(1, 10);
  auto given = self->request(pool, caf::infinite, note(1));
  auto waiting = self->request(pool, caf::infinite, note(2));

  stop(pool); // all three are in the mailbox before the worker runs for the first time

  EXPECT_EQ(reply_of<performed>(given).error(), errc::unavailable);
  EXPECT_EQ(reply_of<performed>(waiting).error(), errc::unavailable);
}

TEST_F(worker_pool_test, UsesAllItsWorkersAndEndsWithThem) {
  auto pool = spawn(3, 0);
  auto a = self->request(pool, caf::infinite, note(1));
  auto b = self->request(pool, caf::infinite, note(2));
  auto c = self->request(pool, caf::infinite, note(3));
  for (auto* given : {&a, &b, &c}) EXPECT_TRUE(reply_of<performed>(*given));

  stop(pool);

  auto refused = ask<performed>(pool, note(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), caf::sec::request_receiver_down);
}

TEST(detached_worker_pool_test, RunsJobsOnThreadsOfItsOwn) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  pool_config settings;
  settings.name = "threads";
  settings.workers = 4;
  auto pool = spawn_worker_pool(system, std::move(settings));
  struct counting_job final : job {
    explicit counting_job(std::atomic<int>& n) : n_{n} {}
    void run(worker_tools&) override { ++n_; }
    std::atomic<int>& n_;
  };
  std::atomic<int> ran{0};
  {
    caf::scoped_actor self{system};
    for (int i = 0; i < 200; ++i)
      self->request(pool, seconds{10}, perform{std::make_shared<counting_job>(ran)})
          .receive([](const performed&) {}, [](const caf::error&) { ADD_FAILURE(); });
  }
  EXPECT_EQ(ran, 200);
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
}

} // namespace
} // namespace binnacle
