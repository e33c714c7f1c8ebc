#include "actors/upstream.hpp"

#include "config/base/metrics.hpp"

#include <array>
#include <memory>
#include <random>

namespace binnacle {

std::string_view name_of(integrations::outcome o) {
  static constexpr std::array names{"success", "refused", "throttled", "faulty", "unreachable"};
  return names[static_cast<std::size_t>(o)];
}

void observe_call(const std::string& upstream, std::string_view outcome,
                  std::chrono::steady_clock::duration took) {
  metrics::latency("binnacle_upstream_seconds", "Duration of calls to upstreams",
                   {{"upstream", upstream}})
      .Observe(std::chrono::duration<double>(took).count());
  metrics::counter("binnacle_upstream_calls_total", "Calls to upstreams",
                   {{"upstream", upstream}, {"outcome", std::string{outcome}}})
      .Increment();
}

std::function<result<integrations::http_answer>(const integrations::http_call&)>
blocking_sender(std::shared_ptr<const std::atomic<bool>> cancelled) {
  auto client = std::make_shared<integrations::http_client>();
  return [client, cancelled = std::move(cancelled)](const integrations::http_call& call) {
    return client->send(call, cancelled.get());
  };
}

std::function<double()> jitter() {
  auto engine = std::make_shared<std::minstd_rand>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<>{0, 1}(*engine); };
}

} // namespace binnacle
