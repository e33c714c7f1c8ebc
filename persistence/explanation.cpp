#include "persistence/explanation.hpp"

#include "persistence/prices.hpp"
#include "persistence/sql.hpp"

namespace binnacle::persistence {

// Rows d of usage_daily that are charged to $1, or were used by $1 while a member.
#define CHARGED                                                                                    \
  "((d.user_id = $1 AND (d.account_owner_id IS NULL OR EXISTS ("                                   \
  "SELECT FROM users m WHERE m.id = $1 AND m.account_owner_id IS NOT NULL))) "                     \
  "OR d.account_owner_id = $1)"
#define DAY_SUMS                                                                                   \
  "sum(d.opencost_cpu_hours), sum(d.opencost_gpu_hours), sum(d.opencost_ram_gb_hours), "           \
  "sum(d.online_storage_gb_hours), sum(d.offline_storage_gb_hours), sum(d.total_credits), "        \
  "sum(d.compute_cost), sum(d.storage_cost)"
// Of usage_project_daily or usage_hourly, as p.
#define AMOUNT                                                                                     \
  "p.cpu_hours, p.gpu_hours, p.ram_gb_hours, p.online_gb_hours, p.offline_gb_hours, p.credits, "   \
  "p.compute_cost, p.storage_cost"

namespace {

constexpr int amount_columns = 8;

charged_amount amount_of(const pqxx::row& row, int at) {
  return {.used = {.cpu_hours = decimal_of(row[at]),
                   .gpu_hours = decimal_of(row[at + 1]),
                   .ram_gb_hours = decimal_of(row[at + 2]),
                   .online_gb_hours = decimal_of(row[at + 3]),
                   .offline_gb_hours = decimal_of(row[at + 4])},
          .cost = {.credits = decimal_of(row[at + 5]),
                   .compute_cost = decimal_of(row[at + 6]),
                   .storage_cost = decimal_of(row[at + 7])}};
}

} // namespace

// The total is the group of everything, which comes first.
constexpr statement charged_by_day{"charges_between", "SELECT d.day, " DAY_SUMS R"sql(
  FROM usage_daily d WHERE d.day BETWEEN $2 AND $3 AND )sql" CHARGED R"sql(
  GROUP BY GROUPING SETS ((), (d.day)) ORDER BY d.day NULLS FIRST
)sql"};
result<charged_days> charges_between(transaction& tx, const user_id& who, date from, date to) {
  charged_days out;
  for (auto row : exec(tx, charged_by_day, who, from, to)) {
    if (row[0].is_null())
      out.total = amount_of(row, 1);
    else
      out.days.push_back({day_of(row[0]), amount_of(row, 1)});
  }
  return out;
}

constexpr statement charged_day_total{"charges_on_total", "SELECT " DAY_SUMS R"sql(
  FROM usage_daily d WHERE d.day = $2 AND )sql" CHARGED};
constexpr statement charged_on{"charges_on", R"sql(
  SELECT p.user_id, p.cluster_id, p.namespace, u.email, c.name, coalesce(n.name, p.namespace),
    )sql" AMOUNT R"sql(
  FROM usage_daily d
  JOIN usage_project_daily p ON p.user_id = d.user_id AND p.day = d.day
  JOIN users u ON u.id = p.user_id
  JOIN clusters c ON c.id = p.cluster_id
  LEFT JOIN user_projects n ON n.cluster_id = p.cluster_id AND n.namespace = p.namespace
    AND n.user_id = p.user_id
  WHERE d.day = $2 AND )sql" CHARGED R"sql(
    AND (p.user_id, p.cluster_id, p.namespace) > ($3, $4, $5)
  ORDER BY p.user_id, p.cluster_id, p.namespace LIMIT $6
)sql"};
constexpr statement reports_on{"charged_reports", R"sql(
  SELECT r.user_id, r.identifier, r.meter, r.amount, r.carried_in, r.value, r.carried_out, r.state,
    r.delivered_at
  FROM usage_daily d JOIN meter_reports r ON r.usage_id = d.id
  WHERE d.day = $2 AND )sql" CHARGED R"sql(
  ORDER BY r.number
)sql"};
result<charged_projects> charges_on(transaction& tx, const user_id& who, date day,
                                    const std::optional<project_place>& after, std::int64_t most) {
  auto begin = after.value_or(project_place{});
  charged_projects out;
  out.total = amount_of(exec(tx, charged_day_total, who, day)[0], 0);
  for (auto row :
       exec(tx, charged_on, who, day, begin.who, begin.cluster, begin.name_space, most + 1)) {
    if (static_cast<std::int64_t>(out.projects.size()) == most) {
      out.next = out.projects.back().place;
      break;
    }
    out.projects.push_back({.place = {{text_of(row[0])}, {text_of(row[1])}, text_of(row[2])},
                            .email = text_of(row[3]),
                            .cluster_name = text_of(row[4]),
                            .name = text_of(row[5]),
                            .amount = amount_of(row, 6)});
  }
  for (auto row : exec(tx, reports_on, who, day))
    out.reports.push_back({.who = {text_of(row[0])},
                           .identifier = text_of(row[1]),
                           .meter = text_of(row[2]),
                           .amount = decimal_of(row[3]),
                           .carried_in = decimal_of(row[4]),
                           .value = decimal_of(row[5]),
                           .carried_out = decimal_of(row[6]),
                           .state = text_of(row[7]),
                           .delivered_at = maybe_time(row[8])});
  return out;
}

constexpr statement charged_namespace{"charges_of_total", R"sql(
  SELECT )sql" AMOUNT R"sql(
  FROM usage_daily d JOIN usage_project_daily p ON p.user_id = d.user_id AND p.day = d.day
  WHERE d.day = $2 AND p.namespace = $3 AND )sql" CHARGED};
constexpr statement charged_hours_of{"charges_of", R"sql(
  SELECT p.user_id, p.cluster_id, p.namespace, c.name, p.hour, p.complete, )sql" AMOUNT R"sql(
  FROM usage_daily d
  JOIN usage_project_daily q ON q.user_id = d.user_id AND q.day = d.day AND q.namespace = $3
  JOIN usage_hourly p ON p.cluster_id = q.cluster_id AND p.hour >= $4 AND p.hour < $5
    AND p.namespace = q.namespace AND p.user_id = q.user_id
  JOIN clusters c ON c.id = p.cluster_id
  WHERE d.day = $2 AND )sql" CHARGED R"sql(
  ORDER BY p.hour, p.cluster_id, p.user_id
)sql"};
result<charged_hours> charges_of(transaction& tx, const user_id& who, date day,
                                 const std::string& name_space) {
  auto prices = load_price_history(tx);
  if (!prices) return prices.error();
  auto projects = exec(tx, charged_namespace, who, day, name_space);
  if (projects.empty()) return missing("Nothing is charged for that namespace on that day");
  charged_hours out;
  for (auto row : projects) {
    auto one = amount_of(row, 0);
    out.total.used += one.used;
    out.total.cost.credits += one.cost.credits;
    out.total.cost.compute_cost += one.cost.compute_cost;
    out.total.cost.storage_cost += one.cost.storage_cost;
  }
  auto begin = start_of(day);
  for (auto row : exec(tx, charged_hours_of, who, day, name_space, begin, begin + hours{24})) {
    auto hour = time_of(row[4]);
    out.hours.push_back({.place = {{text_of(row[0])}, {text_of(row[1])}, text_of(row[2])},
                         .cluster_name = text_of(row[3]),
                         .hour = hour,
                         .complete = truth_of(row[5]),
                         .amount = amount_of(row, 6),
                         .prices = prices->at(hour)});
  }
  return out;
}

result<std::vector<explained_entry>> explain_credits(transaction& tx, const user_id& who,
                                                     std::optional<credit_entry_id> before,
                                                     std::int64_t most) {
  auto entries = credit_entries_of(tx, who, before, most);
  if (!entries) return entries.error();
  std::vector<explained_entry> out;
  for (auto& entry : *entries) {
    out.push_back({.entry = std::move(entry), .payments = {}});
    if (out.back().entry.kind != credit_kind::use) continue;
    auto payments = explain_use(tx, who, out.back().entry.id);
    if (!payments) return payments.error();
    out.back().payments = std::move(*payments);
  }
  return out;
}

} // namespace binnacle::persistence
