#include "persistence/project_users.hpp"

#include "actors/rosters.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/replies.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>
#include <charconv>

namespace binnacle::http {
namespace {

using persistence::project_user;

constexpr std::int64_t usual_limit = 50;
constexpr std::int64_t highest_limit = 100;
constexpr std::int64_t highest_page = 1'000'000'000;
/// A search of that many users is over before it could be handed to another thread.
constexpr std::int64_t small_project = 5'000;

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}
json::value second_or_null(const std::optional<time_point>& t) {
  if (!t) return nullptr;
  return format_iso_s(*t);
}

json::object to_json(const project_user& u) {
  return {{"id", u.id.value},
          {"email", u.email},
          {"authMethod", text_or_null(u.last_auth_provider)},
          {"loginCount", u.login_count},
          {"createdAt", format_iso_s(u.created_at)},
          {"lastLoginAt", second_or_null(u.last_login_at)}};
}
json::object to_json_with_block(const project_user& u) {
  auto out = to_json(u);
  out.add("blockedAt", second_or_null(u.blocked_at));
  return out;
}

developer_project_id project_of(const context& ctx) { return {ctx.req.params.at(0)}; }
project_user_id user_of(const context& ctx) { return {ctx.req.params.at(1)}; }

result<std::int64_t> whole_parameter(const request& req, std::string_view which,
                                     std::int64_t otherwise, std::int64_t most) {
  auto given = req.parameter(which);
  if (!given) return otherwise;
  std::int64_t out = 0;
  auto* end = given->data() + given->size();
  auto [at, error] = std::from_chars(given->data(), end, out);
  auto too_large = error == std::errc::result_out_of_range && at == end;
  if (too_large && given->front() != '-') return most;
  if (error != std::errc{} || at != end || out < 1)
    return bad_field(std::string{which}, std::string{which} + " must be a whole number from 1");
  return std::min(out, most);
}

result<roster_question> read_question(const request& req) {
  roster_question out;
  auto page = whole_parameter(req, "page", 1, highest_page);
  if (!page) return page.error();
  auto limit = whole_parameter(req, "limit", usual_limit, highest_limit);
  if (!limit) return limit.error();
  out.limit = *limit;
  out.skip = (*page - 1) * *limit;
  out.contains = lower_case(trimmed(req.parameter("search").value_or("")));
  auto cursor = req.parameter("cursor").value_or("");
  if (cursor.empty()) return out;
  if (req.parameter("page")) return bad_field("cursor", "cursor and page exclude each other");
  out.after = roster_place_of(cursor);
  if (!out.after) return bad_field("cursor", "cursor must be the nextCursor of an earlier page");
  return out;
}

result<bool> wants_blocked(const request& req) {
  auto given = req.parameter("blocked");
  if (!given || *given == "false") return false;
  if (*given == "true") return true;
  return bad_field("blocked", "blocked must be true or false");
}

json::object meta_of(const roster_question& asked, std::int64_t page, std::int64_t total) {
  return {{"page", page},
          {"limit", asked.limit},
          {"total", total},
          {"totalPages", (total + asked.limit - 1) / asked.limit}};
}

response to_reply(const roster_question& asked, const persistence::blocked_users& found) {
  json::array data;
  for (const auto& u : found.users) data.emplace_back(to_json_with_block(u));
  auto meta = meta_of(asked, asked.skip / asked.limit + 1, found.total);
  return json_reply({{"data", std::move(data)}, {"meta", std::move(meta)}});
}

response to_reply(const roster_question& asked, const roster_page& found) {
  json::array data;
  for (const auto& u : found.users) data.emplace_back(to_json(u));
  auto page = asked.after ? found.before / asked.limit + 1 : asked.skip / asked.limit + 1;
  auto shown = found.before + static_cast<std::int64_t>(found.users.size());
  json::value next;
  if (found.last && shown < found.total) next = to_text(*found.last);
  auto meta = meta_of(asked, page, found.total);
  meta.add("nextCursor", std::move(next));
  return json_reply({{"data", std::move(data)}, {"meta", std::move(meta)}});
}

persistence::audit_entry audit(const context& ctx, const char* action) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = action;
  out.target = user_of(ctx).value;
  out.address = ctx.req.client_address;
  return out;
}

