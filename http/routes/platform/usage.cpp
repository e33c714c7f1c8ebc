#include "persistence/usage.hpp"
#include "http/routes/csv.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

#include <algorithm>

namespace binnacle::http {

json::value time_or_null(const std::optional<time_point>& t) {
  if (!t) return nullptr;
  return format_iso_ms(*t);
}

namespace {

using persistence::month_summary;
using persistence::project_row;

json::object breakdown_of(const project_row& p) {
  return {{"name", p.name},
          {"cpuHours", p.used.cpu_hours},
          {"gpuHours", p.used.gpu_hours},
          {"ramGBHours", p.used.ram_gb_hours},
          {"onlineStorageGB", p.online_gb},
          {"offlineStorageGB", p.offline_gb},
          {"cpuEfficiency", p.cpu_efficiency},
          {"ramEfficiency", p.ram_efficiency},
          {"lastUpdated", time_or_null(p.updated_at)}};
}

/// By namespace. The same namespace of a second cluster gets a number, as a name stands once.
json::object breakdown_of(const std::vector<project_row>& projects) {
  json::object out;
  for (auto p = projects.begin(); p != projects.end(); ++p) {
    auto before = std::count_if(projects.begin(), p, [&](const project_row& other) {
      return other.name_space == p->name_space;
    });
    auto key = p->name_space;
    if (before > 0) key += " (" + std::to_string(before + 1) + ")";
    out.add(std::move(key), breakdown_of(*p));
  }
  return out;
}

json::object body_of(const month_summary& month, time_point now) {
  return {{"cpuHours", month.totals.used.cpu_hours},
          {"gpuHours", month.totals.used.gpu_hours},
          {"ramGbHours", month.totals.used.ram_gb_hours},
          {"storageGB", month.totals.max_storage_gb},
          {"featureGroups", month.active_projects},
          {"modelDeployments", 0},
          {"apiCalls", 0},
          {"featureStoreApiCalls", 0},
          {"modelInferenceCalls", 0},
          {"currentMonth", format_month(now)},
          {"lastUpdate", time_or_null(month.totals.last_update)},
          {"projectBreakdown", breakdown_of(month.today)}};
}

/// The month's totals, then today's projects.
csv_table table_of(const month_summary& month, time_point now) {
  auto time_text = [](const std::optional<time_point>& t) { return t ? format_iso_ms(*t) : ""; };
  csv_table out{{"period", "project", "cpuHours", "gpuHours", "ramGBHours", "onlineStorageGB",
                 "offlineStorageGB", "cpuEfficiency", "ramEfficiency", "lastUpdated"}};
  const auto& t = month.totals;
  out.add({format_month(now), "", t.used.cpu_hours, t.used.gpu_hours, t.used.ram_gb_hours,
           t.online_gb, t.offline_gb, "", "", time_text(t.last_update)});
  for (const auto& p : month.today)
    out.add({format_date(now), p.name_space, p.used.cpu_hours, p.used.gpu_hours,
             p.used.ram_gb_hours, p.online_gb, p.offline_gb, p.cpu_efficiency, p.ram_efficiency,
             time_text(p.updated_at)});
  return out;
}

} // namespace

task<result<response>> get_usage(context& ctx) {
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto now = ctx.now();
  auto month = co_await ctx.read(persistence::month_summary_of, ctx.who().id, date_of(now));
  if (!month) co_return month.error();
  if (*csv)
    co_return table_of(*month, now)
        .to_response("usage-" + format_month(now) + ".csv", caching::private_revalidate);
  auto out = json_reply(body_of(*month, now));
  out.valid_until = start_of_day(now) + hours{24};
  co_return out;
}

} // namespace binnacle::http
