#include "actors/team.hpp"
#include "actors/admission.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "integrations/stripe/form.hpp"
#include "integrations/tokens.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

constexpr std::size_t longest_token = 256;

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

json::object to_json(const persistence::team_person& p) {
  return {{"id", p.id.value},
          {"email", p.email},
          {"name", p.name},
          {"created_at", format_iso_ms(p.created_at)},
          {"last_login_at", time_or_null(p.last_login_at)},
          {"hopsworks_username", text_or_null(p.hopsworks_username)},
          {"status", p.status}};
}

json::object owner_json(const persistence::team_person& p) {
  return {{"id", p.id.value},
          {"email", p.email},
          {"name", p.name},
          {"created_at", format_iso_ms(p.created_at)},
          {"stripe_customer_id", text_or_null(p.stripe_customer)}};
}

/// Its token is known to nobody but who got the mail.
json::object to_json(const persistence::team_invite& i) {
  return {{"id", i.id},
          {"email", i.email},
          {"project_role", i.role},
          {"auto_assign_projects", i.auto_assign},
          {"expires_at", format_iso_ms(i.expires_at)},
          {"created_at", format_iso_ms(i.created_at)}};
}

fault only_owners(std::string text) { return {errc::forbidden, std::move(text), {}, {}}; }

result<invitation_request> read_invitation(const context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) return body.error();
  invitation_request out;
  out.email = lower_case(trimmed(body->text("email")));
  out.role = body->maybe_text("projectRole").value_or("Data scientist");
  out.auto_assign = body->truth("autoAssignProjects", true);
  if (body->problem()) return *body->problem();
  if (out.email.empty()) return bad_field("email", "Email is required");
  if (!is_email(out.email)) return bad_field("email", "Invalid email address");
  if (std::ranges::find(project_roles, out.role) == project_roles.end())
    return bad_field("projectRole", "Invalid project role. Must be one of: Data owner, Data "
                                    "scientist, Observer");
  out.by = ctx.who().id;
  out.link_base = ctx.app.config.identity.auth0_base_url.empty()
                      ? link_origin(ctx.req, ctx.app.config)
                      : platform_origin(ctx.req, ctx.app.config);
  out.address = ctx.req.client_address;
  return out;
}

result<done> take_back_invite(persistence::transaction& tx, const user_id& owner,
                              const std::string& id, const std::string& address, time_point now) {
  auto there = persistence::delete_invite(tx, owner, id);
  if (!there) return there.error();
  if (!*there) return done{};
  persistence::audit_entry entry;
  entry.actor = owner;
  entry.action = "TEAM_INVITE_DELETED";
  entry.target = id;
  entry.address = address;
  return persistence::write_audit(tx, entry, now);
}

bool is_token(const std::string& text) { return !text.empty() && text.size() <= longest_token; }

/// Where an invited person logs in, or makes an account, to come back with the token.
std::string login_url(const std::string& token, const persistence::found_invite& invite) {
  stripe::form query;
  query.add("returnTo", "/team/joining?token=" + token);
  query.add("login_hint", invite.what.email);
  return (invite.email_has_account ? "/api/auth/login?" : "/api/auth/signup?") + query.str();
}

json::array texts(const std::vector<std::string>& all) {
  json::array out;
  for (const auto& each : all) out.emplace_back(each);
  return out;
}

} // namespace

task<result<response>> get_team_members(context& ctx) {
  auto team = co_await ctx.read(persistence::load_team, ctx.who().id);
  if (!team) co_return team.error();
  json::array members;
  for (const auto& m : team->members) members.emplace_back(to_json(m));
  co_return json_reply({{"account_owner", owner_json(team->owner)},
                        {"team_members", std::move(members)},
                        {"is_owner", team->owner.id == ctx.who().id}});
}

task<result<response>> delete_team_member(context& ctx) {
  if (!ctx.who().account_owner.empty())
    co_return only_owners("Only account owners can remove team members");
  auto member = ctx.req.parameter("memberId").value_or("");
  if (member.empty()) co_return bad_field("memberId", "Member ID is required");
  remove_member asked{ctx.who().id, user_id{std::move(member)}, ctx.req.client_address};
  auto removed = co_await ctx.ask<removed_member>(ctx.app.team, asked);
  if (!removed) co_return removed.error();
  co_return written({{"message", "Team member removed successfully"}});
}

