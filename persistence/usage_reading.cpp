#include "config/base/json.hpp"
#include "persistence/sql.hpp"
#include "persistence/usage.hpp"

#include <boost/json/value.hpp>

namespace binnacle::persistence {
namespace {

template <class Row>
quantities quantities_of(const Row& row, int at) {
  return {.cpu_hours = decimal_of(row[at]),
          .gpu_hours = decimal_of(row[at + 1]),
          .ram_gb_hours = decimal_of(row[at + 2]),
          .online_gb_hours = decimal_of(row[at + 3]),
          .offline_gb_hours = decimal_of(row[at + 4])};
}

template <class Row>
charge charge_of(const Row& row, int at) {
  return {.credits = decimal_of(row[at]),
          .compute_cost = decimal_of(row[at + 1]),
          .storage_cost = decimal_of(row[at + 2])};
}

} // namespace

// Sums over the days of a user in a range: one scan of the primary key.
#define TOTALS                                                                                     \
  "sum(opencost_cpu_hours), sum(opencost_gpu_hours), sum(opencost_ram_gb_hours), "                 \
  "sum(online_storage_gb_hours), sum(offline_storage_gb_hours), sum(total_credits), "              \
  "sum(compute_cost), sum(storage_cost), max(online_storage_gb), max(offline_storage_gb), "        \
  "max(online_storage_gb + offline_storage_gb), max(updated_at), "                                 \
  "(array_agg(online_storage_gb ORDER BY day DESC))[1], "                                          \
  "(array_agg(offline_storage_gb ORDER BY day DESC))[1]"
// What projects_on shows, from usage_project_daily p and the project's name.
#define PROJECT                                                                                    \
  "p.namespace, p.cpu_hours, p.gpu_hours, p.ram_gb_hours, p.online_gb_hours, "                     \
  "p.offline_gb_hours, p.credits, p.compute_cost, p.storage_cost, p.online_gb, p.offline_gb, "     \
  "p.cpu_efficiency, p.ram_efficiency, p.updated_at"

namespace {

constexpr int totals_columns = 14;

template <class Row>
usage_totals totals_of(const Row& row) {
  return {
      .used = quantities_of(row, 0),
      .cost = charge_of(row, 5),
      .online_gb = decimal_of(row[8]),
      .offline_gb = decimal_of(row[9]),
      .latest_online_gb = decimal_of(row[12]),
      .latest_offline_gb = decimal_of(row[13]),
      .max_storage_gb = decimal_of(row[10]),
      .last_update = maybe_time(row[11]),
  };
}

template <class Row>
project_row project_of(const Row& row, int at) {
  return {
      .name = text_of(row[at]),
      .name_space = text_of(row[at + 1]),
      .used = quantities_of(row, at + 2),
      .cost = charge_of(row, at + 7),
      .online_gb = decimal_of(row[at + 10]),
      .offline_gb = decimal_of(row[at + 11]),
      .cpu_efficiency = maybe_decimal(row[at + 12]),
      .ram_efficiency = maybe_decimal(row[at + 13]),
      .updated_at = maybe_time(row[at + 14]),
  };
}

} // namespace

constexpr statement totals_between{"usage_between", "SELECT " TOTALS R"sql(
  FROM usage_daily WHERE user_id = $1 AND day BETWEEN $2 AND $3
)sql"};
result<usage_totals> usage_between(transaction& tx, const user_id& who, date from, date to) {
  return totals_of(exec(tx, totals_between, who, from, to)[0]);
}

constexpr statement days_of_user{"days_between", R"sql(
  SELECT day, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
         online_storage_gb_hours, offline_storage_gb_hours, total_credits, compute_cost,
         storage_cost, online_storage_gb, offline_storage_gb, updated_at
  FROM usage_daily WHERE user_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day
)sql"};
result<std::vector<day_row>> days_between(transaction& tx, const user_id& who, date from, date to) {
  std::vector<day_row> out;
  for (auto row : exec(tx, days_of_user, who, from, to))
    out.push_back({.day = day_of(row[0]),
                   .used = quantities_of(row, 1),
                   .cost = charge_of(row, 6),
                   .online_gb = decimal_of(row[9]),
                   .offline_gb = decimal_of(row[10]),
                   .updated_at = maybe_time(row[11])});
  return out;
}

constexpr statement projects_of_day{"projects_on",
                                    "SELECT coalesce(n.name, p.namespace), " PROJECT R"sql(
  FROM usage_project_daily p
  LEFT JOIN user_projects n ON n.cluster_id = p.cluster_id AND n.namespace = p.namespace
    AND n.user_id = p.user_id
  WHERE p.user_id = $1 AND p.day = $2
  ORDER BY 1, p.namespace, p.cluster_id
)sql"};
result<std::vector<project_row>> projects_on(transaction& tx, const user_id& who, date day) {
  std::vector<project_row> out;
  for (auto row : exec(tx, projects_of_day, who, day)) out.push_back(project_of(row, 0));
  return out;
}

// No row of the month is no usage; $3 keeps yesterday's projects from being today's.
constexpr statement month_summary_row{"month_summary_of", R"sql(
  SELECT cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours, offline_gb_hours, credits,
         compute_cost, storage_cost, most_online_gb, most_offline_gb, most_storage_gb, updated_at,
         online_gb, offline_gb, CASE WHEN newest_day >= $3 THEN projects END, active_projects
  FROM (VALUES (1)) AS one
  LEFT JOIN usage_monthly m ON m.user_id = $1 AND m.month = $2
  LEFT JOIN user_hopsworks_assignments a ON a.user_id = $1
)sql"};

namespace {

/// A value of the array that usage_months.cpp makes of a project.
cell cell_of(const boost::json::value& v) {
  return {v.is_null() ? nullptr : v.as_string().c_str(), "projects"};
}

struct project_in_json {
  const boost::json::array& values;
  cell operator[](int at) const { return cell_of(values.at(static_cast<std::size_t>(at))); }
};

std::vector<project_row> projects_of(cell c) {
  std::vector<project_row> out;
  if (c.is_null()) return out;
  auto document = json::parse(c.text);
  if (!document) throw std::runtime_error{"column projects is no JSON"};
  for (const auto& p : document->as_array()) {
    project_in_json row{p.as_array()};
    out.push_back(project_of(row, 0));
  }
  return out;
}

month_summary read_month_summary(const rows& found) {
  return {.totals = totals_of(found[0]),
          .today = projects_of(found[0][totals_columns]),
          .active_projects = integer_of(found[0][totals_columns + 1])};
}

} // namespace

query<month_summary> month_summary_of(const user_id& who, date today) {
  auto day = [](date d) { return format_date(start_of(d)); };
  auto first = date{today.year() / today.month() / 1};
  return {month_summary_row, {who.value, day(first), day(today)}, read_month_summary};
}

// Admins' view of a day. Four statements that agree when run in one snapshot.
constexpr statement last_collection{"last_collection",
                                    "SELECT max(collected_at) FROM collected_hours"};
constexpr statement users_of_day{"users_of_day", R"sql(
  SELECT d.user_id, d.opencost_cpu_hours, d.opencost_gpu_hours, d.opencost_ram_gb_hours,
         d.online_storage_gb_hours, d.offline_storage_gb_hours, d.total_credits, d.compute_cost,
         d.storage_cost,
         (SELECT count(*) FROM usage_project_daily p WHERE p.user_id = d.user_id AND p.day = d.day),
         d.updated_at
  FROM usage_daily d WHERE d.day = $1 ORDER BY d.user_id
)sql"};
constexpr statement namespaces_of_day{"namespaces_of_day", R"sql(
  SELECT h.namespace, sum(h.cpu_hours), sum(h.gpu_hours), sum(h.ram_gb_hours),
         sum(h.online_gb_hours), sum(h.offline_gb_hours), h.user_id
  FROM clusters c
  JOIN usage_hourly h ON h.cluster_id = c.id AND h.hour >= $1::date::timestamptz
    AND h.hour < ($1::date + 1)::timestamptz
  GROUP BY h.namespace, h.user_id ORDER BY h.namespace, h.user_id
)sql"};
constexpr statement namespaces_unresolved{"namespaces_unresolved", R"sql(
  SELECT DISTINCT namespace FROM usage_hourly
  WHERE user_id IS NULL AND hour >= ($1::date - 29)::timestamptz
    AND hour < ($1::date + 1)::timestamptz
  ORDER BY namespace
)sql"};
result<usage_health> usage_health_on(transaction& tx, date day) {
  usage_health out;
  out.last_collection = maybe_time(exec(tx, last_collection)[0][0]);
  for (auto row : exec(tx, users_of_day, day))
    out.users.push_back({.who = {text_of(row[0])},
                         .used = quantities_of(row, 1),
                         .cost = charge_of(row, 6),
                         .projects = integer_of(row[9]),
                         .updated_at = maybe_time(row[10])});
  for (auto row : exec(tx, namespaces_of_day, day)) {
    auto name = text_of(row[0]);
    if (out.namespaces.empty() || out.namespaces.back().name_space != name)
      out.namespaces.push_back({.name_space = name});
    auto& to = out.namespaces.back();
    to.used += quantities_of(row, 1);
    if (!row[6].is_null()) to.users.push_back(text_of(row[6]));
  }
  for (auto row : exec(tx, namespaces_unresolved, day)) out.unresolved.push_back(text_of(row[0]));
  return out;
}

} // namespace binnacle::persistence
