#include "actors/front_end.hpp"

#include "actors/mailboxes.hpp"
#include "actors/rejections.hpp"
#include "actors/route.hpp"
#include "actors/session.hpp"

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_set.hpp>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <functional>
#include <string_view>

namespace binnacle {
namespace {

/// The sessions are kept in so many slices. Idle ones are looked for in one slice a second, so that
/// neither a sweep over a million sessions nor the growth of their table holds up a request.
constexpr std::size_t slices = 32;
constexpr seconds slice_interval{1};

struct entry {
  std::shared_ptr<resident> is{};
  session_actor session{};
};

struct key_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  std::size_t operator()(const entry& e) const { return (*this)(e.is->key); }
};
struct same_key {
  using is_transparent = void;
  static std::string_view of(std::string_view key) { return key; }
  static std::string_view of(const entry& e) { return e.is->key; }
  bool operator()(const auto& a, const auto& b) const { return of(a) == of(b); }
};
/// By key, which is in the block that the session shares.
using table = boost::unordered_flat_set<entry, key_hash, same_key>;

struct front_end_state {
  explicit front_end_state(front_end_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "front-end";

  void receive(ticket t) {
    auto& x = *t;
    if (needs_identity(x)) {
      mailboxes::identity().Increment();
      self->send(app->identity, incoming{std::move(t)});
      return;
    }
    if (x.credential_rejected) x.presented.reset();
    hand_over(std::move(t));
  }

  /// Some routes look at no credential, or at one that is no user's; and a request comes back from
  /// its session only once.
  bool needs_identity(const exchange& x) const {
    if (x.credential_rejected || x.presented || ignores_credentials(x.matched->who)) return false;
    return !x.req.at(field::authorization).empty() ||
           !session_cookie_of(x.req, *x.matched->face).empty();
  }

  void hand_over(ticket t) {
    auto& x = *t;
    auto session = session_for(x);
    auto link = std::make_shared<session_link>();
    link->authorization = x.req.at(field::authorization);
    link->cookie = session_cookie_of(x.req, *x.matched->face);
    link->address = x.req.client_address;
    link->face = x.matched->face;
    link->who = x.presented;
    link->session = session;
    link->reusable = x.presented || (link->authorization.empty() && link->cookie.empty());
    x.link = std::move(link);
    x.pass_on();
    mailboxes::sessions().Increment();
    self->send(session, incoming{std::move(t)});
  }

  session_actor session_for(const exchange& x) {
    auto key = x.presented ? resident::key_of(x.presented->who)
                           : resident::key_of_address(x.req.client_address);
    auto& among = slice_of(key);
    if (auto found = among.find(key); found != among.end()) {
      // A request that was lent out before and comes again found its session ended.
      auto ended = x.link && x.link->session == found->session && !x.begun();
      if (!ended) return found->session;
      among.erase(found);
    }
    auto now = static_cast<std::uint32_t>(unix_seconds(app->time->now()));
    auto fresh = std::make_shared<resident>(std::move(key), now);
    auto session = spawn_session(self->system(), *app, fresh);
    among.insert({std::move(fresh), session});
    return session;
  }

  table& slice_of(std::string_view key) { return sessions[key_hash{}(key) % slices]; }

  std::size_t resident_sessions() const {
    std::size_t sum = 0;
    for (auto& each : sessions) sum += each.size();
    return sum;
  }

  void send_to_all(const auto& message) {
    for (auto& each : sessions)
      for (auto& e : each) self->send(e.session, message);
  }

  void pass_on(const changed& c) {
    if (std::ranges::any_of(c.what, [](const persistence::change& change) {
          return change.what == persistence::topic::identity;
        }))
      self->send(app->identity, c);
    // One user: only that session. Everybody: all of them.
    std::vector<persistence::change> for_all;
    for (auto& change : c.what) {
      if (change.who.empty()) {
        for_all.push_back(change);
        continue;
      }
      auto key = resident::key_of(change.who);
      auto& among = slice_of(key);
      if (auto found = among.find(key); found != among.end())
        self->send(found->session, changed{{change}, c.early});
    }
    if (!for_all.empty()) send_to_all(changed{for_all, c.early});
  }

  void sweep_slice() {
    self->delayed_send(front_end_actor{self}, slice_interval, sweep{});
    auto now = static_cast<std::uint32_t>(unix_seconds(app->time->now()));
    auto limit_of = [](milliseconds d) {
      return static_cast<std::uint32_t>(std::chrono::ceil<seconds>(d).count());
    };
    auto idle = limit_of(app->config.session.idle);
    auto cache_idle = limit_of(app->config.session.cache_idle);
    for (auto& e : sessions[slice]) {
      auto last = e.is->last_use.load(std::memory_order_relaxed);
      auto unused = now > last ? now - last : 0;
      if (unused >= idle)
        self->send(e.session, passivate{});
      else if (unused >= cache_idle && unused < cache_idle + slices + 1)
        self->send(e.session, trim{});
    }
    slice = (slice + 1) % slices;
  }

  void forget(const std::string& key) {
    slice_of(key).erase(key);
    finish_drain();
  }

  caf::result<drained> drain_all() {
    draining = self->make_response_promise<drained>();
    drained_sessions = resident_sessions();
    send_to_all(passivate{});
    auto reply = *draining;
    finish_drain();
    return reply;
  }

  void finish_drain() {
    if (!draining || resident_sessions() != 0) return;
    draining->deliver(drained{drained_sessions});
    draining.reset();
  }

  front_end_actor::pointer self;
  services* app = nullptr;
  std::array<table, slices> sessions{};
  std::size_t slice = 0;
  std::optional<caf::typed_response_promise<drained>> draining{};
  std::uint64_t drained_sessions = 0;
};

front_end_actor::behavior_type front_end(front_end_actor::stateful_pointer<front_end_state> self,
                                         services* app) {
  self->state.app = app;
  rejections(limit_class::none);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    for (auto& each : self->state.sessions)
      for (auto& e : each) self->send_exit(e.session, m.reason);
    self->quit(m.reason);
  });
  self->delayed_send(front_end_actor{self}, slice_interval, sweep{});
  return {
      [self](incoming& x) {
        mailboxes::front_end().Decrement();
        self->state.receive(std::move(x.what));
      },
      [self](authenticated& x) {
        mailboxes::front_end().Decrement();
        self->state.hand_over(std::move(x.what));
      },
      [self](const changed& c) { self->state.pass_on(c); },
      [self](const session_ended& e) { self->state.forget(e.key); },
      [self](const sweep&) { self->state.sweep_slice(); },
      [self](const drain&) { return self->state.drain_all(); },
      [](const catch_up&) { return caught_up{}; },
  };
}

} // namespace

front_end_actor spawn_front_end(caf::actor_system& system, services& app) {
  return system.spawn(front_end, &app);
}

} // namespace binnacle
