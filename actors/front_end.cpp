#include "actors/front_end.hpp"

#include "actors/mailboxes.hpp"
#include "actors/rejections.hpp"
#include "actors/route.hpp"
#include "actors/session.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <unordered_map>

namespace binnacle {
namespace {

/// The idle ones are looked for in so many slices, one a second, so that a sweep over a million
/// sessions never holds up a request.
constexpr std::size_t slices = 32;
constexpr seconds slice_interval{1};

struct resident {
  session_actor session{};
  std::shared_ptr<last_use> used{};
};

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
    auto cookie = x.matched->face->session_cookie;
    return !x.req.at(field::authorization).empty() ||
           (!cookie.empty() && !x.req.cookie(cookie).empty());
  }

  void hand_over(ticket t) {
    auto& x = *t;
    session_key key;
    if (x.presented)
      key.who = x.presented->who;
    else
      key.address = x.req.client_address;
    auto text = key.text();
    auto& slot = sessions[text];
    // A request that was lent out before and comes again found its session ended.
    if (slot.session && x.link && x.link->session == slot.session && !x.begun()) slot = {};
    if (!slot.session) {
      slot.used =
          std::make_shared<last_use>(static_cast<std::uint32_t>(unix_seconds(app->time->now())));
      slot.session = spawn_session(self->system(), *app, std::move(key), slot.used);
    }
    auto link = std::make_shared<session_link>();
    link->authorization = x.req.at(field::authorization);
    auto cookie = x.matched->face->session_cookie;
    if (!cookie.empty()) link->cookie = x.req.cookie(cookie);
    link->address = x.req.client_address;
    link->face = x.matched->face;
    link->who = x.presented;
    link->session = slot.session;
    link->reusable = x.presented || (link->authorization.empty() && link->cookie.empty());
    x.link = std::move(link);
    x.pass_on();
    mailboxes::sessions().Increment();
    self->send(slot.session, incoming{std::move(t)});
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
      auto found = sessions.find("user:" + change.who.value);
      if (found != sessions.end()) self->send(found->second.session, changed{{change}});
    }
    if (for_all.empty()) return;
    for (auto& [key, slot] : sessions) self->send(slot.session, changed{for_all});
  }

  void sweep_slice() {
    self->delayed_send(front_end_actor{self}, slice_interval, sweep{});
    auto now = static_cast<std::uint32_t>(unix_seconds(app->time->now()));
    auto limit_of = [](milliseconds d) {
      return static_cast<std::uint32_t>(std::chrono::ceil<seconds>(d).count());
    };
    auto idle = limit_of(app->config.session.idle);
    auto cache_idle = limit_of(app->config.session.cache_idle);
    auto buckets = sessions.bucket_count();
    auto from = buckets * slice / slices, to = buckets * (slice + 1) / slices;
    slice = (slice + 1) % slices;
    for (auto b = from; b < to; ++b)
      for (auto it = sessions.begin(b); it != sessions.end(b); ++it) {
        auto last = it->second.used->load(std::memory_order_relaxed);
        auto unused = now > last ? now - last : 0;
        if (unused >= idle)
          self->send(it->second.session, passivate{});
        else if (unused >= cache_idle && unused < cache_idle + slices + 1)
          self->send(it->second.session, trim{});
      }
  }

  void forget(const std::string& key) {
    sessions.erase(key);
    finish_drain();
  }

  caf::result<drained> drain_all() {
    draining = self->make_response_promise<drained>();
    drained_sessions = sessions.size();
    for (auto& [key, slot] : sessions) self->send(slot.session, passivate{});
    auto reply = *draining;
    finish_drain();
    return reply;
  }

  void finish_drain() {
    if (!draining || !sessions.empty()) return;
    draining->deliver(drained{drained_sessions});
    draining.reset();
  }

  front_end_actor::pointer self;
  services* app = nullptr;
  std::unordered_map<std::string, resident> sessions{};
  std::size_t slice = 0;
  std::optional<caf::typed_response_promise<drained>> draining{};
  std::uint64_t drained_sessions = 0;
};

front_end_actor::behavior_type front_end(front_end_actor::stateful_pointer<front_end_state> self,
                                         services* app) {
  self->state.app = app;
  rejections(limit_class::none);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    for (auto& [key, slot] : self->state.sessions) self->send_exit(slot.session, m.reason);
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
      [self](const get_status&) {
        return status{{{"sessions", static_cast<std::int64_t>(self->state.sessions.size())}}};
      },
  };
}

} // namespace

front_end_actor spawn_front_end(caf::actor_system& system, services& app) {
  return system.spawn(front_end, &app);
}

} // namespace binnacle
