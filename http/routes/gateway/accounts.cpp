#include "actors/accounts.hpp"

#include "http/routes/body.hpp"
#include "http/routes/cookies.hpp"
#include "http/routes/gateway/handlers.hpp"
#include "http/routes/replies.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

result<password_login> read_login(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return body.error();
  body->require({"username", "password"});
  password_login out;
  out.username = body->text("username");
  out.password = body->secret("password");
  out.surface = gateway.name;
  if (body->problem()) return *body->problem();
  return out;
}

response logged_in(const context& ctx, const begun_session& session, int status) {
  json::object user{{"id", session.who.value}, {"username", session.username}};
  auto out = written({{"success", true}, {"user", std::move(user)}}, status);
  auto life = std::chrono::floor<seconds>(ctx.app.config.identity.session_life);
  out.headers.emplace_back("Set-Cookie", set_cookie(ctx, gateway.session_cookie,
                                                    session.token.reveal(), life, readable::no));
  return out;
}

} // namespace

task<result<response>> get_setup(context& ctx) {
  auto required = co_await setup_required(ctx);
  if (!required) co_return required.error();
  json::object data{{"setupRequired", *required}};
  co_return json_reply({{"data", std::move(data)}}, 200, caching::no_store);
}

task<result<response>> post_setup(context& ctx) {
  auto wanted = read_login(ctx.req);
  if (!wanted) co_return wanted.error();
  auto session = co_await set_up(ctx, *wanted);
  if (!session) co_return session.error();
  co_return logged_in(ctx, *session, 201);
}

task<result<response>> post_login(context& ctx) {
  auto given = read_login(ctx.req);
  if (!given) co_return given.error();
  auto session = co_await log_in(ctx, *given);
  if (!session) co_return session.error();
  co_return logged_in(ctx, *session, 200);
}

task<result<response>> post_logout(context& ctx) {
  secret token{std::string{ctx.req.cookie(gateway.session_cookie)}};
  auto ended = co_await log_out(ctx, token);
  if (!ended) co_return ended.error();
  auto out = written({{"success", true}});
  out.headers.emplace_back("Set-Cookie",
                           set_cookie(ctx, gateway.session_cookie, {}, seconds{0}, readable::no));
  co_return out;
}

task<result<response>> get_me(context& ctx) {
  const auto& who = ctx.who();
  json::value username;
  if (!who.username.empty()) username = json::value{who.username};
  co_return json_reply({{"id", who.id.value},
                        {"username", std::move(username)},
                        {"isAdmin", who.is_admin},
                        {"createdAt", format_iso_ms(who.created_at)}});
}

task<result<response>> post_change_password(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"currentPassword", "newPassword"});
  auto current = body->secret("currentPassword");
  auto wanted = body->secret("newPassword");
  if (body->problem()) co_return *body->problem();
  auto changed = co_await change_password(ctx, current, wanted);
  if (!changed) co_return changed.error();
  json::object data{{"success", true}};
  co_return written({{"data", std::move(data)}});
}

} // namespace binnacle::http
