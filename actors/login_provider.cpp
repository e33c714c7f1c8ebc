#include "actors/login_provider.hpp"

#include "actors/async.hpp"
#include "actors/http_upstream.hpp"
#include "actors/issuer_keys.hpp"
#include "config/base/log.hpp"
#include "integrations/oidc.hpp"
#include "integrations/tokens.hpp"
#include "persistence/database.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

namespace binnacle {
namespace {

using integrations::http_answer;
using integrations::http_call;
using integrations::key_set;
using integrations::login_provider;
using integrations::token_claims;

constexpr hours fresh_for{1};
constexpr hours good_for{24};
constexpr std::size_t largest_key_document = 1'048'576;

fault refused(std::string why) {
  return {errc::unauthenticated, {}, {}, "ID token: " + std::move(why)};
}

/// Of whatever went wrong at the provider, the browser hears that it may try again.
fault out_of_reach(const fault& why) {
  return {errc::unavailable, "The login provider cannot be reached", {}, to_string(why)};
}

struct provider_state : actor_scope<login_provider_actor::base> {
  static inline constexpr const char* name = "login-provider";
  explicit provider_state(login_provider_actor::pointer s) : actor_scope{s} {}
  ~provider_state() { clear(); }

  template <class Reply>
  detached_frame serve(caf::typed_response_promise<Reply> reply, task<result<Reply>> work) {
    result<Reply> out{fault{}};
    try {
      out = co_await std::move(work);
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    if (out)
      reply.deliver(std::move(*out));
    else
      reply.deliver(to_error(out.error()));
  }

  template <class Reply>
  caf::result<Reply> begin(task<result<Reply>> work) {
    auto reply = self()->make_response_promise<Reply>();
    adopt(serve(reply, std::move(work)));
    return reply;
  }

  // -- the work ---------------------------------------------------------------------------------

  task<result<http_answer>> called(http_call what, bool repeatable) {
    what.deadline = is.auth0_timeout;
    auto patience = app->config.http.request_timeout;
    auto message = request_for(std::move(what), patience, repeatable);
    auto reply =
        co_await asking<upstream_answer, login_provider_actor::base, upstream_actor, call_upstream>{
            *this, self(), http, patience, std::move(message)};
    co_return answer_of(reply);
  }

  task<result<found_login_provider>> provider() {
    auto now = app->time->now();
    if (known && now < known_at + fresh_for) co_return found_login_provider{known};
    auto call = integrations::discover(is.auth0_url, is.auth0_timeout);
    auto answer = co_await called(std::move(call), true);
    auto read = read_discovery(answer);
    if (read) {
      known = std::make_shared<const login_provider>(std::move(*read));
      known_at = now;
    } else {
      log::warn("login provider not found", {{"why", to_string(read.error())}});
      if (!known || now >= known_at + good_for) co_return out_of_reach(read.error());
    }
    co_return found_login_provider{known};
  }

  result<login_provider> read_discovery(const result<http_answer>& answer) const {
    if (!answer) return answer.error();
    if (answer->status != 200)
      return fault{errc::upstream_failed, {}, {}, "status " + std::to_string(answer->status)};
    return integrations::read_login_provider(answer->body, is.auth0_url);
  }

  task<result<redeemed_login>> redeemed(redeem_login what) {
    auto found = co_await provider();
    if (!found) co_return found.error();
    auto from = found->what;
    integrations::login_client client{is.auth0_client_id, is.auth0_client_secret};
    auto call = integrations::redeem_code(*from, client, what.code, what.redirect_uri,
                                          what.verifier, is.auth0_timeout);
    auto answer = co_await called(std::move(call), false);
    if (!answer) co_return out_of_reach(answer.error());
    auto tokens = integrations::read_tokens(*answer);
    if (!tokens && tokens.error().code == errc::unauthenticated) co_return tokens.error();
    if (!tokens) {
      log::error("login provider gives no ID token", {{"why", tokens.error().detail}});
      co_return out_of_reach(tokens.error());
    }
    auto claims = co_await verified(from, std::move(tokens->id_token), std::move(what.nonce));
    if (claims && !claims->email_judged)
      claims = co_await completed(from, std::move(*claims), std::move(tokens->access_token));
    if (!claims) co_return claims.error();
    co_return redeemed_login{std::make_shared<const token_claims>(std::move(*claims))};
  }

  /// With what the provider keeps out of its ID tokens (OpenID Connect Core §5.4). Without an
  /// answer there is no login: at its first sight a user would be one without an email, for ever.
  task<result<token_claims>> completed(std::shared_ptr<const login_provider> from,
                                       token_claims claims, secret access_token) {
    if (from->userinfo_endpoint.empty() || access_token.empty()) co_return claims;
    auto call = integrations::ask_userinfo(*from, access_token, is.auth0_timeout);
    auto answer = co_await called(std::move(call), true);
    if (!answer) co_return out_of_reach(answer.error());
    auto told = integrations::read_userinfo(*answer, claims.subject);
    if (!told && told.error().code == errc::unauthenticated) co_return told.error();
    if (!told) {
      log::error("login provider does not say who it is", {{"why", told.error().detail}});
      co_return out_of_reach(told.error());
    }
    if (!told->email.empty()) {
      claims.email = std::move(told->email);
      claims.email_verified = told->email_verified;
    }
    if (claims.name.empty()) claims.name = std::move(told->name);
    co_return claims;
  }

  task<result<token_claims>> verified(std::shared_ptr<const login_provider> from, std::string token,
                                      std::string nonce) {
    auto preview = integrations::preview_token(token);
    if (!preview) co_return refused("no compact JWS");
    auto with = co_await keys_with(from->keys_url, preview->kid);
    if (!with) co_return with.error();
    issuer_settings issuer{.issuer = from->issuer,
                           .audience = is.auth0_client_id,
                           .keys_url = from->keys_url,
                           .algorithm = from->algorithm};
    auto claims =
        integrations::verify_token(token, issuer, **with, app->time->now(), is.clock_leeway);
    if (!claims) co_return claims.error();
    if (nonce.empty() || !constant_time_equal(claims->nonce, nonce))
      co_return refused("its nonce is of another login");
    if (!integrations::is_given_to(*claims, is.auth0_client_id))
      co_return refused("it was given to another client");
    // Bearer tokens of the same provider name it like this, and are the same person's.
    claims->issuer = is.auth0_issuer();
    co_return std::move(*claims);
  }

  task<result<std::shared_ptr<const key_set>>> keys_with(std::string url, std::string kid) {
    using outlook = issuer_keys::outlook;
    auto advice = keys.look_for(kid, app->time->now());
    // While another login fetches them this one does so too: logins are rare.
    if (advice.fetch || advice.what == outlook::coming) {
      http_call call;
      call.url = std::move(url);
      call.max_body = largest_key_document;
      auto answer = co_await called(std::move(call), true);
      std::shared_ptr<const key_set> fetched;
      seconds lifetime{0};
      if (answer && answer->status == 200) {
        auto parsed = key_set::parse(answer->body);
        if (parsed) fetched = *parsed;
        lifetime = integrations::keys_lifetime(answer->header("cache-control"));
      }
      if (advice.fetch) keys.end_fetch(fetched, lifetime, app->time->now());
      if (fetched) newest = fetched;
      advice.what = newest && newest->has(kid) ? outlook::known
                    : fetched                  ? outlook::unknown
                                               : outlook::unavailable;
    }
    if (advice.what == outlook::known) co_return newest;
    if (advice.what == outlook::unknown) co_return refused("unknown kid");
    co_return out_of_reach({errc::upstream_failed, {}, {}, "no keys"});
  }

  services* app = nullptr;
  upstream_actor http{};
  identity_settings is{};
  std::shared_ptr<const login_provider> known{};
  time_point known_at{};
  issuer_keys keys{};
  std::shared_ptr<const key_set> newest{}; // what `keys` has, to be held while it is used
};

login_provider_actor::behavior_type
provider(login_provider_actor::stateful_pointer<provider_state> self, services* app,
         upstream_actor http) {
  auto& state = self->state;
  state.app = app;
  state.http = std::move(http);
  state.is = app->config.identity;
  return {[self](const find_login_provider&) {
            auto& s = self->state;
            return s.begin(s.provider());
          },
          [self](const redeem_login& r) {
            auto& s = self->state;
            return s.begin(s.redeemed(r));
          }};
}

} // namespace

login_provider_actor spawn_login_provider(caf::actor_system& system, services& app,
                                          upstream_actor http) {
  return system.spawn(provider, &app, std::move(http));
}

} // namespace binnacle
