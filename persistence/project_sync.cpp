#include "persistence/project_sync.hpp"

#include "persistence/clusters.hpp"
#include "persistence/sql.hpp"
#include "persistence/usage_days.hpp"
#include "persistence/usage_months.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace binnacle::persistence {

constexpr statement known_on_cluster{"accounts_on_cluster", R"sql(
  SELECT a.user_id, a.hopsworks_user_id, a.hopsworks_username, a.active_projects,
         u.account_owner_id IS NULL
  FROM user_hopsworks_assignments a JOIN users u ON u.id = a.user_id
  WHERE a.cluster_id = $1 AND a.hopsworks_username <> '' AND u.status <> 'deleted'
  ORDER BY a.user_id
)sql"};
result<std::vector<cluster_account>> accounts_on_cluster(transaction& tx, const cluster_id& where) {
  std::vector<cluster_account> out;
  for (auto row : exec(tx, known_on_cluster, where))
    out.push_back({{text_of(row[0])},
                   integer_of(row[1]),
                   text_of(row[2]),
                   integer_of(row[3]),
                   truth_of(row[4])});
  return out;
}

std::string namespace_of_project(std::string name) {
  for (auto& c : name)
    c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

namespace {

struct standing_project {
  std::string name_space{};
  user_id owner{};
  std::string name{};
  std::optional<std::int64_t> upstream_id{};
  bool active = false;
  bool seen = false;
};
using standing_projects = std::vector<standing_project>;

/// By its id, else by its name.
standing_project* find_standing(standing_projects& all, const seen_project& p) {
  auto by_id = std::ranges::find_if(
      all, [&](const auto& s) { return s.owner == p.owner && s.upstream_id == p.id; });
  if (by_id != all.end()) return &*by_id;
  auto wanted = namespace_of_project(p.name);
  auto by_name = std::ranges::find_if(all, [&](const auto& s) {
    return s.owner == p.owner && namespace_of_project(s.name_space) == wanted;
  });
  return by_name == all.end() ? nullptr : &*by_name;
}

} // namespace

constexpr statement standing_on_cluster{"projects_standing", R"sql(
  SELECT namespace, user_id, name, upstream_id, status = 'active' FROM user_projects
  WHERE cluster_id = $1 ORDER BY status, namespace, user_id
)sql"};
constexpr statement deactivate_projects{"deactivate_projects", R"sql(
  UPDATE user_projects SET status = 'inactive', updated_at = $4
  WHERE cluster_id = $1 AND namespace = $2 AND user_id = $3
)sql"};
constexpr statement see_projects{"see_projects", R"sql(
  UPDATE user_projects SET last_seen_at = $3
  WHERE cluster_id = $1 AND status = 'active' AND namespace = ANY($2::text[])
)sql"};
result<project_changes> sync_projects(transaction& tx, const cluster_id& where,
                                      const std::vector<seen_project>& seen, std::size_t listed,
                                      time_point now) {
  lock_usage(tx); // as assign_project does: whoever changes projects waits for the others
  standing_projects standing;
  for (auto row : exec(tx, standing_on_cluster, where))
    standing.push_back({text_of(row[0]),
                        {text_of(row[1])},
                        text_of(row[2]),
                        optional_of<std::int64_t>(row[3], integer_of),
                        truth_of(row[4])});
  std::vector<project> changed;
  array_param unchanged;
  project_changes out;
  for (const auto& p : seen) {
    auto* known = find_standing(standing, p);
    if (known) known->seen = true;
    if (known && known->active && known->name == p.name && known->upstream_id == p.id) {
      unchanged.add(std::string_view{known->name_space});
      ++out.synced;
      continue;
    }
    auto name_space = known ? known->name_space : namespace_of_project(p.name);
    changed.push_back({p.owner, where, p.name, std::move(name_space), p.id});
  }
  std::set<std::string> owners;
  for (auto& s : standing) {
    if (!s.active || s.seen || !s.upstream_id) continue;
    if (listed == 0) {
      ++out.kept;
      continue;
    }
    exec(tx, deactivate_projects, where, s.name_space, s.owner, now);
    s.active = false;
    owners.insert(s.owner.value);
    ++out.deactivated;
  }
  exec(tx, see_projects, where, unchanged, now);
  for (const auto& p : changed) {
    auto taken = std::ranges::any_of(standing, [&](const auto& s) {
      return s.active && s.name_space == p.name_space && s.owner != p.owner;
    });
    if (taken) {
      out.refused.push_back(p.name_space);
      continue;
    }
    if (auto assigned = assign_project(tx, p, now); !assigned) return assigned.error();
    ++out.synced;
  }
  for (const auto& who : owners) {
    recompute_months(tx, user_id{who});
    tx.touch({topic::usage, {who}});
  }
  return out;
}

} // namespace binnacle::persistence
