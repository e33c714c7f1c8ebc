#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

constexpr std::size_t days_shown = 30;
/// The newest days are looked for this far back.
constexpr hours horizon{24 * 366};

struct user_usage {
  persistence::user who{};
  persistence::cluster on{};
  std::vector<persistence::project_row> today{};
  std::vector<persistence::day_row> days{}; // newest first
};

result<user_usage> load_user_usage(persistence::transaction& tx, const user_id& who,
                                   time_point now) {
  auto found = persistence::find_user(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  auto cluster = persistence::cluster_of_user(tx, who);
  if (!cluster) return cluster.error();
  // Only who is on a cluster has usage to look at (platform.md §5).
  if (!*cluster) return fault{errc::not_found, "User not found", {}, {}};
  auto today = persistence::projects_on(tx, who, date_of(now));
  if (!today) return today.error();
  auto days = persistence::days_between(tx, who, date_of(now - horizon), date_of(now));
  if (!days) return days.error();
  std::ranges::reverse(*days);
  if (days->size() > days_shown) days->resize(days_shown);
  user_usage out;
  out.who = std::move(**found);
  out.on = std::move(**cluster);
  out.today = std::move(*today);
  out.days = std::move(*days);
  return out;
}

json::object consumption_of(const std::vector<persistence::project_row>& projects) {
  quantities used;
  decimal online, offline, cost;
  for (const auto& p : projects) {
    used += p.used;
    online += p.online_gb;
    offline += p.offline_gb;
    cost += p.cost.total();
  }
  return {{"cpuHours", used.cpu_hours},      {"gpuHours", used.gpu_hours},
          {"ramGBHours", used.ram_gb_hours}, {"onlineStorageGB", online},
          {"offlineStorageGB", offline},     {"totalCost", cost}};
}

json::array projects_of(const std::vector<persistence::project_row>& projects) {
  json::array out;
  for (const auto& p : projects)
    out.emplace_back(json::object{{"name", p.name},
                                  {"namespace", p.name_space},
                                  {"cpuHours", p.used.cpu_hours},
                                  {"gpuHours", p.used.gpu_hours},
                                  {"ramGBHours", p.used.ram_gb_hours},
                                  {"onlineStorageGB", p.online_gb},
                                  {"offlineStorageGB", p.offline_gb},
                                  {"cpuEfficiency", p.cpu_efficiency},
                                  {"ramEfficiency", p.ram_efficiency},
                                  {"totalCost", p.cost.total()},
                                  {"lastUpdated", time_or_null(p.updated_at)}});
  return out;
}

/// The columns of usage_daily by their names there.
json::object columns_of(const quantities& used, const charge& cost) {
  return {{"opencost_cpu_hours", used.cpu_hours},
          {"opencost_gpu_hours", used.gpu_hours},
          {"opencost_ram_gb_hours", used.ram_gb_hours},
          {"total_credits", cost.credits},
          {"total_cost", cost.total()}};
}

json::array history_of(const std::vector<persistence::day_row>& days) {
  json::array out;
  for (const auto& d : days) {
    json::object row{{"date", format_date(start_of(d.day))}};
    auto columns = columns_of(d.used, d.cost);
    for (const auto& [name, value] : columns.members()) row.add(name, value);
    row.add("online_storage_gb", d.online_gb);
    row.add("offline_storage_gb", d.offline_gb);
    row.add("updated_at", time_or_null(d.updated_at));
    out.emplace_back(std::move(row));
  }
  return out;
}

json::object totals_of(const std::vector<persistence::day_row>& days) {
  quantities used;
  charge cost;
  for (const auto& d : days) {
    used += d.used;
    cost.credits += d.cost.credits;
    cost.compute_cost += d.cost.compute_cost;
    cost.storage_cost += d.cost.storage_cost;
  }
  return columns_of(used, cost);
}

json::object user_of(const user_usage& u) {
  return {
      {"id", u.who.id.value}, {"email", u.who.email}, {"name", u.who.name}, {"cluster", u.on.name}};
}

} // namespace

task<result<response>> get_user_usage(context& ctx) {
  auto now = ctx.now();
  user_id who{ctx.req.params.at(0)};
  auto found = co_await ctx.snapshot(load_user_usage, who, now);
  if (!found) co_return found.error();
  co_return json_reply({{"user", user_of(*found)},
                        {"consumption", consumption_of(found->today)},
                        {"projects", projects_of(found->today)},
                        {"timestamp", format_iso_ms(now)},
                        {"historicalUsage", history_of(found->days)},
                        {"historicalTotals", totals_of(found->days)}});
}

} // namespace binnacle::http
