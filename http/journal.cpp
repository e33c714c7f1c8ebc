#include "http/journal.hpp"

#include "actors/route.hpp"
#include "config/base/json.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "http/routes/table.hpp"
#include "http/surfaces.hpp"
#include "http/text_of_second.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace binnacle::http {
namespace {

/// Counters of one route and method, found without a lock after the first request.
struct route_counters {
  std::array<std::atomic<prometheus::Counter*>, 600> by_status{};
  prometheus::Histogram* seconds = nullptr;
  metrics::labels labels{};
};

prometheus::Counter& counter_of(route_counters& counters, int status) {
  auto& slot = counters.by_status[static_cast<std::size_t>(status) % counters.by_status.size()];
  if (auto* known = slot.load(std::memory_order_acquire)) return *known;
  auto with = counters.labels;
  with["status"] = std::to_string(status);
  auto& made = metrics::counter("binnacle_http_requests_total", "Requests answered", with);
  slot.store(&made, std::memory_order_release);
  return made;
}

/// What a request is counted under; of nothing that matched it is "none", as the path itself would
/// let anybody make new series.
struct labelled {
  std::string_view path = "none";
  std::string_view face = "none";
};
labelled label_of(const exchange& x) {
  if (x.matched) return {x.matched->path, x.matched->face->name};
  auto direct = std::ranges::find(direct_routes(), x.req.path, &direct_route::path);
  if (direct != direct_routes().end()) return {direct->path, operations.name};
  return {};
}

route_counters& counters_of(const exchange& x) {
  static std::shared_mutex guard;
  // By the address of the path, which is static text.
  static std::map<std::pair<const char*, method>, std::unique_ptr<route_counters>> all;
  auto label = label_of(x);
  std::pair key{label.path.data(), x.req.verb};
  {
    std::shared_lock lock{guard};
    if (auto known = all.find(key); known != all.end()) return *known->second;
  }
  std::unique_lock lock{guard};
  auto& slot = all[key];
  if (!slot) {
    slot = std::make_unique<route_counters>();
    slot->labels = {{"route", std::string{label.path}},
                    {"surface", std::string{label.face}},
                    {"method", std::string{to_string(x.req.verb)}}};
    slot->seconds =
        &metrics::latency("binnacle_http_request_seconds", "Time to the answer", slot->labels);
  }
  return *slot;
}

} // namespace

void journal::record(const exchange& x, std::size_t bytes_sent, std::string_view user) const {
  const auto& r = x.result_of();
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now() - x.received);
  auto& counters = counters_of(x);
  counter_of(counters, r.status).Increment();
  counters.seconds->Observe(static_cast<double>(took.count()) / 1e6);

  auto failed = r.status >= 500 && r.status != 501 && r.status != 505; // those are the client's
  if (!access_log_ && !failed) return;
  thread_local std::string line;
  line.clear();
  line.append(R"({"time":")").append(text_of_second<format_iso_s>());
  line.append(R"(","request_id":)");
  json::write_string(line, x.id);
  line.append(R"(,"method":")").append(to_string(x.req.verb));
  line.append(R"(","path":)");
  json::write_string(line, x.req.path);
  line.append(R"(,"status":)").append(std::to_string(r.status));
  line.append(R"(,"bytes":)").append(std::to_string(bytes_sent));
  line.append(R"(,"us":)").append(std::to_string(took.count()));
  line.append(R"(,"client":)");
  json::write_string(line, x.req.client_address);
  if (!user.empty()) {
    line.append(R"(,"user":)");
    json::write_string(line, user);
  }
  if (x.traceparent.size() >= 35)
    line.append(R"(,"trace_id":")").append(x.traceparent, 3, 32).append("\"");
  if (!r.log_detail.empty()) {
    line.append(R"(,"detail":)");
    json::write_string(line, r.log_detail);
  }
  line.push_back('}');
  if (access_log_) log::access(line);
  if (failed)
    log::error("request failed", {{"request_id", x.id},
                                  {"path", x.req.path},
                                  {"status", r.status},
                                  {"detail", r.log_detail}});
}

} // namespace binnacle::http
