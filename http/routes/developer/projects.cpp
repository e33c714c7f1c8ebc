#include "persistence/developer_projects.hpp"

#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/developer/origins.hpp"
#include "http/routes/replies.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

using persistence::developer_project;
using persistence::developer_project_change;

constexpr std::size_t longest_name = 100; // characters
constexpr std::size_t longest_description = 1'000;
constexpr std::size_t most_origins = 100;
constexpr std::size_t most_providers = 20;
constexpr std::size_t longest_item = 255; // bytes

json::array texts(const std::vector<std::string>& all) {
  json::array out;
  for (const auto& each : all) out.emplace_back(each);
  return out;
}

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

json::object to_json(const developer_project& p) {
  return {{"id", p.id.value},
          {"name", p.name},
          {"description", text_or_null(p.description)},
          {"allowedOrigins", texts(p.allowed_origins)},
          {"allowedProviders", texts(p.allowed_providers)},
          {"userCount", p.user_count},
          {"apiKeyCount", p.api_key_count},
          {"createdAt", format_iso_s(p.created_at)},
          {"updatedAt", format_iso_s(p.updated_at)}};
}

bool is_provider(std::string_view text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= 40 && std::ranges::all_of(text, fits);
}

void read_origins(json_fields& body, developer_project_change& out) {
  auto given = body.maybe_texts("allowedOrigins", most_origins, longest_item);
  if (!given) return;
  std::vector<std::string> kept;
  for (const auto& text : *given) {
    auto pattern = origin_pattern(text);
    if (!pattern)
      return body.note(bad_field("allowedOrigins",
                                 "allowedOrigins must be origins such as https://app.example.com, "
                                 "*.example.com or *"));
    if (std::ranges::find(kept, *pattern) == kept.end()) kept.push_back(std::move(*pattern));
  }
  out.allowed_origins = std::move(kept);
}

void read_providers(json_fields& body, developer_project_change& out) {
  auto given = body.maybe_texts("allowedProviders", most_providers, longest_item);
  if (!given) return;
  std::vector<std::string> kept;
  for (auto& text : *given) {
    if (!is_provider(text))
      return body.note(bad_field("allowedProviders",
                                 "allowedProviders must be names such as email, google or github"));
    if (std::ranges::find(kept, text) == kept.end()) kept.push_back(std::move(text));
  }
  if (kept.empty())
    return body.note(bad_field("allowedProviders", "allowedProviders must name one at least"));
  out.allowed_providers = std::move(kept);
}

result<developer_project_change> read_change(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return body.error();
  developer_project_change out;
  if (auto given = body->maybe_text("name")) {
    out.name = std::string{trimmed(*given)};
    if (out.name->empty() || characters_of(*out.name) > longest_name)
      body->note(bad_field("name", "name must be 1 to 100 characters long"));
  } else if (body->is_null("name")) {
    body->note(bad_field("name", "name must be 1 to 100 characters long"));
  }
  if (auto given = body->maybe_text("description", 4 * longest_description)) {
    out.description = std::string{trimmed(*given)};
    if (characters_of(*out.description) > longest_description)
      body->note(bad_field("description", "description must be at most 1000 characters long"));
  } else if (body->is_null("description")) {
    out.description = "";
  }
  read_origins(*body, out);
  read_providers(*body, out);
  if (body->problem()) return *body->problem();
  return out;
}

developer_project_id project_of(const context& ctx) { return {ctx.req.params.front()}; }

// -- what is done in one transaction -------------------------------------------------------------

result<developer_project> make(persistence::transaction& tx, const user_id& owner,
                               const developer_project& wanted) {
  auto made = persistence::insert_developer_project(tx, owner, wanted);
  if (!made) return made.error();
  return persistence::find_developer_project(tx, owner, wanted.id);
}

result<developer_project> change(persistence::transaction& tx, const user_id& owner,
                                 const developer_project_id& id,
                                 const developer_project_change& wanted, time_point now) {
  if (auto held = persistence::hold_developer_project(tx, owner, id); !held) return held.error();
  auto changed = persistence::update_developer_project(tx, id, wanted, now);
  if (!changed) return changed.error();
  return persistence::find_developer_project(tx, owner, id);
}

result<done> remove(persistence::transaction& tx, const developer_project_id& id,
                    const persistence::audit_entry& entry, time_point now) {
  if (auto held = persistence::hold_developer_project(tx, entry.actor, id); !held) return held;
  if (auto gone = persistence::delete_developer_project(tx, id, now); !gone) return gone;
  return persistence::write_audit(tx, entry, now);
}

} // namespace

task<result<response>> get_own_projects(context& ctx) {
  auto found = co_await ctx.read(persistence::developer_projects_of, ctx.who().id);
  if (!found) co_return found.error();
  json::array data;
  for (const auto& p : *found)
    data.emplace_back(json::object{{"id", p.id.value},
                                   {"name", p.name},
                                   {"description", text_or_null(p.description)},
                                   {"userCount", p.user_count},
                                   {"createdAt", format_iso_s(p.created_at)},
                                   {"updatedAt", format_iso_s(p.updated_at)}});
  json::object meta{{"total", data.size()}};
  co_return json_reply({{"data", std::move(data)}, {"meta", std::move(meta)}});
}

task<result<response>> post_project(context& ctx) {
  auto given = read_change(ctx.req);
  if (!given) co_return given.error();
  if (!given->name) co_return bad_field("name", "name is required");
  developer_project wanted;
  wanted.id = make_id<developer_project_id>("", ctx.now());
  wanted.name = *given->name;
  wanted.description = given->description.value_or("");
  wanted.allowed_origins = given->allowed_origins.value_or(std::vector<std::string>{});
  wanted.allowed_providers = given->allowed_providers.value_or(std::vector<std::string>{"email"});
  wanted.created_at = ctx.now();
  auto made = co_await ctx.write(make, ctx.who().id, wanted);
  if (!made) co_return made.error();
  co_return written({{"data", to_json(*made)}}, 201);
}

task<result<response>> get_project(context& ctx) {
  auto found =
      co_await ctx.read(persistence::find_developer_project, ctx.who().id, project_of(ctx));
  if (!found) co_return found.error();
  co_return json_reply({{"data", to_json(*found)}});
}

task<result<response>> patch_project(context& ctx) {
  auto wanted = read_change(ctx.req);
  if (!wanted) co_return wanted.error();
  auto changed = co_await ctx.write(change, ctx.who().id, project_of(ctx), *wanted, ctx.now());
  if (!changed) co_return changed.error();
  co_return written({{"data", to_json(*changed)}});
}

task<result<response>> delete_project(context& ctx) {
  auto id = project_of(ctx);
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "PROJECT_DELETED";
  entry.target = id.value;
  entry.address = ctx.req.client_address;
  auto now = ctx.now();
  auto gone = co_await ctx.write(remove, id, entry, now);
  if (!gone) co_return gone.error();
  json::object data{{"id", id.value}, {"deletedAt", format_iso_s(now)}};
  co_return written({{"data", std::move(data)}, {"message", "Project has been deleted"}});
}

} // namespace binnacle::http
