#include "actors/identity.hpp"

#include "actors/admission.hpp"
#include "actors/async.hpp"
#include "actors/issuer_keys.hpp"
#include "actors/mailboxes.hpp"
#include "actors/rejections.hpp"
#include "actors/route.hpp"
#include "actors/sliding_window.hpp"
#include "actors/subject_cache.hpp"
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
#include <unordered_set>

namespace binnacle {
namespace {

constexpr std::size_t most_known_subjects = 100'000;
/// Requests that wait for the keys of one issuer.
constexpr std::size_t most_waiting = 1'000;
/// Digests of cookies, and addresses they came from.
constexpr std::size_t most_unknown_cookies = 10'000;

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
  key_fetcher_actor fetcher{}; // each has its own: one that hangs holds up no other
  issuer_keys keys{};
  std::vector<ticket> waiting{}; // for the keys
};

struct identity_state : actor_scope<identity_actor::base> {
  static inline constexpr const char* name = "identity";
  explicit identity_state(identity_actor::pointer s) : actor_scope{s} {}
  ~identity_state() { clear(); }

  void examine(ticket t) {
    t->begin();
    if (auto token = bearer_of(t->req); !token.empty()) return examine_token(std::move(t), token);
    auto cookie = session_cookie_of(t->req, *t->matched->face);
    if (t->req.at(field::authorization).empty() && !cookie.empty()) {
      auto digest = integrations::sha256(cookie);
      if (unknown_cookies.contains(digest)) return pass(std::move(t), nullptr);
      if (!may_look_for_cookie(*t, app->time->now())) return answer_fault(*t, {errc::rate_limited});
      adopt(examine_cookie(std::move(t), std::move(digest)));
      return;
    }
    pass(std::move(t), nullptr);
  }

  void examine_token(ticket t, std::string_view token) {
    auto preview = integrations::preview_token(token);
    if (!preview) return pass(std::move(t), nullptr);
    if (preview->issuer == own.issuer && accepts_own(*t->matched->face, app->config.identity))
      return accept_own(std::move(t), token);
    for (std::size_t i = 0; i < issuers.size(); ++i)
      if (issuers[i].is.issuer == preview->issuer && serves(issuers[i].is, *t->matched->face))
        return accept_external(std::move(t), i, *preview, token);
    pass(std::move(t), nullptr);
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
    auto advice = from.keys.look_for(preview.kid, now);
    if (advice.fetch) fetch(index);
    switch (advice.what) {
    case issuer_keys::outlook::known:
      break;
    case issuer_keys::outlook::coming:
      if (from.waiting.size() >= most_waiting)
        return answer_fault(*t, {errc::overloaded, {}, {}, "too many wait for keys"});
      return from.waiting.push_back(std::move(t));
    case issuer_keys::outlook::unknown:
      return pass(std::move(t), nullptr);
    case issuer_keys::outlook::unavailable:
      return answer_fault(*t, {errc::unavailable, {}, {}, "no keys of issuer " + from.is.issuer});
    }
    auto claims = integrations::verify_token(token, from.is, from.keys.keys(), now,
                                             app->config.identity.clock_leeway);
    if (!claims) return reject(std::move(t), claims);
    adopt(resolve_subject(std::move(t), std::move(*claims)));
  }

  detached_frame resolve_subject(ticket t, integrations::token_claims claims) {
    try {
      auto subject = claims.issuer + "\n" + claims.subject;
      distrust_after_a_gap();
      user_id who;
      if (auto* known = subjects.find(subject)) {
        who = *known;
      } else {
        auto seen = changes_seen;
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
        // Changed while we read: what we have may be the old row.
        if (seen == changes_seen && app->listening.load(std::memory_order_acquire))
          subjects.remember(subject, who);
      }
      auto found = std::make_shared<credential>();
      found->what = credential::kind::external_token;
      found->who = std::move(who);
      found->issuer = claims.issuer;
      found->subject = std::move(claims.subject);
      found->email = std::move(claims.email);
      found->expires_at = claims.expires_at;
      pass(std::move(t), std::move(found));
    } catch (const std::exception& e) {
      answer_fault(*t, internal_fault(e.what()));
    }
  }

  /// While nobody listens for changes, what is remembered may be stale at any moment.
  void distrust_after_a_gap() {
    auto newest = app->change_generation.load(std::memory_order_acquire);
    if (app->listening.load(std::memory_order_acquire) && generation == newest) return;
    generation = newest;
    ++changes_seen;
    subjects.clear();
  }

