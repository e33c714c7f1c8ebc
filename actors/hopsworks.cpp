#include "actors/hopsworks.hpp"

#include "actors/upstream.hpp"
#include "config/base/log.hpp"
#include "integrations/vault.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <map>

namespace binnacle {
namespace {

using answer = result<integrations::http_answer>;

constexpr caf::timespan margin = std::chrono::milliseconds{200};

hopsworks_answer reply_with(answer a) { return {std::make_shared<const answer>(std::move(a))}; }

// -- one cluster ---------------------------------------------------------------------------------

using link_actor = hopsworks_actor::extend<caf::reacts_to<caf::tick_atom>>;

struct link_target {
  cluster_id id{};
  hopsworks::site site{};
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

struct link_state {
  explicit link_state(link_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "hopsworks-link";

  struct pending {
    std::shared_ptr<const hopsworks::call> what{};
    caf::actor_clock::time_point until{};
    caf::typed_response_promise<hopsworks_answer> reply{};
  };

  caf::result<hopsworks_answer> take(const call_hopsworks& c) {
    if (is_open()) return reply_with(pause());
    if (waiting.size() >= config.queue) return errc::overloaded;
    auto reply = self->make_response_promise<hopsworks_answer>();
    waiting.push_back({c.what, self->clock().now() + c.patience, reply});
    if (waiting.size() == 1) self->send(link_actor{self}, caf::tick_atom_v);
    return reply;
  }

  /// One HTTP call for the one that is first in line. There is exactly one tick under way while
  /// calls wait.
  void attempt() {
    if (waiting.empty()) return;
    if (self->clock().now() >= waiting.front().until)
      return finish(last ? std::move(*last) : answer{fault{errc::timed_out}});
    ++attempts;
    auto request = hopsworks::to_http(*waiting.front().what, target.site, config.deadline);
    auto began = std::chrono::steady_clock::now();
    auto got = config.send(request);
    auto how = integrations::classify(got);
    observe_call("hopsworks", name_of(how), std::chrono::steady_clock::now() - began);
    using enum integrations::outcome;
    if (how == success || how == refused || is_conflict(got)) {
      breaker.succeeded(); // it is there and says what it thinks
      return finish(std::move(got));
    }
    if (auto delay = delay_after(got); delay) {
      last = std::move(got);
      self->delayed_send(link_actor{self}, *delay, caf::tick_atom_v);
      return;
    }
    fail(std::move(got));
  }

  /// Hopsworks says so of a name that is taken, which another attempt does not change.
  static bool is_conflict(const answer& got) { return got && got->status == 409; }

  std::optional<milliseconds> delay_after(const answer& got) const {
    if (breaker.is_probing() || *target.cancelled) return {}; // a probe is not repeated
    return config.retry.delay_before(attempts + 1, got, config.random());
  }

  void fail(answer got) {
    log::warn("hopsworks failed",
              {{"cluster", target.id.value},
               {"why", got ? "status " + std::to_string(got->status) : to_string(got.error())}});
    auto opens = breaker.failed(self->clock().now());
    if (opens) log::warn("hopsworks circuit opens", {{"cluster", target.id.value}});
    finish(std::move(got));
    if (opens) fail_waiting(pause());
  }

  void finish(answer out) {
    attempts = 0;
    last.reset();
    auto done = std::move(waiting.front());
    waiting.pop_front();
    done.reply.deliver(reply_with(std::move(out)));
    // By a message: an exit that has come meanwhile is seen before the next call.
    if (!waiting.empty()) self->send(link_actor{self}, caf::tick_atom_v);
  }

  void fail_waiting(const fault& why) {
    for (auto& p : std::exchange(waiting, {})) p.reply.deliver(reply_with(why));
  }

  bool is_open() const { return breaker.is_open(self->clock().now()); }
  fault pause() const {
    return {errc::unavailable,
            "Hopsworks failed " + std::to_string(breaker.failures()) +
                " times in a row; it is asked again after a pause",
            {},
            {}};
  }

  link_actor::pointer self;
  link_target target{};
  hopsworks_config config{};
  std::deque<pending> waiting{}; // the first is being worked on
  int attempts = 0;              // for the first
  std::optional<answer> last{};  // of these
  circuit_breaker breaker{};     // of calls
};

link_actor::behavior_type link(link_actor::stateful_pointer<link_state> self, link_target target,
                               hopsworks_config config) {
  auto& state = self->state;
  state.target = std::move(target);
  state.config = std::move(config);
  state.breaker = {state.config.tolerance, state.config.rest};
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.send) state.config.send = blocking_sender(state.target.cancelled);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.fail_waiting({errc::unavailable, {}, {}, "the cluster's link ends"});
    self->quit(m.reason);
  });
  return {[self](const call_hopsworks& c) { return self->state.take(c); },
          [self](caf::tick_atom) { self->state.attempt(); }};
}

// -- all of them ---------------------------------------------------------------------------------

struct hub_state {
  explicit hub_state(hopsworks_actor::pointer s) : self{s} {}
  static inline constexpr const char* name = "hopsworks";

