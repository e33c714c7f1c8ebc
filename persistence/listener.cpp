#include "persistence/database.hpp"
#include "persistence/sql.hpp"

#include <algorithm>
#include <thread>

namespace binnacle::persistence {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // libpqxx 7.10 has another spelling
class receiver final : public pqxx::notification_receiver {
public:
  receiver(sql_link& link, std::vector<change>& heard)
      : notification_receiver{link, "binnacle_changes"}, heard_{heard} {}

  void operator()(const std::string& payload, int) override {
    for (auto& c : from_payload(payload)) heard_.push_back(std::move(c));
  }

private:
  std::vector<change>& heard_;
};
#pragma GCC diagnostic pop

} // namespace

struct change_listener::implementation {
  database_config config;
  std::vector<change> heard{};
  std::unique_ptr<sql_connection> link{};
  std::unique_ptr<receiver> ears{}; // goes before the connection it listens on
  backoff again{};

  void drop() {
    ears.reset();
    link.reset();
  }
};

change_listener::change_listener(database_config config)
    : inside_{std::make_unique<implementation>(implementation{std::move(config)})} {}
change_listener::~change_listener() = default;

result<std::vector<change>> change_listener::wait(std::chrono::milliseconds patience,
                                                  const std::function<void()>& on_connected) {
  using namespace std::chrono;
  auto& in = *inside_;
  auto deadline = backoff::steady::now() + patience;
  try {
    if (!in.link) {
      if (in.again.next() > deadline) {
        std::this_thread::sleep_until(deadline);
        return fault{errc::unavailable, {}, {}, "listener: waiting to connect again"};
      }
      std::this_thread::sleep_until(in.again.next());
      in.link = std::make_unique<sql_connection>(in.config);
      in.ears = std::make_unique<receiver>(in.link->link(), in.heard);
      // libpqxx 6 keeps it to itself when the LISTEN fails.
      if (!in.link->is_open()) throw pqxx::broken_connection{"connection lost"};
      in.again.succeeded();
      on_connected();
    }
    // Anything the server sends ends an await, its farewell before it closes the connection too.
    for (auto left = microseconds{1}; in.heard.empty() && left.count() > 0;) {
      left = std::max(duration_cast<microseconds>(deadline - backoff::steady::now()), 0us);
      in.link->link().await_notification(static_cast<long>(left.count() / 1'000'000),
                                         static_cast<long>(left.count() % 1'000'000));
      if (!in.link->is_open()) throw pqxx::broken_connection{"connection lost"};
    }
    return std::exchange(in.heard, {});
  } catch (const std::exception& e) {
    in.drop();
    in.heard.clear();
    in.again.failed();
    return fault{errc::unavailable, {}, {}, "listener: " + first_line(e)};
  }
}

} // namespace binnacle::persistence
