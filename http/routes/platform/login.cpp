#include "actors/admission.hpp"
#include "actors/logins.hpp"
#include "config/base/log.hpp"
#include "http/routes/cookies.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "http/routes/return_to.hpp"
#include "http/surfaces.hpp"
#include "integrations/hubspot.hpp"
#include "integrations/oidc.hpp"

#include <array>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

/// What a begun login leaves in the browser, named as Auth0's library names it.
constexpr std::string_view pending_cookie = "auth_verification";
constexpr std::string_view callback_path = "/api/auth/callback";
constexpr std::size_t longest_hint = 320;

std::string base_url(const context& ctx) {
  auto base = ctx.app.config.identity.auth0_base_url;
  if (base.empty()) base = own_origin(ctx.req, ctx.app.config);
  if (base.ends_with('/')) base.pop_back();
  return base;
}

/// An absolute URL of our front end.
std::string page(const context& ctx, std::string_view return_to) {
  return base_url(ctx) + (return_to.empty() ? "/" : escape_target(return_to));
}

/// README of the contract, decision 3: without a provider there are local accounts.
fault no_provider(const context& ctx) {
  if (ctx.app.config.identity.local_accounts)
    return {errc::not_implemented,
            "No login provider is configured: log in with POST /api/auth/login",
            {},
            {}};
  return {errc::unavailable, "No login provider is configured", {}, {}};
}

void set(const context& ctx, response& out, std::string_view name, std::string_view value,
         seconds life) {
  out.headers.emplace_back("Set-Cookie", set_cookie(ctx, name, value, life, readable::no));
}

task<result<response>> send_to_provider(context& ctx, bool sign_up) {
  if (!ctx.app.config.identity.provider_logins()) co_return no_provider(ctx);
  login_wish wish;
  wish.return_to = sanitize_return_to(ctx.req.parameter("returnTo").value_or(""));
  wish.login_hint = ctx.req.parameter("login_hint").value_or("");
  if (wish.login_hint.size() > longest_hint)
    co_return bad_field("login_hint", "login_hint is too long");
  wish.corporate_ref = ctx.req.parameter("corporateRef").value_or("");
  if (!wish.corporate_ref.empty() && !hubspot::is_id(wish.corporate_ref))
    co_return bad_field("corporateRef", "corporateRef must be 1 to 20 digits");
  wish.sign_up = sign_up || ctx.req.parameter("screen_hint") == "signup";
  wish.redirect_uri = base_url(ctx).append(callback_path);
  auto begun = co_await begin_login(ctx, std::move(wish));
  if (!begun) co_return begun.error();
  auto out = redirect(std::move(begun->location));
  set(ctx, out, pending_cookie, begun->sealed, login_life);
  co_return out;
}

/// A look with HEAD must neither use a login up nor end one (RFC 9110 §9.2.1).
response nothing_done() {
  response out;
  out.status = 204;
  out.cache = caching::no_store;
  return out;
}

/// Where the provider ends its own session, if it has such a place and tells us of it.
task<std::string> after_logout(context& ctx, std::string ours) {
  const auto& is = ctx.app.config.identity;
  if (!is.provider_logins()) co_return ours;
  find_login_provider asked;
  auto provider = co_await ctx.ask<found_login_provider>(ctx.app.login_provider, asked);
  if (!provider)
    log::warn("logged out here only", {{"why", to_string(provider.error())}});
  else if (!provider->what->end_session_endpoint.empty())
    co_return integrations::end_session_url(*provider->what, {is.auth0_client_id, {}}, ours);
  co_return ours;
}

} // namespace

task<result<response>> get_login(context& ctx) { return send_to_provider(ctx, false); }

task<result<response>> get_signup(context& ctx) { return send_to_provider(ctx, true); }

task<result<response>> get_callback(context& ctx) {
  if (!ctx.app.config.identity.provider_logins()) co_return no_provider(ctx);
  if (ctx.req.verb == method::head) co_return nothing_done();
  login_return back;
  back.sealed = ctx.req.cookie(pending_cookie);
  back.state = ctx.req.parameter("state").value_or("");
  back.code = ctx.req.parameter("code").value_or("");
  back.error = ctx.req.parameter("error").value_or("");
  back.redirect_uri = base_url(ctx).append(callback_path);
  std::string surface{platform.name};
  auto completed = co_await complete_login(ctx, std::move(back), std::move(surface));
  if (!completed) co_return completed.error();
  // The browser forgets it, so nobody could end it any more.
  secret before{std::string{ctx.req.cookie(platform.session_cookie)}};
  if (auto ended = co_await log_out(ctx, std::move(before)); !ended)
    log::warn("earlier session not ended", {{"why", to_string(ended.error())}});
  auto out = redirect(page(ctx, completed->return_to));
  auto life = std::chrono::floor<seconds>(ctx.app.config.identity.session_life);
  set(ctx, out, platform.session_cookie, completed->session.token.reveal(), life);
  set(ctx, out, pending_cookie, {}, seconds{0});
  co_return out;
}

task<result<response>> get_logout(context& ctx) {
  auto back = sanitize_return_to(ctx.req.parameter("returnTo").value_or(""));
  auto ours = page(ctx, back);
  if (ctx.req.verb == method::head) co_return redirect(std::move(ours)); // which ends nothing
  // A browser may hold a login through the provider and one of a local account.
  const std::array logins{platform.session_cookie, platform.other_session_cookies.front()};
  for (auto name : logins) {
    secret token{std::string{ctx.req.cookie(name)}};
    auto ended = co_await log_out(ctx, std::move(token));
    if (!ended) co_return ended.error();
  }
  auto out = redirect(co_await after_logout(ctx, std::move(ours)));
  for (auto name : logins)
    if (name == platform.session_cookie || !ctx.req.cookie(name).empty())
      set(ctx, out, name, {}, seconds{0});
  co_return out;
}

} // namespace binnacle::http