  struct cluster_link {
    std::string api_url{};
    std::string sealed_key{};
    bool verify_tls = true;
    std::shared_ptr<std::atomic<bool>> cancelled{};
    link_actor actor{};

    bool is_for(const persistence::cluster& c) const {
      return api_url == c.api_url && sealed_key == c.api_key_sealed && verify_tls == c.verify_tls;
    }
    void stop() const {
      *cancelled = true; // ends a call that would keep it from reading its mailbox
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    }
  };

  caf::result<hopsworks_answer> pass_on(const call_hopsworks& c) {
    auto to = open(*c.where);
    if (!to) return reply_with(to.error());
    return self->delegate(*to, c);
  }

  result<link_actor> open(const persistence::cluster& c) {
    auto known = links.find(c.id);
    if (known != links.end() && known->second.is_for(c)) return known->second.actor;
    if (c.api_key_sealed.empty())
      return fault{errc::unprocessable, "The cluster has no API key", {}, {}};
    auto key = app->vault->unseal(c.api_key_sealed, "api_key:" + c.id.value);
    if (!key) return key.error();
    if (known != links.end()) {
      known->second.stop();
      links.erase(known);
    }
    link_target target{.id = c.id, .site = {c.api_url, std::move(*key), c.verify_tls}};
    cluster_link fresh{c.api_url, c.api_key_sealed, c.verify_tls, target.cancelled, {}};
    auto& system = self->system();
    fresh.actor = config.detached ? system.spawn<caf::detached>(link, std::move(target), config)
                                  : system.spawn(link, std::move(target), config);
    self->monitor(fresh.actor);
    return links.emplace(c.id, std::move(fresh)).first->second.actor;
  }

  void stop() {
    for (const auto& [id, l] : links) l.stop();
    links.clear();
  }

  hopsworks_actor::pointer self;
  const services* app = nullptr;
  hopsworks_config config{};
  std::map<cluster_id, cluster_link> links{};
};

hopsworks_actor::behavior_type hub(hopsworks_actor::stateful_pointer<hub_state> self,
                                   const services* app, hopsworks_config config) {
  self->state.app = app;
  self->state.config = std::move(config);
  self->set_down_handler([self](const caf::down_msg& m) {
    std::erase_if(self->state.links,
                  [&](const auto& l) { return l.second.actor.address() == m.source; });
  });
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.stop();
    self->quit(m.reason);
  });
  return {[self](const call_hopsworks& c) { return self->state.pass_on(c); }};
}

} // namespace

hopsworks_actor spawn_hopsworks(caf::actor_system& system, const services& app,
                                hopsworks_config config) {
  return system.spawn(hub, &app, std::move(config));
}

result<integrations::http_answer> answer_of(const result<hopsworks_answer>& reply) {
  if (!reply) return reply.error();
  return *reply->what;
}

call_hopsworks request_for(const persistence::cluster& where, hopsworks::call what,
                           caf::timespan patience) {
  return {std::make_shared<const persistence::cluster>(where),
          std::make_shared<const hopsworks::call>(std::move(what)),
          patience - std::min<caf::timespan>(patience / 10, margin)};
}

} // namespace binnacle