task<result<response>> patch_team_member(context&) {
  co_return fault{errc::not_implemented, "Changing a team member is not implemented", {}, {}};
}

task<result<response>> get_team_invites(context& ctx) {
  if (!ctx.who().account_owner.empty())
    co_return only_owners("Only account owners can view team invites");
  auto found = co_await ctx.read(persistence::open_invites, ctx.who().id, ctx.now());
  if (!found) co_return found.error();
  json::array out;
  for (const auto& i : *found) out.emplace_back(to_json(i));
  co_return json_reply({{"invites", std::move(out)}});
}

task<result<response>> post_team_invite(context& ctx) {
  if (!ctx.who().account_owner.empty())
    co_return only_owners("Only account owners can invite team members");
  auto wanted = read_invitation(ctx);
  if (!wanted) co_return wanted.error();
  invite_member asked{std::make_shared<const invitation_request>(std::move(*wanted))};
  auto said = co_await ctx.ask<invited_member>(ctx.app.team, asked);
  if (!said) co_return said.error();
  const auto& [made, limit] = *said->what;
  if (!made && made.error().code == errc::rate_limited) co_return ctx.refuse(*limit);
  if (limit) ctx.show(*limit);
  if (!made) co_return made.error();
  json::object invite{{"id", made->what.id},
                      {"email", made->what.email},
                      {"expires_at", format_iso_ms(made->what.expires_at)},
                      {"invite_url", made->url},
                      {"project_role", made->what.role},
                      {"auto_assign_projects", made->what.auto_assign}};
  co_return written({{"message", "Invite sent successfully"}, {"invite", std::move(invite)}});
}

task<result<response>> delete_team_invite(context& ctx) {
  if (!ctx.who().account_owner.empty())
    co_return only_owners("Only account owners can delete team invites");
  auto id = ctx.req.parameter("inviteId").value_or("");
  if (id.empty()) co_return bad_field("inviteId", "Invite ID is required");
  auto gone = co_await ctx.write(take_back_invite, ctx.who().id, id,
                                 std::string{ctx.req.client_address}, ctx.now());
  if (!gone) co_return gone.error();
  co_return written({{"message", "Invite deleted successfully"}});
}

task<result<response>> get_accept_invite(context& ctx) {
  auto token = ctx.req.parameter("token").value_or("");
  if (!is_token(token)) co_return bad_field("token", "Invalid invite token");
  auto found = co_await ctx.read(persistence::find_invite, integrations::sha256(token));
  if (!found) co_return found.error();
  if (!*found || !(*found)->owner_may_invite)
    co_return fault{errc::not_found, "Invite not found or already used", {}, {}};
  const auto& invite = **found;
  if (invite.what.expires_at <= ctx.now())
    co_return fault{errc::gone, "Invite has expired", {}, {}};
  co_return json_reply(
      {{"email", invite.what.email},
       {"invitedBy", invite.owner_name.empty() ? invite.owner_email : invite.owner_name},
       {"expiresAt", format_iso_ms(invite.what.expires_at)},
       {"loginUrl", login_url(token, invite)}},
      200, caching::no_store);
}

task<result<response>> post_team_join(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  joining_request wanted{ctx.who().id, body->text("token"), std::string{ctx.req.client_address}};
  if (body->problem()) co_return *body->problem();
  if (!is_token(wanted.token)) co_return bad_field("token", "Invalid invite token");
  join_team asked{std::make_shared<const joining_request>(std::move(wanted))};
  auto said = co_await ctx.ask<joined_team>(ctx.app.team, asked);
  if (!said) co_return said.error();
  const auto& made = said->what->made;
  if (!made) co_return made.error();
  json::object out{{"message", "Successfully joined team"},
                   {"account_owner_id", made->owner.value},
                   {"cluster_assigned", made->cluster_assigned},
                   {"projects_assigned", texts(made->projects)}};
  if (!made->warning.empty()) out.add("warning", made->warning);
  if (!made->project_errors.empty()) out.add("project_errors", texts(made->project_errors));
  co_return written(out);
}

} // namespace binnacle::http