  void forget_changed(const changed& c) {
    ++changes_seen;
    for (auto& change : c.what) {
      if (change.what != persistence::topic::identity) continue;
      change.who.empty() ? subjects.clear() : subjects.forget(change.who);
    }
  }

  /// Looking for a cookie costs a query, before anybody's window is asked. One that nobody has will
  /// never be anybody's; of those, an address may bring so many a minute. When it has brought too
  /// many, a cookie from there is looked for later.
  bool may_look_for_cookie(exchange& x, time_point now) {
    auto of = strangers.find(x.req.client_address);
    if (of == strangers.end()) return true;
    auto limit = limit_of_unknown_cookies();
    auto said = of->second.admit(limit, now);
    if (said.admitted)
      of->second.take_back();
    else {
      x.limit = report_of(limit_class::unknown_cookies, limit, said, now);
      rejections(limit_class::unknown_cookies).Increment();
    }
    return said.admitted;
  }

  void note_unknown_cookie(const exchange& x, const std::string& digest, time_point now) {
    if (unknown_cookies.size() >= most_unknown_cookies) unknown_cookies.clear();
    unknown_cookies.insert(digest);
    auto limit = limit_of_unknown_cookies();
    if (strangers.size() >= most_unknown_cookies)
      std::erase_if(strangers, [&](const auto& s) { return s.second.expired(limit, now); });
    if (strangers.size() >= most_unknown_cookies) strangers.clear();
    strangers[x.req.client_address].admit(limit, now);
  }

  const rate_limit& limit_of_unknown_cookies() const {
    return app->config.limits[static_cast<std::size_t>(limit_class::unknown_cookies)];
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
        note_unknown_cookie(*t, digest, app->time->now());
        pass(std::move(t), nullptr);
        co_return;
      }
      const auto& face = *t->matched->face;
      if ((*login)->surface != face.name && !accepts_own(face, app->config.identity)) {
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
    self()
        ->request(issuers[index].fetcher, app->config.http.request_timeout, fetch_keys{index})
        .then([this, index](const fetched_keys& k) { receive_keys(index, k); },
              [this, index](const caf::error&) { receive_keys(index, fetched_keys{}); });
  }

  void receive_keys(std::size_t index, const fetched_keys& k) {
    auto& from = issuers[index];
    auto parsed = integrations::key_set::parse(k.document);
    auto good = !k.document.empty() && parsed;
    if (!good) log::error("no keys from issuer", {{"issuer", from.is.issuer}});
    from.keys.end_fetch(good ? *parsed : nullptr, seconds{k.lifetime_seconds}, app->time->now());
    for (auto& t : std::exchange(from.waiting, {})) examine_again(std::move(t));
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
    out.limit = x.limit;
    out.log_detail = to_string(f);
    x.answer(std::move(out));
  }

  services* app = nullptr;
  issuer_settings own{};
  std::shared_ptr<const integrations::key_set> own_keys{};
  std::vector<trusted_issuer> issuers{};
  subject_cache subjects{most_known_subjects};
  std::uint64_t generation = 0;
  std::uint64_t changes_seen = 0;
  std::unordered_set<std::string> unknown_cookies{};           // digests
  std::unordered_map<std::string, sliding_window> strangers{}; // by address
};

identity_actor::behavior_type identity(identity_actor::stateful_pointer<identity_state> self,
                                       services* app,
                                       const std::vector<key_fetcher_actor>& fetchers) {
  auto& state = self->state;
  state.app = app;
  state.own = {.issuer = app->config.identity.issuer, .audience = app->config.identity.issuer};
  state.own_keys = app->signer->public_keys();
  auto& trusted = app->config.identity.issuers;
  for (std::size_t i = 0; i < trusted.size(); ++i)
    state.issuers.push_back({.is = trusted[i], .fetcher = fetchers.at(i)});
  return {[self](incoming& x) {
            mailboxes::identity().Decrement();
            self->state.examine(std::move(x.what));
          },
          [self](const changed& c) { self->state.forget_changed(c); }};
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

identity_actor spawn_identity(caf::actor_system& system, services& app,
                              const std::vector<key_fetcher_actor>& fetchers) {
  return system.spawn(identity, &app, fetchers);
}

key_fetcher_actor spawn_key_fetcher(caf::actor_system& system, services& app) {
  return system.spawn<caf::detached>(key_fetcher, &app);
}

} // namespace binnacle
