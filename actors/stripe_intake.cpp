#include "actors/stripe_intake.hpp"

#include "actors/async.hpp"
#include "config/base/log.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <unordered_set>

namespace binnacle {
namespace {

using persistence::access;
using persistence::stripe_event;
using persistence::transaction;

constexpr std::size_t most_together = 256;
constexpr std::size_t most_waiting = 10'000;
constexpr seconds storage_patience{15};

struct intake_state : actor_scope<stripe_intake_actor::base> {
  static inline constexpr const char* name = "stripe-intake";
  explicit intake_state(stripe_intake_actor::pointer s) : actor_scope{s} {}
  ~intake_state() { clear(); }

  using promise = caf::typed_response_promise<stripe_event_kept>;
  using ids = std::vector<std::string>;
  /// Shared with the worker, which may be at it when this actor has ended.
  using batch = std::shared_ptr<std::vector<stripe_event>>;

  caf::result<stripe_event_kept> take(keep_stripe_event& m) {
    if (gathered.size() >= most_waiting) return errc::overloaded;
    auto reply = self()->make_response_promise<stripe_event_kept>();
    gathered.push_back(std::move(m.what));
    replies.push_back(reply);
    if (!storing) adopt(store_what_comes());
    return reply;
  }

  detached_frame store_what_comes() {
    storing = true;
    while (!gathered.empty()) {
      auto [together, waiting] = next_batch();
      try {
        co_await store(together, waiting);
      } catch (const std::exception& e) {
        log::error("Stripe's events not stored", {{"why", e.what()}});
        refuse(waiting, internal_fault(e.what()));
      }
    }
    storing = false;
  }

  std::pair<batch, std::vector<promise>> next_batch() {
    auto count = static_cast<std::ptrdiff_t>(std::min(gathered.size(), most_together));
    auto events = gathered.begin() + count;
    auto waiting = replies.begin() + count;
    std::pair<batch, std::vector<promise>> out{
        std::make_shared<std::vector<stripe_event>>(std::move_iterator{gathered.begin()},
                                                    std::move_iterator{events}),
        {std::move_iterator{replies.begin()}, std::move_iterator{waiting}}};
    gathered.erase(gathered.begin(), events);
    replies.erase(replies.begin(), waiting);
    return out;
  }

  task<done> store(batch together, std::vector<promise>& waiting) {
    auto stored = co_await commit(together);
    if (stored) {
      accept(*together, *stored, waiting);
    } else if (stored.error().code != errc::internal || together->size() == 1) {
      refuse(waiting, stored.error());
    } else {
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        auto alone = std::make_shared<std::vector<stripe_event>>(1, (*together)[i]);
        std::vector<promise> one{std::move(waiting[i])};
        co_await store(alone, one);
      }
    }
    co_return done{};
  }

  storage_call<ids> commit(const batch& together) {
    return {*this, app->storage, storage_patience, access::append,
            [together, now = app->time->now()](transaction& tx) {
              return persistence::store_stripe_events(tx, *together,
                                                      persistence::event_source::webhook, now);
            }};
  }

  void accept(const std::vector<stripe_event>& events, const ids& stored,
              std::vector<promise>& waiting) {
    std::unordered_set<std::string_view> fresh{stored.begin(), stored.end()};
    auto to_apply = false;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      auto first = fresh.erase(events[i].id) > 0;
      to_apply |= first && !events[i].inert;
      waiting[i].deliver(stripe_event_kept{!first});
    }
    if (to_apply) self()->send(app->stripe_inbox, stripe_event_stored{});
  }

  static void refuse(std::vector<promise>& waiting, const fault& why) {
    for (auto& reply : waiting)
      if (reply.pending()) reply.deliver(to_error(why));
  }

  services* app = nullptr;
  std::vector<stripe_event> gathered{};
  std::vector<promise> replies{}; // to those who brought them
  bool storing = false;
};

stripe_intake_actor::behavior_type intake(stripe_intake_actor::stateful_pointer<intake_state> self,
                                          services* app) {
  self->state.app = app;
  return {[self](keep_stripe_event& m) { return self->state.take(m); }};
}

} // namespace

stripe_intake_actor spawn_stripe_intake(caf::actor_system& system, services& app) {
  return system.spawn(intake, &app);
}

} // namespace binnacle
