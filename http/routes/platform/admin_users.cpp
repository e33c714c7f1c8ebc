#include "persistence/admin_users.hpp"

#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/clusters.hpp"
#include "persistence/users.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <charconv>

namespace binnacle::http {
namespace {

using persistence::admin_project;
using persistence::admin_user;

constexpr std::int64_t most_users = 1'000;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

json::array assignments_of(const admin_user& u) {
  json::array out;
  if (!u.cluster.empty())
    out.emplace_back(json::object{{"hopsworks_cluster_id", u.cluster},
                                  {"cluster_name", u.cluster_name},
                                  {"assigned_by", text_or_null(u.assigned_by)},
                                  {"assigned_at", time_or_null(u.assigned_at)}});
  return out;
}

json::object to_json(const admin_project& p) {
  return {{"namespace", p.name_space},     {"name", p.name},
          {"id", p.upstream_id},           {"is_owner", true},
          {"total_cost", p.cost},          {"cpu_hours", p.used.cpu_hours},
          {"gpu_hours", p.used.gpu_hours}, {"ram_gb_hours", p.used.ram_gb_hours}};
}

json::object to_json(const admin_user& u, const std::vector<admin_project>& all) {
  json::array projects, active;
  for (const auto& p : all) {
    if (p.owner != u.id) continue;
    projects.emplace_back(to_json(p));
    if (p.active) active.emplace_back(p.name_space);
  }
  return {{"id", u.id.value},
          {"username", text_or_null(u.username)},
          {"email", text_or_null(u.email)},
          {"name", u.name},
          {"status", u.status},
          {"is_admin", u.is_admin},
          {"plan", u.plan},
          {"account_owner_id", text_or_null(u.account_owner)},
          {"billing_mode", text_or_null(u.billing_mode)},
          {"feature_flags", json::raw{u.feature_flags}},
          {"metadata", json::raw{u.metadata}},
          {"registration_ip", text_or_null(u.registration_ip)},
          {"login_count", u.login_count},
          {"last_login_at", time_or_null(u.last_login_at)},
          {"created_at", format_iso_ms(u.created_at)},
          {"updated_at", format_iso_ms(u.updated_at)},
          {"stripe_customer_id", text_or_null(u.stripe_customer)},
          {"stripe_subscription_id", text_or_null(u.subscription)},
          {"stripe_subscription_status", text_or_null(u.subscription_status)},
          {"user_hopsworks_assignments", assignments_of(u)},
          {"last_24h_cost", u.recent_cost},
          {"projects", std::move(projects)},
          {"active_namespaces", std::move(active)}};
}

/// 1 to 1000; 0 when everybody is asked for.
result<std::int64_t> read_limit(const request& req) {
  auto text = req.parameter("limit");
  if (!text) return std::int64_t{0};
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc{} || end != text->data() + text->size() || out < 1 || out > most_users)
    return bad_field("limit", "limit must be 1 to 1000");
  return out;
}

persistence::audit_entry audit(const context& ctx, std::string action, const user_id& target,
                               const json::object& detail) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = target.value;
  out.detail = json::to_text(detail);
  out.address = ctx.req.client_address;
  return out;
}

result<cluster_id> assign(persistence::transaction& tx, const user_id& who,
                          persistence::audit_entry entry, time_point now) {
  // Who has one already is assigned nothing, also when two ask at once.
  if (auto held = persistence::hold_account(tx, who); !held) return held.error();
  auto before = persistence::cluster_of_user(tx, who);
  if (!before) return before.error();
  auto put = persistence::assign_free_cluster(tx, who, now);
  if (!put || *before) return put;
  entry.detail = json::to_text(json::object{{"cluster", put->value}});
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return put;
}

result<done> unassign(persistence::transaction& tx, const user_id& who, const cluster_id& from,
                      const persistence::audit_entry& entry, time_point now) {
  auto removed = persistence::unassign_cluster(tx, who, from);
  if (!removed) return removed.error();
  return *removed ? persistence::write_audit(tx, entry, now) : result<done>{done{}};
}

} // namespace

task<result<response>> get_admin_users(context& ctx) {
  auto limit = read_limit(ctx.req);
  if (!limit) co_return limit.error();
  user_id after{ctx.req.parameter("cursor").value_or("")};
  auto since = date_of(ctx.now() - hours{24}); // yesterday and today
  auto most = *limit > 0 ? *limit + 1 : 0;     // tells whether there is another page
  auto found = co_await ctx.snapshot(persistence::list_admin_users, since, after, most);
  if (!found) co_return found.error();
  json::value next;
  if (most > 0 && std::ssize(found->users) == most) {
    found->users.pop_back();
    next = found->users.back().id.value;
  }
  json::array users;
  for (const auto& u : found->users) users.emplace_back(to_json(u, found->projects));
  json::object out{{"users", std::move(users)}};
  if (most > 0) out.add("nextCursor", std::move(next));
  co_return json_reply(out, 200, caching::no_store);
}

task<result<response>> post_admin_user(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"userId"});
  user_id who{body->text("userId")};
  if (body->problem()) co_return *body->problem();
  auto entry = audit(ctx, "USER_ASSIGNED", who, {});
  auto put = co_await ctx.write(assign, who, entry, ctx.now());
  if (!put && put.error().code == errc::unprocessable)
    co_return fault{errc::bad_request, put.error().text, {}, put.error().detail};
  if (!put) co_return put.error();
  co_return written({{"success", true}, {"message", "User assigned to cluster " + put->value}});
}

task<result<response>> delete_admin_user(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"userId", "clusterId"});
  user_id who{body->text("userId")};
  cluster_id from{body->text("clusterId")};
  if (body->problem()) co_return *body->problem();
  json::object detail{{"cluster", from.value}};
  auto entry = audit(ctx, "USER_UNASSIGNED", who, detail);
  auto removed = co_await ctx.write(unassign, who, from, entry, ctx.now());
  if (!removed) co_return removed.error();
  co_return written({{"success", true}});
}

} // namespace binnacle::http