// -- what is done in one transaction -------------------------------------------------------------

result<done> add(persistence::transaction& tx, const user_id& owner,
                 const developer_project_id& project, const project_user& wanted) {
  if (auto held = persistence::hold_developer_project(tx, owner, project); !held) return held;
  return persistence::insert_project_user(tx, project, wanted);
}

result<project_user> block(persistence::transaction& tx, const developer_project_id& project,
                           const project_user_id& who, bool blocked,
                           const persistence::audit_entry& entry, time_point now) {
  auto held = persistence::hold_developer_project(tx, entry.actor, project);
  if (!held) return held.error();
  auto changed = persistence::block_project_user(tx, project, who, blocked, now);
  if (!changed) return changed;
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return changed;
}

result<done> remove(persistence::transaction& tx, const developer_project_id& project,
                    const project_user_id& who, const persistence::audit_entry& entry,
                    time_point now) {
  if (auto held = persistence::hold_developer_project(tx, entry.actor, project); !held) return held;
  if (auto gone = persistence::delete_project_user(tx, project, who); !gone) return gone;
  return persistence::write_audit(tx, entry, now);
}

} // namespace

task<result<response>> get_project_users(context& ctx) {
  auto asked = read_question(ctx.req);
  if (!asked) co_return asked.error();
  auto blocked = wants_blocked(ctx.req);
  if (!blocked) co_return blocked.error();
  if (*blocked && asked->after) co_return bad_field("cursor", "blocked users have pages only");
  auto own = co_await ctx.read(persistence::own_developer_project, ctx.who().id, project_of(ctx));
  if (!own) co_return own.error();
  if (*blocked) {
    auto found = co_await ctx.snapshot(persistence::blocked_project_users, project_of(ctx),
                                       asked->contains, asked->skip, asked->limit);
    if (!found) co_return found.error();
    co_return to_reply(*asked, *found);
  }
  find_roster which{project_of(ctx)};
  auto found = co_await ctx.ask<found_roster>(ctx.app.rosters, which);
  if (!found) co_return found.error();
  const auto& users = found->what;
  if (asked->contains.empty() || users->size() <= small_project)
    co_return to_reply(*asked, users->look(*asked));
  auto look = [users, question = *asked] { return users->look(question); };
  auto page = co_await ctx.compute(look);
  if (!page) co_return page.error();
  co_return to_reply(*asked, *page);
}

task<result<response>> post_project_user(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"email"});
  project_user wanted;
  wanted.email = lower_case(trimmed(body->text("email")));
  wanted.name = std::string{trimmed(body->text("name", 200))};
  if (body->problem()) co_return *body->problem();
  if (!is_email(wanted.email)) co_return bad_field("email", "email must be an email address");
  wanted.id = make_id<project_user_id>("", ctx.now());
  wanted.created_at = ctx.now();
  auto added = co_await ctx.write(add, ctx.who().id, project_of(ctx), wanted);
  if (!added) co_return added.error();
  co_return written({{"data", to_json_with_block(wanted)}}, 201);
}

task<result<response>> patch_project_user(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"blocked"});
  auto blocked = body->truth("blocked", false);
  if (body->problem()) co_return *body->problem();
  auto entry = audit(ctx, blocked ? "PROJECT_USER_BLOCKED" : "PROJECT_USER_UNBLOCKED");
  auto changed =
      co_await ctx.write(block, project_of(ctx), user_of(ctx), blocked, entry, ctx.now());
  if (!changed) co_return changed.error();
  co_return written({{"data", to_json_with_block(*changed)}});
}

task<result<response>> delete_project_user(context& ctx) {
  auto who = user_of(ctx);
  auto entry = audit(ctx, "PROJECT_USER_REMOVED");
  auto gone = co_await ctx.write(remove, project_of(ctx), who, entry, ctx.now());
  if (!gone) co_return gone.error();
  json::object data{{"id", who.value}};
  co_return written({{"data", std::move(data)}, {"message", "User has been removed"}});
}

} // namespace binnacle::http
