#include "actors/identity.hpp"

#include "actors/async.hpp"
#include "actors/mailboxes.hpp"
#include "actors/route.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "integrations/http_client.hpp"
#include "integrations/tokens.hpp"
#include "persistence/database.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <strings.h>
#include <unordered_map>

namespace binnacle {
namespace {

/// An unknown `kid` makes us fetch again, but nobody can make us fetch more often than this.
constexpr seconds refetch_interval{30};
constexpr seconds retry_interval{1};
constexpr std::size_t most_known_subjects = 100'000;

std::string_view bearer_of(const request& req) {
  constexpr std::string_view scheme = "Bearer ";
  auto header = req.at(field::authorization);
  if (header.size() <= scheme.size() ||
      ::strncasecmp(header.data(), scheme.data(), scheme.size()) != 0)
    return {};
  return header.substr(scheme.size());
}

struct trusted_issuer {
  issuer_settings is{};
  std::shared_ptr<const integrations::key_set> keys{};
  time_point fresh_until{};
  time_point fetched_at{};
  time_point refetched_at{}; // because of an unknown kid
  bool fetching = false;
  std::vector<ticket> waiting{}; // for the keys
};

struct identity_state : actor_scope<identity_actor::base> {
  static inline constexpr const char* name = "identity";
  explicit identity_state(identity_actor::pointer s) : actor_scope{s} {}
  ~identity_state() { clear(); }

  void examine(ticket t) {
    t->begin();
    if (auto token = bearer_of(t->req); !token.empty()) return examine_token(std::move(t), token);
    auto cookie = t->req.cookie(t->matched->face->session_cookie);
    if (t->req.at(field::authorization).empty() && !cookie.empty()) {
      adopt(examine_cookie(std::move(t), integrations::sha256(cookie)));
      return;
    }
    pass(std::move(t), nullptr);
  }

  void examine_token(ticket t, std::string_view token) {
    auto preview = integrations::preview_token(token);
    if (!preview) return pass(std::move(t), nullptr);
    auto surface_name = t->matched->face->name;
    auto serves = [&](const issuer_settings& i) {
      return i.surfaces.empty() || std::ranges::find(i.surfaces, surface_name) != i.surfaces.end();
    };
    if (preview->issuer == own.issuer && accepts_own(surface_name))
      return accept_own(std::move(t), token);
    for (std::size_t i = 0; i < issuers.size(); ++i)
      if (issuers[i].is.issuer == preview->issuer && serves(issuers[i].is))
        return accept_external(std::move(t), i, *preview, token);
    pass(std::move(t), nullptr);
  }

  /// Our own tokens are good where local accounts are, and wherever no other issuer is configured.
  bool accepts_own(std::string_view surface_name) const {
    if (surface_name == "gateway" || surface_name == "developer") return true;
    return std::ranges::none_of(issuers, [&](const trusted_issuer& i) {
      return i.is.surfaces.empty() ||
             std::ranges::find(i.is.surfaces, surface_name) != i.is.surfaces.end();
    });
  }

  void accept_own(ticket t, std::string_view token) {
    auto claims = integrations::verify_token(token, own, *own_keys, app->time->now(),
                                             app->config.identity.clock_leeway);
    if (!claims || claims->kind != "access") return reject(std::move(t), claims);
    auto found = std::make_shared<credential>();
    found->what = credential::kind::own_token;
    found->who = user_id{claims->subject};
    found->issuer = claims->issuer;
    found->session_version = claims->session_version;
    found->expires_at = claims->expires_at;
    pass(std::move(t), std::move(found));
  }

  void accept_external(ticket t, std::size_t index, const integrations::token_preview& preview,
                       std::string_view token) {
    auto& from = issuers[index];
    auto now = app->time->now();
    auto known = from.keys && from.keys->has(preview.kid);
    auto stale = now >= from.fresh_until;
    // One more fetch for an unknown kid at once, as its issuer may just have changed keys; then
    // not again for a while. After a failure, a second's pause.
    auto rested = now - from.fetched_at >= retry_interval;
    auto may_fetch = stale ? rested : now - from.refetched_at >= refetch_interval;
    if ((stale || !known) && (may_fetch || from.fetching)) {
      if (!stale) from.refetched_at = now;
      from.waiting.push_back(std::move(t));
      fetch(index);
      return;
    }
    if (!from.keys)
      return answer_fault(*t, {errc::unavailable, {}, {}, "no keys of issuer " + from.is.issuer});
    if (!known) return pass(std::move(t), nullptr);
    auto claims = integrations::verify_token(token, from.is, *from.keys, now,
                                             app->config.identity.clock_leeway);
    if (!claims) return reject(std::move(t), claims);
    adopt(resolve_subject(std::move(t), std::move(*claims)));
  }

  detached_frame resolve_subject(ticket t, integrations::token_claims claims) {
    try {
      auto subject = claims.issuer + "\n" + claims.subject;
      auto known = subjects.find(subject);
      user_id who;
      if (known != subjects.end()) {
        who = known->second;
      } else {
        auto now = app->time->now();
        auto body =
            bind_sql(persistence::resolve_identity,
                     persistence::external_identity{claims.issuer, claims.subject, claims.email,
                                                    claims.email_verified, claims.name},
                     make_id<user_id>("usr_", now), now);
        auto resolved =
            co_await storage_call<user_id>{*this, app->storage, app->config.http.request_timeout,
                                           persistence::access::write, std::move(body)};
        if (!resolved) {
          answer_fault(*t, resolved.error());
          co_return;
        }
        who = *resolved;
        if (subjects.size() >= most_known_subjects) subjects.clear();
        subjects.emplace(std::move(subject), who);
      }
      auto found = std::make_shared<credential>();
      found->what = credential::kind::external_token;
      found->who = std::move(who);
      found->issuer = claims.issuer;
      found->expires_at = claims.expires_at;
      pass(std::move(t), std::move(found));
    } catch (const std::exception& e) {
      answer_fault(*t, internal_fault(e.what()));
    }
  }

