#include "http/routes/body.hpp"
#include "http/routes/hub/content.hpp"
#include "http/routes/hub/envelope.hpp"
#include "http/routes/hub/handlers.hpp"
#include "persistence/hub_news.hpp"
#include "persistence/hub_projects.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>
#include <cctype>

namespace binnacle::http {
namespace {

using persistence::transaction;

/// Two of these routes have no envelope (hub.md §12).
response bare(const json::array& items) {
  response out;
  out.body = json::to_text(items);
  return out;
}

/// How others call the user.
std::string name_of(const persistence::user& who) {
  for (const auto* name : {&who.name, &who.username, &who.email})
    if (!name->empty()) return *name;
  return who.id.value;
}

/// "USER_LOGIN" as people read it: "user login".
std::string in_words(std::string action) {
  for (auto& c : action)
    c = c == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return action;
}

json::object to_json(const persistence::activity& a, const std::string& user) {
  return {{"id", std::to_string(a.id)},       {"user", user}, {"action", in_words(a.action)},
          {"timestamp", format_iso_ms(a.at)}, {"icon", "✨"},  {"color", "text-purple-400"}};
}

json::object to_json(const persistence::hub_project& p) {
  // Nobody but its owner sees a project.
  return {{"id", p.id},
          {"title", p.title},
          {"description", p.description},
          {"progress", p.progress},
          {"status", p.status},
          {"lastUpdated", format_iso_ms(p.updated_at)},
          {"members", json::array{}}};
}

json::object to_json(const persistence::hub_notification& n) {
  return {
      {"id", std::to_string(n.id)}, {"type", n.type}, {"title", n.title},
      {"message", n.message},       {"read", n.read}, {"createdAt", format_iso_ms(n.created_at)}};
}

/// Adds a row and notes in the audit log who did.
using adder = result<done> (*)(transaction&, const user_id&, const std::string& id,
                               const std::string& title, time_point now);
result<done> add_noted(transaction& tx, adder add, const persistence::audit_entry& entry,
                       const std::string& title, time_point now) {
  if (auto added = add(tx, entry.actor, entry.target, title, now); !added) return added;
  return persistence::write_audit(tx, entry, now);
}

persistence::audit_entry creation(const context& ctx, std::string action, std::string id) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = std::move(id);
  out.address = ctx.req.client_address;
  return out;
}

task<result<response>> create(context& ctx, adder add, persistence::audit_entry entry,
                              std::string title, json::object answer) {
  auto added = co_await ctx.write(add_noted, add, entry, title, ctx.now());
  if (!added) co_return not_loaded(added.error());
  co_return written(in_envelope(std::move(answer)));
}

task<result<response>> create_project(context& ctx) {
  auto id = "prj_" + make_ulid(ctx.now());
  json::object answer{{"message", "Project created"}, {"projectId", id}};
  auto entry = creation(ctx, "project_created", id);
  return create(ctx, persistence::add_hub_project, std::move(entry), "New project",
                std::move(answer));
}

task<result<response>> create_task(context& ctx) {
  auto id = "task_" + make_ulid(ctx.now());
  json::object answer{{"message", "Task created"}, {"taskId", id}};
  auto entry = creation(ctx, "task_created", id);
  return create(ctx, persistence::add_hub_task, std::move(entry), "New task", std::move(answer));
}

/// What is done on another page leads there.
response answer_with(const char* name, const char* value) {
  return written(in_envelope(json::object{{name, value}}));
}

} // namespace

task<result<response>> get_activity(context& ctx) {
  auto found = co_await ctx.read(persistence::activity_of, ctx.who().id);
  if (!found) co_return not_loaded(found.error());
  auto user = name_of(ctx.who());
  json::array out;
  for (const auto& a : *found) out.emplace_back(to_json(a, user));
  co_return bare(out);
}

task<result<response>> get_projects(context& ctx) {
  auto found = co_await ctx.read(persistence::hub_projects_of, ctx.who().id);
  if (!found) co_return not_loaded(found.error());
  json::array out;
  for (const auto& p : *found) out.emplace_back(to_json(p));
  co_return bare(out);
}

task<result<response>> get_notifications(context& ctx) {
  auto found = co_await ctx.read(persistence::notifications_of, ctx.who().id);
  if (!found) co_return not_loaded(found.error());
  json::array out;
  for (const auto& n : *found) out.emplace_back(to_json(n));
  co_return json_reply(in_envelope(std::move(out)));
}

task<result<response>> get_stats(context& ctx) {
  auto found = co_await ctx.read(persistence::count_for_hub, ctx.who().id);
  if (!found) co_return not_loaded(found.error());
  json::object out{
      {"projects", found->projects}, {"tasks", found->tasks}, {"teamMembers", found->team}};
  co_return json_reply(in_envelope(std::move(out)));
}

task<result<response>> get_quick_actions(context&) {
  co_return json_reply(in_envelope(quick_actions()));
}

task<result<response>> get_recommendations(context& ctx) {
  auto locale = ctx.req.parameter("locale").value_or("");
  co_return json_reply(in_envelope(recommendations(locale)));
}

task<result<response>> post_perform_action(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return invalid_body(body.error());
  body->require({"action"});
  auto action = body->text("action");
  body->refuse_others({"action"});
  constexpr std::array<std::string_view, 4> known{"create_project", "create_task", "invite_member",
                                                  "view_docs"};
  if (std::ranges::find(known, action) == known.end())
    body->note(bad_field("action", "action must be create_project, create_task, invite_member or "
                                   "view_docs"));
  if (body->problem()) co_return invalid_body(*body->problem());
  if (action == "create_project") co_return co_await create_project(ctx);
  if (action == "create_task") co_return co_await create_task(ctx);
  if (action == "view_docs") co_return answer_with("redirect", "/docs");
  co_return answer_with("message", "Members are invited on the team page");
}

} // namespace binnacle::http
