#include "config/base/metrics.hpp"
#include "http/routes/operations/handlers.hpp"
#include "http/routes/replies.hpp"

#ifndef BINNACLE_VERSION
#define BINNACLE_VERSION "development" // compiled outside of CMake
#endif

namespace binnacle::http {

response get_version(const request&, services&) {
  return json_reply({{"name", "binnacle"}, {"version", BINNACLE_VERSION}}, 200, caching::no_store);
}

response get_healthz(const request&, services&) {
  return json_reply({{"status", "ok"}}, 200, caching::no_store);
}

response get_readyz(const request&, services& app) {
  json::array reasons;
  if (app.draining.load()) reasons.emplace_back("stopping");
  if (!app.database_up.load()) reasons.emplace_back("the database does not answer");
  if (!app.listening.load()) reasons.emplace_back("not listening for changes");
  if (reasons.empty()) return json_reply({{"status", "ready"}}, 200, caching::no_store);
  return json_reply({{"status", "not ready"}, {"reasons", std::move(reasons)}}, 503,
                    caching::no_store);
}

response get_metrics(const request&, services&) {
  response out;
  out.content_type = "text/plain; version=0.0.4; charset=utf-8";
  out.body = metrics::exposition();
  out.cache = caching::no_store;
  return out;
}

} // namespace binnacle::http
