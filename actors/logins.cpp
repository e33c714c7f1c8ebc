#include "actors/logins.hpp"

#include "actors/hubspot.hpp"
#include "config/base/log.hpp"
#include "integrations/oidc.hpp"
#include "integrations/tokens.hpp"
#include "integrations/vault.hpp"
#include "persistence/logins.hpp"

#include <array>
#include <caf/typed_event_based_actor.hpp>
#include <charconv>
#include <optional>

namespace binnacle {
namespace {

constexpr std::string_view purpose = "login";
constexpr std::size_t token_bytes = 32;

/// A login between its two halves, as the browser keeps it: a line each.
struct pending_login {
  std::string state{};
  std::string nonce{};
  std::string verifier{};
  std::string expires_at{}; // unix seconds
  std::string corporate_ref{};
  std::string return_to{};

  std::string text() const {
    return state + "\n" + nonce + "\n" + verifier + "\n" + expires_at + "\n" + corporate_ref +
           "\n" + return_to;
  }
};

std::optional<pending_login> read_pending(std::string_view text) {
  pending_login out;
  for (auto* line : {&out.state, &out.nonce, &out.verifier, &out.expires_at, &out.corporate_ref}) {
    auto end = text.find('\n');
    if (end == text.npos) return {};
    *line = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  out.return_to = text;
  return out;
}

time_point end_of(const pending_login& login) {
  std::int64_t seconds = 0;
  const auto& text = login.expires_at;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return from_unix(seconds);
}

fault stale(std::string why) {
  return {errc::bad_request,
          "This login was not begun in this browser, or is used or too old: log in again",
          {},
          std::move(why)};
}

result<pending_login> open_pending(const context& ctx, const login_return& back) {
  if (back.sealed.empty()) return stale("no login cookie");
  auto opened = ctx.app.vault->unseal(back.sealed, purpose);
  if (!opened) return stale("the login cookie is not ours");
  auto login = read_pending(opened->reveal());
  if (!login) return stale("the login cookie cannot be read");
  if (!constant_time_equal(login->state, back.state)) return stale("another state");
  if (ctx.now() >= end_of(*login)) return stale("too old");
  return std::move(*login);
}

result<persistence::user> resolve(persistence::transaction& tx,
                                  const persistence::external_identity& who, const user_id& fresh,
                                  time_point now) {
  auto id = persistence::resolve_identity(tx, who, fresh, now);
  if (!id) return id.error();
  auto found = persistence::find_user(tx, *id);
  if (!found) return found.error();
  if (!*found) return internal_fault("a resolved identity without a user");
  return std::move(**found);
}

result<bool> take_up(persistence::transaction& tx, const persistence::audit_entry& entry,
                     const std::string& deal, time_point now) {
  auto taken = persistence::take_up_deal(tx, entry.actor, deal, now);
  if (!taken || !*taken) return taken;
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return true;
}

task<result<bool>> sign_up_for_deal(context& ctx, user_id who, std::string verified_email,
                                    std::string deal) {
  auto belongs = co_await belongs_to_deal(ctx, deal, std::move(verified_email));
  if (!belongs || !*belongs) co_return belongs;
  persistence::audit_entry entry;
  entry.actor = who;
  entry.action = "CORPORATE_DEAL_TAKEN_UP";
  entry.target = deal;
  entry.address = ctx.req.client_address;
  co_return co_await ctx.write(take_up, entry, deal, ctx.now());
}

} // namespace

task<result<login_begun>> begin_login(context& ctx, login_wish wish) {
  find_login_provider asked;
  auto provider = co_await ctx.ask<found_login_provider>(ctx.app.login_provider, asked);
  if (!provider) co_return provider.error();
  const auto& is = ctx.app.config.identity;
  pending_login login;
  login.state = integrations::random_token(token_bytes);
  login.nonce = integrations::random_token(token_bytes);
  login.verifier = integrations::random_token(token_bytes);
  login.expires_at = std::to_string(unix_seconds(ctx.now() + login_life));
  login.corporate_ref = std::move(wish.corporate_ref);
  login.return_to = std::move(wish.return_to);
  integrations::authorization_request wanted{.redirect_uri = std::move(wish.redirect_uri),
                                             .state = login.state,
                                             .nonce = login.nonce,
                                             .verifier = login.verifier,
                                             .login_hint = std::move(wish.login_hint),
                                             .sign_up = wish.sign_up};
  integrations::login_client client{is.auth0_client_id, is.auth0_client_secret};
  login_begun out;
  out.location = integrations::authorization_url(*provider->what, client, wanted);
  out.sealed = ctx.app.vault->seal(secret{login.text()}, purpose);
  co_return out;
}

task<result<login_completed>> complete_login(context& ctx, login_return back, std::string surface) {
  auto login = open_pending(ctx, back);
  if (!login) co_return login.error();
  // Before the code is sent anywhere: whoever replays a callback has the provider see nothing.
  auto digest = integrations::sha256(login->state);
  auto spent = co_await ctx.write(persistence::spend_login, digest, end_of(*login), ctx.now());
  if (!spent) co_return spent.error();
  if (!*spent) co_return stale("used before");
  if (!back.error.empty())
    co_return fault{errc::unauthenticated, "The login was not completed", {}, back.error};
  if (back.code.empty()) co_return bad_field("code", "code is missing");
  redeem_login asked{std::move(back.code), std::move(back.redirect_uri), login->verifier,
                     login->nonce};
  auto redeemed = co_await ctx.ask<redeemed_login>(ctx.app.login_provider, asked);
  if (!redeemed && redeemed.error().code == errc::unauthenticated)
    co_return fault{errc::unauthenticated, "The login was refused", {}, redeemed.error().detail};
  if (!redeemed) co_return redeemed.error();
  const auto& claims = *redeemed->what;
  persistence::external_identity known{claims.issuer, claims.subject, claims.email,
                                       claims.email_verified, claims.name};
  auto fresh = make_id<user_id>("usr_", ctx.now());
  auto who = co_await ctx.write(resolve, known, fresh, ctx.now());
  if (!who) co_return who.error();
  if (!login->corporate_ref.empty()) {
    auto address = claims.email_verified ? claims.email : std::string{};
    auto taken = co_await sign_up_for_deal(ctx, who->id, std::move(address), login->corporate_ref);
    if (!taken || !*taken)
      log::warn(
          "no corporate deal taken up",
          {{"user", who->id.value},
           {"deal", login->corporate_ref},
           {"why", taken ? "it is not theirs, or they pay otherwise" : to_string(taken.error())}});
  }
  auto session = co_await log_in_vouched(ctx, std::move(*who), std::move(surface));
  if (!session) co_return session.error();
  login_completed out{std::move(*session), std::move(login->return_to)};
  co_return out;
}

} // namespace binnacle