  detached_frame examine_cookie(ticket t, std::string digest) {
    try {
      auto body = bind_sql(persistence::find_login_session, digest, app->time->now());
      auto login = co_await storage_call<std::optional<persistence::login_session>>{
          *this, app->storage, app->config.http.request_timeout, persistence::access::read,
          std::move(body)};
      if (!login) {
        answer_fault(*t, login.error());
        co_return;
      }
      if (!*login) {
        pass(std::move(t), nullptr);
        co_return;
      }
      auto found = std::make_shared<credential>();
      found->what = credential::kind::cookie;
      found->who = (*login)->who;
      found->session_version = (*login)->session_version;
      found->cookie_digest = std::move(digest);
      found->expires_at = (*login)->expires_at;
      pass(std::move(t), std::move(found));
    } catch (const std::exception& e) {
      answer_fault(*t, internal_fault(e.what()));
    }
  }

  void fetch(std::size_t index) {
    auto& from = issuers[index];
    if (std::exchange(from.fetching, true)) return;
    self()
        ->request(fetcher, app->config.http.request_timeout, fetch_keys{index})
        .then([this, index](const fetched_keys& k) { receive_keys(index, k); },
              [this, index](const caf::error&) { receive_keys(index, fetched_keys{}); });
  }

  void receive_keys(std::size_t index, const fetched_keys& k) {
    auto& from = issuers[index];
    from.fetching = false;
    from.fetched_at = app->time->now();
    if (auto keys = integrations::key_set::parse(k.document); !k.document.empty() && keys) {
      from.keys = std::move(*keys);
      from.fresh_until = from.fetched_at + seconds{k.lifetime_seconds};
    } else {
      log::error("no keys from issuer", {{"issuer", from.is.issuer}});
    }
    for (auto& t : std::exchange(from.waiting, {})) {
      if (!from.keys)
        answer_fault(*t, {errc::unavailable, {}, {}, "no keys of issuer " + from.is.issuer});
      else
        examine_again(std::move(t));
    }
  }

  void examine_again(ticket t) {
    auto token = bearer_of(t->req); // before `t` is moved from
    examine_token(std::move(t), token);
  }

  void reject(ticket t, const result<integrations::token_claims>& why) {
    if (!why) log::debug("token refused", {{"request_id", t->id}, {"why", why.error().detail}});
    pass(std::move(t), nullptr);
  }

  void pass(ticket t, std::shared_ptr<const credential> found) {
    // Unaccepted: anonymous from here on, and not to be examined again.
    t->credential_rejected = !found;
    t->presented = std::move(found);
    mailboxes::front_end().Increment();
    self()->send(app->front_end, authenticated{std::move(t)});
  }

  void answer_fault(exchange& x, const fault& f) {
    auto out = x.matched->face->render(f, x);
    out.log_detail = to_string(f);
    x.answer(std::move(out));
  }

  services* app = nullptr;
  key_fetcher_actor fetcher{};
  issuer_settings own{};
  std::shared_ptr<const integrations::key_set> own_keys{};
  std::vector<trusted_issuer> issuers{};
  std::unordered_map<std::string, user_id> subjects{};
};

identity_actor::behavior_type identity(identity_actor::stateful_pointer<identity_state> self,
                                       services* app, key_fetcher_actor fetcher) {
  auto& state = self->state;
  state.app = app;
  state.fetcher = std::move(fetcher);
  state.own = {.issuer = app->config.identity.issuer, .audience = app->config.identity.issuer};
  state.own_keys = app->signer->public_keys();
  for (auto& issuer : app->config.identity.issuers) state.issuers.push_back({.is = issuer});
  return {[self](incoming& x) {
    mailboxes::identity().Decrement();
    self->state.examine(std::move(x.what));
  }};
}

struct fetcher_state {
  explicit fetcher_state(key_fetcher_actor::pointer) {}
  static inline constexpr const char* name = "key-fetcher";
  integrations::http_client client{};
};

key_fetcher_actor::behavior_type
key_fetcher(key_fetcher_actor::stateful_pointer<fetcher_state> self, services* app) {
  return {[self, app](const fetch_keys& f) {
    fetched_keys out{.issuer = f.issuer};
    integrations::http_call call;
    call.url = app->config.identity.issuers.at(f.issuer).keys_url;
    call.deadline = seconds{10};
    call.max_body = 1'048'576;
    auto answer = self->state.client.send(call);
    auto good = answer && answer->status == 200;
    metrics::counter("binnacle_upstream_calls_total", "Calls to upstreams",
                     {{"upstream", "jwks"}, {"outcome", good ? "success" : "failure"}})
        .Increment();
    if (good) {
      out.lifetime_seconds = integrations::keys_lifetime(answer->header("cache-control")).count();
      out.document = std::move(answer->body);
    }
    return out;
  }};
}

} // namespace

identity_actor spawn_identity(caf::actor_system& system, services& app, key_fetcher_actor fetcher) {
  return system.spawn(identity, &app, std::move(fetcher));
}

key_fetcher_actor spawn_key_fetcher(caf::actor_system& system, services& app) {
  return system.spawn<caf::detached>(key_fetcher, &app);
}

} // namespace binnacle
