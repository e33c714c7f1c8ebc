#include "actors/collection_report.hpp"

#include "config/base/json.hpp"

namespace binnacle {
namespace {

constexpr std::int64_t hour_seconds = 3600;

/// A list that stops growing at `most` and remembers how many it was asked to hold.
struct capped_list {
  std::size_t most;
  json::array items{};
  std::size_t omitted = 0;

  void add(json::value v) {
    if (items.size() < most)
      items.push_back(std::move(v));
    else
      ++omitted;
  }
};

/// GB-hours of a window to the GB that were stored on average.
decimal stored(const std::optional<decimal>& gb_hours, const hour_window& window) {
  if (!gb_hours || window.to <= window.hour) return {};
  if (window.whole()) return *gb_hours;
  auto length = std::chrono::duration_cast<seconds>(window.to - window.hour).count();
  return *gb_hours * decimal{hour_seconds} / decimal{length};
}

json::value or_null(const user_id& who) {
  return who.empty() ? json::value{} : json::value{who.value};
}

} // namespace

std::size_t collection_report::add_cluster(const cluster_id& id, const std::string& name) {
  clusters_.push_back({.id = id, .name = name});
  return clusters_.size() - 1;
}

void collection_report::add_booking(std::size_t cluster, const std::vector<hour_window>& windows,
                                    const std::vector<persistence::hour_of_usage>& booked,
                                    const persistence::booking& owners) {
  auto& entry = clusters_[cluster];
  auto zero = decimal{};
  for (std::size_t i = 0; i < booked.size(); ++i) {
    ++hours_;
    for (const auto& r : booked[i].rows) {
      auto& ns = entry.namespaces[r.name_space];
      ns.used += {.cpu_hours = r.cpu_hours.value_or(zero),
                  .gpu_hours = r.gpu_hours.value_or(zero),
                  .ram_gb_hours = r.ram_gb_hours.value_or(zero),
                  .online_gb_hours = r.online_gb_hours.value_or(zero),
                  .offline_gb_hours = r.offline_gb_hours.value_or(zero)};
      if (windows[i].hour < ns.stored_at) continue;
      ns.stored_at = windows[i].hour;
      ns.online_gb = stored(r.online_gb_hours, windows[i]);
      ns.offline_gb = stored(r.offline_gb_hours, windows[i]);
    }
  }
  for (const auto& r : owners.rows) {
    auto known = entry.namespaces.find(r.name_space);
    if (known == entry.namespaces.end()) continue;
    known->second.owner = r.owner;
    known->second.project = r.project_name;
  }
}

void collection_report::add_failure(std::size_t cluster, const std::string& why) {
  auto& entry = clusters_[cluster];
  if (entry.error.empty()) entry.error = why;
}

std::size_t collection_report::failed_clusters() const {
  std::size_t out = 0;
  for (const auto& c : clusters_) out += c.error.empty() ? 0 : 1;
  return out;
}

collection collection_report::finish() const {
  collection out{.hours = hours_, .held = held_};
  capped_list errors{most_errors}, namespaces{most_namespaces};
  json::array clusters;
  for (const auto& c : clusters_) {
    std::int64_t successful = 0, failed = 0;
    if (!c.error.empty()) errors.add("Cluster " + c.name + ": " + c.error);
    for (const auto& [name, ns] : c.namespaces) {
      ++(ns.owner.empty() ? failed : successful);
      if (ns.owner.empty()) {
        errors.add("Namespace " + name + ": No user mapping found");
        out.unowned.push_back(c.name + "/" + name);
      }
      namespaces.add(json::object{{"namespace", name},
                                  {"projectName", ns.project.empty() ? name : ns.project},
                                  {"userId", or_null(ns.owner)},
                                  {"cpuHours", ns.used.cpu_hours},
                                  {"gpuHours", ns.used.gpu_hours},
                                  {"ramGBHours", ns.used.ram_gb_hours},
                                  {"onlineStorageGB", ns.online_gb},
                                  {"offlineStorageGB", ns.offline_gb}});
    }
    json::object cluster{{"clusterId", c.id.value},
                         {"clusterName", c.name},
                         {"successful", successful},
                         {"failed", failed},
                         {"namespaceCount", c.namespaces.size()}};
    if (!c.error.empty()) cluster.add("error", c.error);
    clusters.push_back(std::move(cluster));
    out.successful += successful;
    out.failed += failed + (c.error.empty() ? 0 : 1);
  }

  json::object results{{"successful", out.successful},
                       {"failed", out.failed},
                       {"errors", std::move(errors.items)},
                       {"namespaces", std::move(namespaces.items)},
                       {"clusters", std::move(clusters)}};
  if (errors.omitted) results.add("errorsOmitted", errors.omitted);
  if (namespaces.omitted) results.add("namespacesOmitted", namespaces.omitted);

  auto hour = std::chrono::duration_cast<std::chrono::hours>(now_ - start_of_day(now_)).count();
  json::object report{{"message", dry_run_ ? "OpenCost collection tried, nothing booked"
                                           : "OpenCost collection completed"},
                      {"timestamp", format_date(now_)},
                      {"hour", hour},
                      {"clustersProcessed", clusters_.size()},
                      {"hours", hours_}};
  if (dry_run_) report.add("dryRun", true);
  if (held_ > 0) report.add("hoursHeld", held_);
  report.add("results", std::move(results));
  out.report = json::to_text(report);
  return out;
}

} // namespace binnacle
