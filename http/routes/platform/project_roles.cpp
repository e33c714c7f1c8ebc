#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/hopsworks.hpp"
#include "http/routes/replies.hpp"

namespace binnacle::http {
namespace {

using persistence::hopsworks_holder;
using persistence::project_role;

constexpr const char* roles_text =
    "Invalid project role. Must be one of: Data owner, Data scientist, Observer";

struct role_holder {
  std::optional<hopsworks_holder> holder{}; // nothing: on no cluster
  std::vector<project_role> roles{};
};
result<role_holder> load_roles(persistence::transaction& tx, const user_id& who) {
  auto holder = persistence::find_hopsworks_holder(tx, who);
  if (!holder) return holder.error();
  auto roles = persistence::project_roles_of(tx, who);
  if (!roles) return roles.error();
  role_holder out;
  out.holder = std::move(*holder);
  out.roles = std::move(*roles);
  return out;
}

json::array to_json(const std::vector<hopsworks::project>& projects, const hopsworks_holder& of,
                    const std::vector<project_role>& roles) {
  json::array out;
  for (const auto& p : projects)
    if (p.owner == of.known.username)
      out.emplace_back(json::object{{"id", p.id},
                                    {"name", p.name},
                                    {"owner", p.owner},
                                    {"role", "Data owner"},
                                    {"isOwner", true},
                                    {"synced", true},
                                    {"error", nullptr}});
  for (const auto& r : roles) {
    if (r.cluster != of.where.id) continue;
    auto found = std::ranges::find(projects, r.project_id, &hopsworks::project::id);
    json::value owner, error;
    if (found != projects.end()) owner = found->owner;
    if (!r.failure.empty()) error = "Hopsworks has not taken the role";
    out.emplace_back(json::object{{"id", r.project_id},
                                  {"name", r.project_name},
                                  {"owner", std::move(owner)},
                                  {"role", r.role},
                                  {"isOwner", false},
                                  {"synced", r.failure.empty()},
                                  {"error", std::move(error)}});
  }
  return out;
}

persistence::audit_entry audit(const context& ctx, const user_id& member,
                               const granted_roles& granted, const std::string& role) {
  json::array projects;
  for (const auto& name : granted.projects) projects.emplace_back(name);
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = "PROJECT_ROLES_GRANTED";
  out.target = member.value;
  out.detail = json::to_text(json::object{{"projects", std::move(projects)}, {"role", role}});
  out.address = ctx.req.client_address;
  return out;
}

/// A fault of the grant itself is the client's business as it is; one of Hopsworks' is a 500.
fault explain(const char* what, const fault& f) {
  if (f.code == errc::not_found || f.code == errc::overloaded) return f;
  if (f.code == errc::unprocessable)
    return {errc::bad_request, std::string{f.message()}, {}, f.detail};
  return failed_at(what, f);
}

/// The user with an account at Hopsworks, or why not: 404 and 400 of platform.md §5.
task<result<hopsworks_holder>> known_holder(context& ctx, user_id who) {
  auto holder = co_await ctx.snapshot(persistence::find_hopsworks_holder, who);
  if (!holder) co_return holder.error();
  if (!*holder || !(*holder)->known.id)
    co_return fault{errc::bad_request, "User has no Hopsworks user ID", {}, {}};
  co_return std::move(**holder);
}

} // namespace

task<result<response>> get_project_roles(context& ctx) {
  auto id = ctx.req.parameter("userId");
  if (!id || id->empty()) co_return bad_field("userId", "userId must be given");
  user_id who{*id};
  auto loaded = co_await ctx.snapshot(load_roles, who);
  if (!loaded) co_return loaded.error();
  if (!loaded->holder || loaded->holder->known.username.empty())
    co_return fault{errc::bad_request, "User has no Hopsworks username", {}, {}};
  auto projects = co_await call_cluster(ctx, loaded->holder->where, hopsworks::list_projects(),
                                        hopsworks::read_projects);
  if (!projects) co_return failed_at("Failed to fetch project roles", projects.error());
  co_return json_reply({{"projects", to_json(*projects, *loaded->holder, loaded->roles)}});
}

task<result<response>> post_project_role(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"userId", "projectName", "role", "action"});
  grant_project_role wanted;
  wanted.member = user_id{body->text("userId")};
  wanted.project = body->text("projectName");
  wanted.role = body->text("role");
  wanted.granted_by = ctx.who().id;
  auto action = body->text("action");
  if (body->problem()) co_return *body->problem();
  if (!hopsworks::is_project_role(wanted.role)) co_return bad_field("role", roles_text);
  auto member = co_await known_holder(ctx, wanted.member);
  if (!member) co_return member.error();
  if (action == "remove")
    co_return fault{
        errc::not_implemented, "Removing members is not supported by Hopsworks", {}, {}};
  if (action != "add") co_return bad_field("action", "Invalid action");
  auto granted =
      co_await ctx.ask<granted_roles>(ctx.app.hopsworks_accounts, wanted, kept_for_answer);
  if (!granted) co_return explain("Failed to add user to project", granted.error());
  if (granted->projects.empty())
    co_return failed_at("Failed to add user to project",
                        {errc::upstream_failed, granted->errors.at(0), {}, {}});
  auto entry = audit(ctx, wanted.member, *granted, wanted.role);
  auto noted = co_await ctx.settle(persistence::write_audit, entry, ctx.now());
  if (!noted) co_return noted.error();
  co_return written({{"message", "User added to project " + wanted.project + " as " + wanted.role},
                     {"project", wanted.project},
                     {"role", wanted.role}});
}

task<result<response>> put_project_roles(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"teamMemberId", "ownerId"});
  grant_project_role wanted;
  wanted.member = user_id{body->text("teamMemberId")};
  wanted.owner = user_id{body->text("ownerId")};
  wanted.role = body->maybe_text("defaultRole").value_or("Data scientist");
  wanted.granted_by = ctx.who().id;
  if (body->problem()) co_return *body->problem();
  if (!hopsworks::is_project_role(wanted.role)) co_return bad_field("defaultRole", roles_text);
  auto member = co_await known_holder(ctx, wanted.member);
  if (!member) co_return member.error();
  auto owner = co_await ctx.read(persistence::find_user, wanted.owner);
  if (!owner) co_return owner.error();
  if (!*owner) co_return fault{errc::not_found, "Account owner not found", {}, {}};
  if (member->account_owner != wanted.owner)
    co_return fault{errc::bad_request, "The user is not a member of this owner's team", {}, {}};
  auto granted =
      co_await ctx.ask<granted_roles>(ctx.app.hopsworks_accounts, wanted, kept_for_answer);
  if (!granted) co_return explain("Failed to sync project roles", granted.error());
  auto entry = audit(ctx, wanted.member, *granted, wanted.role);
  auto noted = co_await ctx.settle(persistence::write_audit, entry, ctx.now());
  if (!noted) co_return noted.error();
  json::array added, errors;
  for (const auto& name : granted->projects) added.emplace_back(name);
  for (const auto& why : granted->errors) errors.emplace_back(why);
  auto message = "Added to " + std::to_string(added.size()) + " projects";
  json::object out{{"message", std::move(message)}, {"addedToProjects", std::move(added)}};
  if (!errors.empty()) out.add("errors", std::move(errors));
  co_return written(out);
}

} // namespace binnacle::http
