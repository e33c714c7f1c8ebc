#include "actors/api_keys.hpp"

#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/replies.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

using project_id = developer_project_id;

constexpr std::ptrdiff_t longest_name = 100; // in characters
constexpr std::size_t most_scopes = 32;
constexpr std::size_t longest_scope = 64;

constexpr const char* shown_once = "The client secret is shown only once. Please save it securely.";

json::value time(const std::optional<time_point>& t) {
  return t ? json::value{format_iso_s(*t)} : json::value{};
}

const char* status_of(const persistence::api_key& k) { return k.revoked_at ? "revoked" : "active"; }

/// None when it is over.
std::optional<time_point> previous_until(const persistence::api_key& k, time_point now) {
  return k.previous_until && *k.previous_until > now && !k.revoked_at ? k.previous_until
                                                                      : std::nullopt;
}

json::array to_json(const std::vector<std::string>& scopes) {
  return {scopes.begin(), scopes.end()};
}

json::object to_json(const persistence::api_key& k, time_point now) {
  return {{"id", k.id},
          {"name", k.name},
          {"clientId", k.client_id},
          {"clientSecretMasked", masked(k.secret_last)},
          {"status", status_of(k)},
          {"scopes", to_json(k.scopes)},
          {"previousSecretExpiresAt", time(previous_until(k, now))},
          {"lastUsedAt", time(k.last_used_at)},
          {"createdAt", format_iso_s(k.created_at)},
          {"revokedAt", time(k.revoked_at)}};
}

/// The only answer with a secret in it.
response with_secret(const fresh_key& k, time_point now, int status) {
  json::object data{{"id", k.is.id},
                    {"name", k.is.name},
                    {"clientId", k.is.client_id},
                    {"clientSecret", k.client_secret.reveal()},
                    {"status", status_of(k.is)},
                    {"scopes", to_json(k.is.scopes)},
                    {"previousSecretExpiresAt", time(previous_until(k.is, now))},
                    {"createdAt", format_iso_s(k.is.created_at)}};
  return written({{"data", std::move(data)}, {"warning", shown_once}}, status);
}

bool is_name(std::string_view text) {
  auto characters = characters_of(text);
  return characters >= 1 && characters <= longest_name && !has_control_characters(text);
}

} // namespace

task<result<response>> get_api_keys(context& ctx) {
  project_id project{ctx.req.params.at(0)};
  auto keys = co_await ctx.read(persistence::list_api_keys, ctx.who().id, project);
  if (!keys) co_return keys.error();
  json::array data;
  for (const auto& k : *keys) data.emplace_back(to_json(k, ctx.now()));
  json::object meta{{"total", keys->size()}};
  co_return json_reply({{"data", std::move(data)}, {"meta", std::move(meta)}});
}

task<result<response>> post_api_key(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"name"});
  std::string name{trimmed(body->text("name"))};
  auto scopes =
      body->maybe_texts("scopes", most_scopes, longest_scope).value_or(std::vector<std::string>{});
  if (!is_name(name)) body->note(bad_field("name", "name must be 1 to 100 printable characters"));
  if (!std::ranges::all_of(scopes, is_scope))
    body->note(bad_field("scopes", "a scope is 1 to 64 visible ASCII characters without quotes "
                                   "and backslashes"));
  if (body->problem()) co_return *body->problem();
  std::ranges::sort(scopes);
  auto same = std::ranges::unique(scopes);
  scopes.erase(same.begin(), same.end());
  project_id project{ctx.req.params.at(0)};
  auto made = co_await create_api_key(ctx, project, name, std::move(scopes));
  if (!made) co_return made.error();
  co_return with_secret(*made, ctx.now(), 201);
}

task<result<response>> delete_api_key(context& ctx) {
  project_id project{ctx.req.params.at(0)};
  auto revoked = co_await revoke_api_key(ctx, project, ctx.req.params.at(1));
  if (!revoked) co_return revoked.error();
  json::object data{{"id", revoked->id},
                    {"status", status_of(*revoked)},
                    {"revokedAt", time(revoked->revoked_at)}};
  co_return written({{"data", std::move(data)}, {"message", "API key has been revoked"}});
}

task<result<response>> post_rotate_api_key(context& ctx) {
  auto body = json_fields::of_optional(ctx.req);
  if (!body) co_return body.error();
  seconds grace{body->maybe_integer("gracePeriodSeconds", 0, longest_grace.count())
                    .value_or(usual_grace.count())};
  if (body->problem()) co_return *body->problem();
  project_id project{ctx.req.params.at(0)};
  auto rotated = co_await rotate_api_key(ctx, project, ctx.req.params.at(1), grace);
  if (!rotated) co_return rotated.error();
  co_return with_secret(*rotated, ctx.now(), 200);
}

// Its status is the verdict, so that a caller who looks at nothing else is on the safe side.
task<result<response>> post_verify_key(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"clientId", "clientSecret"});
  key_question asked;
  asked.client_id = body->text("clientId");
  asked.client_secret = body->secret("clientSecret");
  asked.scopes = body->text("scope");
  if (body->problem()) co_return *body->problem();
  auto found = verify_at_hand(ctx, asked);
  if (!found) found = co_await verify_key(ctx, asked);
  if (!*found) co_return found->error();
  const auto& good = **found;
  response out;
  out.cache = caching::no_store;
  out.body.append("{\"data\":{").append(good.key->told).append(",\"secretExpiresAt\":");
  out.body.append(json::to_text(time(good.secret_until))).append("}}");
  co_return out;
}

} // namespace binnacle::http
