#include "actors/accounts.hpp"
#include "actors/token_pairs.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/replies.hpp"
#include "http/surfaces.hpp"
#include "persistence/project_users.hpp"

namespace binnacle::http {
namespace {

/// What a login with a password counts as at a project.
constexpr auto provider = "email";

struct developer_login {
  password_login who{};
  developer_project_id project{}; // empty: none
};

result<developer_login> read_login(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return body.error();
  developer_login out;
  out.who.username = body->text("username");
  out.who.email = lower_case(trimmed(body->text("email")));
  if (out.who.username.empty() && out.who.email.empty())
    body->require({"username", "password"});
  else
    body->require({"password"});
  out.who.password = body->secret("password");
  out.who.surface = developer.name;
  out.project.value = body->text("projectId");
  if (body->problem()) return *body->problem();
  return out;
}

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

} // namespace

task<result<response>> post_developer_login(context& ctx) {
  auto given = read_login(ctx.req);
  if (!given) co_return given.error();
  login_note at_project;
  if (!given->project.empty())
    at_project = [project = given->project](persistence::transaction& tx,
                                            const persistence::user& who, time_point now) {
      return persistence::record_project_login(tx, project, {who.id, who.email, provider}, now);
    };
  auto who = co_await prove_login(ctx, given->who, at_project);
  if (!who) co_return who.error();
  auto tokens = co_await issue_tokens(ctx, *who);
  if (!tokens) co_return tokens.error();
  json::object user{{"id", who->id.value},
                    {"username", text_or_null(who->username)},
                    {"email", text_or_null(who->email)}};
  co_return written({{"accessToken", std::string{tokens->access.reveal()}},
                     {"refreshToken", std::string{tokens->refresh.reveal()}},
                     {"user", std::move(user)}});
}

} // namespace binnacle::http
