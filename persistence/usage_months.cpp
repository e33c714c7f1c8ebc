#include "persistence/usage_months.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

// The days of a month are one range of the primary key, the projects of a day another. Numbers in
// `projects` are text: JSON's own may not keep twelve decimals on their way through a reader.
constexpr statement user_months{"user_months", R"sql(
  INSERT INTO usage_monthly
  SELECT m.*, newest.online_storage_gb, newest.offline_storage_gb, (
    SELECT coalesce(json_agg(json_build_array(
      coalesce(n.name, p.namespace), p.namespace, p.cpu_hours::text, p.gpu_hours::text,
      p.ram_gb_hours::text, p.online_gb_hours::text, p.offline_gb_hours::text, p.credits::text,
      p.compute_cost::text, p.storage_cost::text, p.online_gb::text, p.offline_gb::text,
      p.cpu_efficiency::text, p.ram_efficiency::text, p.updated_at::text)
      ORDER BY coalesce(n.name, p.namespace), p.namespace, p.cluster_id), '[]')
    FROM usage_project_daily p
    LEFT JOIN user_projects n ON n.cluster_id = p.cluster_id AND n.namespace = p.namespace
      AND n.user_id = p.user_id
    WHERE p.user_id = m.user_id AND p.day = m.newest_day)
  FROM (
    SELECT c.user_id, c.month, sum(opencost_cpu_hours), sum(opencost_gpu_hours),
      sum(opencost_ram_gb_hours), sum(online_storage_gb_hours), sum(offline_storage_gb_hours),
      sum(total_credits), sum(compute_cost), sum(storage_cost), max(online_storage_gb),
      max(offline_storage_gb), max(online_storage_gb + offline_storage_gb), max(updated_at),
      max(day) AS newest_day
    FROM unnest($1::text[], $2::date[]) AS c(user_id, month)
    JOIN usage_daily d ON d.user_id = c.user_id AND d.day >= c.month
      AND d.day < (c.month + interval '1 month')::date
    GROUP BY c.user_id, c.month
  ) AS m
  JOIN usage_daily newest ON newest.user_id = m.user_id AND newest.day = m.newest_day
  ON CONFLICT (user_id, month) DO UPDATE SET
    cpu_hours = EXCLUDED.cpu_hours, gpu_hours = EXCLUDED.gpu_hours,
    ram_gb_hours = EXCLUDED.ram_gb_hours, online_gb_hours = EXCLUDED.online_gb_hours,
    offline_gb_hours = EXCLUDED.offline_gb_hours, credits = EXCLUDED.credits,
    compute_cost = EXCLUDED.compute_cost, storage_cost = EXCLUDED.storage_cost,
    most_online_gb = EXCLUDED.most_online_gb, most_offline_gb = EXCLUDED.most_offline_gb,
    most_storage_gb = EXCLUDED.most_storage_gb, updated_at = EXCLUDED.updated_at,
    newest_day = EXCLUDED.newest_day, online_gb = EXCLUDED.online_gb,
    offline_gb = EXCLUDED.offline_gb, projects = EXCLUDED.projects
)sql"};

void recompute_months(transaction& tx, const std::set<std::pair<std::string, std::string>>& days) {
  std::set<std::pair<std::string, std::string>> concerned;
  for (const auto& [who, day] : days) concerned.emplace(who, day.substr(0, 8) + "01");
  array_param users, months;
  for (const auto& [who, month] : concerned) {
    users.add(std::string_view{who});
    months.add(std::string_view{month});
  }
  exec(tx, user_months, users, months);
}

constexpr statement months_of_user{"months_of_user",
                                   "SELECT month FROM usage_monthly WHERE user_id = $1"};
void recompute_months(transaction& tx, const user_id& who) {
  std::set<std::pair<std::string, std::string>> months;
  for (auto row : exec(tx, months_of_user, who)) months.emplace(who.value, text_of(row[0]));
  if (!months.empty()) recompute_months(tx, months);
}

} // namespace binnacle::persistence
