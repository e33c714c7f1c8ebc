#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/hopsworks.hpp"
#include "http/routes/replies.hpp"
#include "persistence/project_sync.hpp"

namespace binnacle::http {
namespace {

using persistence::hopsworks_holder;

struct own_cluster {
  std::optional<hopsworks_holder> holder{}; // nothing: on no cluster
  std::vector<persistence::project> projects{};
};

result<own_cluster> load_own_cluster(persistence::transaction& tx, const user_id& who) {
  auto holder = persistence::find_hopsworks_holder(tx, who);
  if (!holder) return holder.error();
  own_cluster out;
  out.holder = std::move(*holder);
  if (!out.holder) return out;
  auto projects = persistence::projects_of(tx, who);
  if (!projects) return projects.error();
  std::erase_if(*projects, [&](const auto& p) { return p.cluster != out.holder->where.id; });
  out.projects = std::move(*projects);
  return out;
}

/// What was seen on the way is worth keeping; that it cannot be kept is no reason to answer less.
result<done> keep(persistence::transaction& tx, const user_id& who, const cluster_id& where,
                  const persistence::hopsworks_account& account,
                  const std::vector<persistence::seen_project>& projects, time_point now) {
  auto stored = persistence::store_hopsworks_account(tx, who, where, account);
  if (!stored || projects.empty()) return stored;
  // These are one user's: whoever else has projects there keeps them.
  auto synced = persistence::sync_projects(tx, where, projects, 0, now);
  if (!synced) return synced.error();
  return done{};
}

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

json::object to_json(const hopsworks::user& u) {
  return {{"username", u.username},
          {"email", u.email},
          {"accountType", u.account_type},
          {"status", u.status},
          {"maxNumProjects", u.max_projects},
          {"numActiveProjects", u.active_projects},
          {"activated", text_or_null(u.activated)}};
}

json::array to_json(const std::vector<persistence::project>& projects, const std::string& owner) {
  json::array out;
  for (const auto& p : projects)
    out.emplace_back(json::object{{"id", p.upstream_id},
                                  {"name", p.name},
                                  {"owner", owner},
                                  {"created", format_iso_ms(p.created_at)}});
  return out;
}

json::array to_json(const std::vector<hopsworks::project>& projects) {
  json::array out;
  for (const auto& p : projects)
    out.emplace_back(json::object{
        {"id", p.id}, {"name", p.name}, {"owner", p.owner}, {"created", text_or_null(p.created)}});
  return out;
}

/// The rest of the answer, after hasCluster and clusterName. A team member's projects are those of
/// the owner, and not listed here.
task<result<json::object>> ask_cluster(context& ctx, const own_cluster& own) {
  const auto& h = *own.holder;
  auto seen = co_await look_up(ctx, h);
  if (!seen) co_return seen.error();
  if (!*seen)
    co_return json::object{{"hasHopsworksUser", false}, {"message", "User not found in Hopsworks"}};
  const auto& account = **seen;
  std::vector<hopsworks::project> projects;
  if (own.projects.empty()) {
    auto all =
        co_await call_cluster(ctx, h.where, hopsworks::list_projects(), hopsworks::read_projects);
    if (!all) co_return all.error();
    projects = std::move(*all);
    std::erase_if(projects, [&](const auto& p) { return p.owner != account.username; });
  }
  persistence::hopsworks_account fresh{account.id, account.username, account.active_projects};
  if (fresh != h.known || !projects.empty()) {
    std::vector<persistence::seen_project> mine;
    if (h.account_owner.empty())
      for (const auto& p : projects) mine.push_back({h.who, p.id, p.name});
    co_await ctx.write(keep, h.who, h.where.id, fresh, mine, ctx.now());
  }
  co_return json::object{{"clusterEndpoint", hopsworks::address_of(h.where.api_url)},
                         {"hasHopsworksUser", true},
                         {"hopsworksUser", to_json(account)},
                         {"projects", own.projects.empty()
                                          ? to_json(projects)
                                          : to_json(own.projects, account.username)}};
}

} // namespace

task<result<response>> get_hopsworks_info(context& ctx) {
  auto own = co_await ctx.snapshot(load_own_cluster, ctx.who().id);
  if (!own) co_return own.error();
  if (!own->holder)
    co_return json_reply({{"hasCluster", false}, {"message", "No Hopsworks cluster assigned"}});
  json::object body{{"hasCluster", true}, {"clusterName", own->holder->where.name}};
  auto more = co_await ask_cluster(ctx, *own);
  if (more) {
    for (const auto& [key, value] : more->members()) body.add(key, value);
    co_return json_reply(body);
  }
  body.add("error", "Failed to fetch Hopsworks data");
  auto out = json_reply(body, 200, caching::no_store);
  out.log_detail = to_string(more.error());
  co_return out;
}

} // namespace binnacle::http
