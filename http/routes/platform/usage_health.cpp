#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/opencost_probe.hpp"
#include "http/routes/replies.hpp"
#include "persistence/usage.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

using integrations::allocation;
using integrations::allocation_set;

std::optional<decimal> gigabytes(const std::optional<decimal>& bytes) {
  if (!bytes) return {};
  return *bytes / decimal{1'073'741'824};
}

/// Dearest first.
json::array namespaces_of(allocation_set set) {
  std::ranges::stable_sort(set.rows, std::ranges::greater{},
                           [](const allocation& a) { return a.total_cost.value_or(decimal{}); });
  json::array out;
  for (const auto& a : set.rows)
    out.emplace_back(json::object{{"namespace", a.name_space},
                                  {"cpuHours", a.cpu_core_hours},
                                  {"gpuHours", a.gpu_hours},
                                  {"ramGBHours", gigabytes(a.ram_byte_hours)},
                                  {"totalCost", a.total_cost},
                                  {"cpuEfficiency", a.cpu_efficiency},
                                  {"ramEfficiency", a.ram_efficiency}});
  return out;
}

decimal cost_of(const allocation_set& set) {
  decimal sum;
  for (const auto& a : set.rows) sum += a.total_cost.value_or(decimal{});
  return sum;
}

json::array users_of(const persistence::usage_health& health) {
  json::array out;
  for (const auto& u : health.users)
    out.emplace_back(json::object{{"userId", u.who.value},
                                  {"cpuHours", u.used.cpu_hours},
                                  {"gpuHours", u.used.gpu_hours},
                                  {"ramGBHours", u.used.ram_gb_hours},
                                  {"totalCost", u.cost.total()},
                                  {"projectCount", u.projects},
                                  {"lastUpdate", time_or_null(u.updated_at)}});
  return out;
}

json::array texts(const std::vector<std::string>& from) { return {from.begin(), from.end()}; }

json::array projects_of(const persistence::usage_health& health) {
  json::array out;
  for (const auto& n : health.namespaces)
    out.emplace_back(json::object{{"namespace", n.name_space},
                                  {"userCount", n.users.size()},
                                  {"totalCpuHours", n.used.cpu_hours},
                                  {"totalGpuHours", n.used.gpu_hours},
                                  {"totalRamGBHours", n.used.ram_gb_hours},
                                  {"users", texts(n.users)}});
  return out;
}

} // namespace

task<result<response>> get_check_opencost(context& ctx) {
  auto clusters = co_await ctx.read(persistence::list_clusters);
  if (!clusters) co_return clusters.error();
  auto active = std::ranges::find_if(*clusters, [](const persistence::cluster& c) {
    return c.status == "active" && !c.kubeconfig_sealed.empty();
  });
  if (active == clusters->end())
    co_return fault{errc::bad_request, "No active cluster found", {}, {}};
  auto now = ctx.now();
  auto set = co_await probe_opencost(ctx, *active, start_of_hour(now) - hours{23}, now);
  if (!set) co_return failed_at("Failed to check OpenCost", set.error());
  co_return json_reply({{"timestamp", format_iso_ms(now)},
                        {"window", "Last 24 hours"},
                        {"cluster", active->name},
                        {"totalNamespaces", set->rows.size()},
                        {"totalCost", cost_of(*set)},
                        {"namespaces", namespaces_of(*set)}},
                       200, caching::no_store);
}

task<result<response>> get_check_database(context& ctx) {
  auto now = ctx.now();
  auto health = co_await ctx.snapshot(persistence::usage_health_on, date_of(now));
  if (!health) co_return health.error();
  decimal cost;
  for (const auto& u : health->users) cost += u.cost.total();
  co_return json_reply({{"date", format_date(now)},
                        {"lastCollectionTime", time_or_null(health->last_collection)},
                        {"totalUsers", health->users.size()},
                        {"totalCost", cost},
                        {"userSummary", users_of(*health)},
                        {"projectSummary", projects_of(*health)},
                        {"unresolvedNamespaces", texts(health->unresolved)}});
}

task<result<response>> get_timers(context& ctx) {
  auto timers = co_await ctx.read(persistence::list_timers);
  if (!timers) co_return timers.error();
  json::array out;
  for (auto& t : *timers) {
    json::value outcome;
    if (!t.last_outcome.empty()) outcome = json::value{json::raw{std::move(t.last_outcome)}};
    out.emplace_back(json::object{{"name", t.name},
                                  {"lastStarted", time_or_null(t.last_started)},
                                  {"lastFinished", time_or_null(t.last_finished)},
                                  {"nextDue", time_or_null(t.next_due)},
                                  {"lastOutcome", std::move(outcome)}});
  }
  co_return json_reply({{"timers", std::move(out)}});
}

} // namespace binnacle::http
