#include "actors/stripe_inbox.hpp"

#include "actors/event_effects.hpp"
#include "actors/patient_scope.hpp"
#include "actors/stripe.hpp"
#include "actors/stripe_door.hpp"
#include "actors/subscriber_invoices.hpp"
#include "actors/subscription_rules.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/database.hpp"
#include "persistence/stripe_events.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <set>

namespace binnacle {
namespace {

using persistence::access;
using persistence::held_stripe_event;
using persistence::transaction;
using stripe::checkout_session;
using stripe::reversal;

constexpr seconds heartbeat{1};
constexpr seconds count_interval{10};
/// Of one call to Stripe; an event needs up to four.
constexpr seconds call_patience{15};
constexpr int most_pages = 100;

/// A purchase, and what of its money went back.
result<done> settle_purchase(transaction& tx, const held_stripe_event& e, const checkout_session& s,
                             const std::vector<reversal>& reversals, const event_setting& in) {
  auto buyer = buyer_of(tx, s);
  if (!buyer) return buyer.error();
  if (!buyer->empty()) {
    if (auto mine = persistence::finish_stripe_event(tx, e, in.now); !mine) return mine;
    if (auto bought = apply_purchase(tx, *buyer, s, in); !bought) return bought;
    return apply_reversals(tx, s, reversals, in.now);
  }
  if (!s.customer_email.empty()) return persistence::shelve_stripe_event(tx, e, s.customer_email);
  return fault{errc::unprocessable, "The checkout names neither a user nor an email", {}, s.id};
}

/// The user behind a customer, and how they pay.
result<persistence::user> customer_user(transaction& tx, const std::string& customer) {
  auto who = persistence::user_of_customer(tx, customer);
  if (!who) return who.error();
  auto found = persistence::find_user(tx, *who);
  if (!found) return found.error();
  return found->value_or(persistence::user{});
}

result<done> apply_finished_setup(transaction& tx, const user_id& who,
                                  const std::vector<stripe::subscription>& of_customer,
                                  const payment_means& means, const event_setting& in) {
  for (const auto& s : of_customer)
    if (auto applied = apply_subscription_state(tx, s, in); !applied) return applied;
  if (!who.empty())
    if (auto given = give_cluster(tx, who, in.now); !given) return given;
  return apply_payment_means(tx, means, in);
}

/// What an attempt to collect an invoice came to, and what a subscriber's invoice is now.
result<done> apply_invoice_states(transaction& tx, const std::optional<stripe::invoice>& tried,
                                  const std::optional<stripe::bill>& of_subscriber,
                                  const event_setting& in) {
  if (tried)
    if (auto applied = apply_invoice(tx, *tried, in); !applied) return applied;
  return of_subscriber ? follow_invoice(tx, *of_subscriber, in.now) : done{};
}

struct inbox_state : patient_scope<stripe_inbox_actor::base> {
  static inline constexpr const char* name = "stripe-inbox";
  explicit inbox_state(stripe_inbox_actor::pointer s) : patient_scope{s} {}
  ~inbox_state() { clear(); }

  // -- taking events ------------------------------------------------------------------------------

  void look() {
    if (!app->config.stripe.configured()) return; // others can apply them
    look_again = looking;
    if (!looking && free_lanes() > 0) adopt(take());
  }

  std::int64_t free_lanes() const { return app->config.stripe.parallel - std::ssize(at_work); }

  detached_frame take() {
    looking = true;
    auto wanted = free_lanes();
    auto more = false;
    try {
      if (astray) co_await call_back();
      auto body = bind_sql(persistence::hold_stripe_events, app->node,
                           app->config.stripe.event_lease, wanted, app->time->now());
      auto held = co_await storage_call<std::vector<held_stripe_event>>{
          *this, app->storage, call_patience, access::append, std::move(body)};
      // Two nodes chose alike: one of them has to choose again.
      more = held ? std::ssize(*held) == wanted : held.error().code == errc::conflict;
      astray |= !held && !more; // it may have been committed all the same
      if (held)
        for (auto& e : *held) adopt(work(std::move(e)));
    } catch (const std::exception& e) {
      log::error("Stripe's events not looked for", {{"why", e.what()}});
    }
    looking = false;
    if (more || look_again) look();
  }

  /// While the database was away events may have been left with us that nobody is at. Their leases
  /// would end in time; people who have paid should not wait for that.
  task<done> call_back() {
    auto body = bind_sql(persistence::release_stripe_events, app->node,
                         std::vector(at_work.begin(), at_work.end()), app->time->now());
    auto released = co_await storage_call<std::int64_t>{*this, app->storage, call_patience,
                                                        access::write, std::move(body)};
    astray = !released;
    co_return done{};
  }

  detached_frame work(held_stripe_event e) {
    at_work.insert(e.id);
    try {
      auto out = co_await apply(e);
      count(out ? "applied" : "failed");
      if (!out) co_await note_failure(e, out.error());
    } catch (const std::exception& failure) {
      log::error("Stripe event failed", {{"stripe_event", e.id}, {"why", failure.what()}});
      astray = true;
    }
    at_work.erase(e.id);
    look();
  }

  task<done> note_failure(const held_stripe_event& e, const fault& why) {
    auto text = to_string(why);
    log::warn("Stripe event not applied",
              {{"stripe_event", e.id}, {"type", e.type}, {"attempt", e.attempt}, {"why", text}});
    auto again = app->time->now() + pause_after(e.attempt);
    auto body = bind_sql(persistence::fail_stripe_event, e, text, again);
    auto noted = co_await stored<done>(app->storage, access::write, std::move(body));
    // Refused when somebody else is at it by now: then it is theirs.
    astray |= !noted && noted.error().code != errc::conflict;
    co_return done{};
  }

  // -- applying them ------------------------------------------------------------------------------

  task<result<done>> apply(const held_stripe_event& e) {
    if (is_of_other_mode(app->config.stripe, e.livemode))
      co_return fault{errc::unprocessable, "The event and our API key are of different modes"};
    auto about = stripe::read_event(e.payload);
    if (!about) co_return about.error();
    switch (effect_of(e.type)) {
    case event_effect::purchase:
      co_return co_await apply_checkout(e, *about);
    case event_effect::reversal:
      co_return co_await apply_reversal(e, about->payment_intent);
    case event_effect::subscription:
      co_return co_await apply_subscription_event(e, about->object_id);
    case event_effect::payment_means:
      co_return co_await apply_means(e, *about);
    case event_effect::invoice:
      co_return co_await apply_invoice_event(e, *about);
    case event_effect::customer_gone: {
      auto effects = bind_sql(apply_customer_gone, about->customer, setting_of(e));
      co_return co_await settle(e, std::move(effects));
    }
    case event_effect::none:
      break;
    }
    co_return co_await settle_without_effect(e);
  }

  event_setting setting_of(const held_stripe_event& e) const {
    const auto& referrals = app->config.referrals;
    return {app->offers, e.held_at, app->time->now(),
            referrals.rewards ? referrals.reward_tenths : 0};
  }

  template <class T>
  auto ask(stripe::call what, result<T> (*read)(std::string_view)) {
    return ask_stripe(*this, self(), app->stripe, call_patience, std::move(what), read);
  }

  task<result<done>> settle(held_stripe_event e, sql<done> effects) {
    auto now = app->time->now();
    auto body = [e = std::move(e), effects = std::move(effects),
                 now](transaction& tx) -> result<done> {
      if (auto ours = persistence::finish_stripe_event(tx, e, now); !ours) return ours;
      return effects(tx);
    };
    co_return co_await stored<done>(app->storage, access::write, std::move(body));
  }

  task<result<done>> settle_without_effect(const held_stripe_event& e) {
    auto nothing = [](transaction&) -> result<done> { return done{}; };
    co_return co_await settle(e, std::move(nothing));
  }

  task<result<done>> apply_checkout(const held_stripe_event& e, const stripe::event& about) {
    auto call = stripe::get_checkout(about.object_id);
    auto session = co_await ask(std::move(call), stripe::read_checkout);
    if (!session) co_return session.error();
    if (session->mode == "setup")
      co_return co_await apply_setup(e, std::move(*session), about.created);
    auto body =
        bind_sql(settle_purchase, e, std::move(*session), std::vector<reversal>{}, setting_of(e));
    co_return co_await stored<done>(app->storage, access::write, std::move(body));
  }

  /// Together with the purchase, whose own event may come later.
  task<result<done>> apply_reversal(const held_stripe_event& e, std::string payment_intent) {
    if (payment_intent.empty()) co_return co_await settle_without_effect(e);
    auto searching = stripe::list_checkouts(payment_intent);
    auto sessions = co_await ask(std::move(searching), stripe::read_checkouts);
    if (!sessions) co_return sessions.error();
    if (sessions->data.empty() || !buys_credits(sessions->data.front()))
      co_return co_await settle_without_effect(e);
    auto refunding = stripe::list_refunds(payment_intent);
    auto reversals = co_await ask(std::move(refunding), stripe::read_refunds);
    if (!reversals) co_return reversals.error();
    auto disputing = stripe::list_disputes(payment_intent);
    auto disputes = co_await ask(std::move(disputing), stripe::read_disputes);
    if (!disputes) co_return disputes.error();
    std::ranges::move(disputes->data, std::back_inserter(reversals->data));
    auto body = bind_sql(settle_purchase, e, std::move(sessions->data.front()),
                         std::move(reversals->data), setting_of(e));
    co_return co_await stored<done>(app->storage, access::write, std::move(body));
  }

  task<result<done>> apply_setup(const held_stripe_event& e, stripe::checkout_session session,
                                 time_point finished) {
    auto find = bind_sql(customer_user, session.customer);
    auto who = co_await stored<persistence::user>(app->storage, access::snapshot, std::move(find));
    if (!who) co_return who.error();
    auto listing = stripe::list_subscriptions(session.customer, "all", 100);
    auto subscriptions = co_await ask(std::move(listing), stripe::read_subscriptions);
    if (!subscriptions) co_return subscriptions.error();
    if (!who->id.empty() && who->account_owner.empty() &&
        starts_subscription(who->billing_mode, subscriptions->data, session)) {
      ensure_subscription wanted{who->id};
      auto started = co_await asking<subscription_state, stripe_inbox_actor::base, billing_actor,
                                     ensure_subscription>{*this, self(), app->billing,
                                                          2 * call_patience, std::move(wanted)};
      if (!started) co_return started.error();
    }
    auto means = co_await means_of(session.customer);
    if (!means) co_return means.error();
    means->added_at = finished;
    auto effects = bind_sql(apply_finished_setup, who->id, std::move(subscriptions->data),
                            std::move(*means), setting_of(e));
    co_return co_await settle(e, std::move(effects));
  }

  task<result<done>> apply_subscription_event(const held_stripe_event& e, std::string id) {
    auto call = stripe::get_subscription(id);
    auto present = co_await ask(std::move(call), stripe::read_subscription);
    if (!present) co_return present.error();
    auto effects = bind_sql(apply_subscription_state, std::move(*present), setting_of(e));
    co_return co_await settle(e, std::move(effects));
  }

  task<result<done>> apply_invoice_event(const held_stripe_event& e, const stripe::event& about) {
    // As it was then: what was paid once stays paid. Of one in an unknown form only its customer
    // matters, as nothing else depends on it.
    auto read = stripe::read_invoice(about.object);
    auto then = read ? std::move(*read) : stripe::invoice{};
    then.customer = about.customer;
    auto present = co_await subscribers_invoice(then);
    if (!present) co_return present.error();
    auto tried = e.type == "invoice.payment_succeeded" || e.type == "invoice.payment_failed";
    auto effects =
        bind_sql(apply_invoice_states, tried ? std::optional{std::move(then)} : std::nullopt,
                 std::move(*present), setting_of(e));
    co_return co_await settle(e, std::move(effects));
  }

  /// As it is now, when it bills a subscriber's subscription.
  task<result<std::optional<stripe::bill>>> subscribers_invoice(const stripe::invoice& of) {
    std::optional<stripe::bill> out;
    if (of.subscription.empty()) co_return out;
    auto find = bind_sql(has_subscriber, of.subscription);
    auto followed = co_await stored<bool>(app->storage, access::read, std::move(find));
    if (!followed) co_return followed.error();
    if (!*followed) co_return out;
    auto call = stripe::get_invoice(of.id);
    auto present = co_await ask(std::move(call), stripe::read_bill);
    if (!present) co_return present.error();
    out = std::move(*present);
    co_return out;
  }

  task<result<done>> apply_means(const held_stripe_event& e, const stripe::event& about) {
    auto means = co_await means_of(about.customer);
    if (!means) co_return means.error();
    if (e.type == "payment_method.detached")
      means->lost_one = true;
    else
      means->added_at = about.created;
    auto effects = bind_sql(apply_payment_means, std::move(*means), setting_of(e));
    co_return co_await settle(e, std::move(effects));
  }

  task<result<payment_means>> means_of(std::string customer) {
    payment_means out;
    out.customer = std::move(customer);
    if (out.customer.empty()) co_return std::move(out);
    auto call = stripe::list_payment_methods(out.customer, "");
    auto methods = co_await ask(std::move(call), stripe::read_payment_methods);
    // A customer who is gone has none.
    if (!methods && methods.error().code != errc::not_found) co_return methods.error();
    out.has_method = methods && !methods->data.empty();
    co_return std::move(out);
  }

  // -- healing ------------------------------------------------------------------------------------

  caf::result<healed_events> heal() {
    auto reply = self()->make_response_promise<healed_events>();
    adopt(serve_healing(reply));
    return reply;
  }

  detached_frame serve_healing(caf::typed_response_promise<healed_events> reply) {
    result<healed_events> out{fault{}};
    try {
      out = co_await read_undelivered();
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    if (!out) {
      log::warn("Stripe's undelivered events not read", {{"why", to_string(out.error())}});
      reply.deliver(caf::make_error(out.error().code));
      co_return;
    }
    healed->Increment(static_cast<double>(out->missed));
    if (out->missed > 0)
      log::warn("Stripe's webhooks had missed events", {{"events", out->missed}});
    reply.deliver(*out);
    look();
  }

  /// All pages, every time: a run that ended in the middle leaves no gap, and there is nothing to
  /// read when all is well.
  task<result<healed_events>> read_undelivered() {
    healed_events out;
    stripe::event_query query;
    query.delivery_success = false;
    for (int page = 0; page < most_pages; ++page) {
      auto call = stripe::list_events(query);
      auto listed = co_await ask(std::move(call), stripe::read_events);
      if (!listed) co_return listed.error();
      std::vector<persistence::stripe_event> events;
      for (auto& e : listed->data)
        events.push_back(to_inbox(app->config.stripe, e, std::move(e.json)));
      if (events.empty()) break;
      query.starting_after = events.back().id;
      out.listed += std::ssize(events);
      auto body = bind_sql(persistence::store_stripe_events, std::move(events),
                           persistence::event_source::healer, app->time->now());
      auto fresh =
          co_await stored<std::vector<std::string>>(app->storage, access::append, std::move(body));
      if (!fresh) co_return fresh.error();
      out.missed += std::ssize(*fresh);
      if (!listed->has_more) break;
    }
    co_return out;
  }

  // -- every second -------------------------------------------------------------------------------

  void tick() {
    self()->delayed_send(stripe_inbox_actor{self()}, heartbeat, caf::tick_atom_v);
    wake_sleepers();
    if (!attending) adopt(attend());
    look();
  }

  detached_frame attend() {
    attending = true;
    try {
      auto unshelve = bind_sql(persistence::unshelve_stripe_events, app->time->now());
      auto due = co_await storage_call<std::int64_t>{*this, app->storage, call_patience,
                                                     access::append, std::move(unshelve)};
      if (due && *due > 0) look();
      if (auto now = self()->clock().now(); now >= next_count) {
        next_count = now + count_interval;
        auto counting = bind_sql(persistence::count_stripe_events);
        auto counts = co_await storage_call<persistence::stripe_event_counts>{
            *this, app->storage, call_patience, access::read, std::move(counting)};
        if (counts) show(*counts);
      }
    } catch (const std::exception& e) {
      log::warn("Stripe's inbox not looked after", {{"why", e.what()}});
    }
    attending = false;
  }

  void show(const persistence::stripe_event_counts& counts) {
    auto set = [](const char* state, std::int64_t n) {
      metrics::gauge("binnacle_stripe_events_open", "Events of Stripe that are not applied",
                     {{"state", state}})
          .Set(static_cast<double>(n));
    };
    set("waiting", counts.waiting);
    set("failed", counts.failed);
    set("unresolved", counts.unresolved);
    auto now = app->time->now();
    lag->Set(std::chrono::duration<double>(now - counts.oldest.value_or(now)).count());
  }

  void count(const char* outcome) {
    metrics::counter("binnacle_stripe_event_attempts_total", "Attempts to apply events of Stripe",
                     {{"outcome", outcome}})
        .Increment();
  }

  services* app = nullptr;
  std::set<std::string> at_work{}; // ids of events
  bool astray = false;             // events may be ours by the database that are not in at_work
  bool looking = false;
  bool look_again = false;
  bool attending = false;
  caf::actor_clock::time_point next_count{};
  prometheus::Counter* healed = nullptr;
  prometheus::Gauge* lag = nullptr;
};

stripe_inbox_actor::behavior_type inbox(stripe_inbox_actor::stateful_pointer<inbox_state> self,
                                        services* app) {
  auto& state = self->state;
  state.app = app;
  state.healed = &metrics::counter("binnacle_stripe_events_healed_total",
                                   "Events of Stripe that no webhook had brought");
  state.lag = &metrics::gauge("binnacle_stripe_events_lag_seconds",
                              "Since the arrival of the oldest event that is to be applied");
  self->send(stripe_inbox_actor{self}, caf::tick_atom_v);
  return {[self](const stripe_event_stored&) { self->state.look(); },
          [self](const heal_stripe_events&) { return self->state.heal(); },
          [self](caf::tick_atom) { self->state.tick(); }};
}

} // namespace

stripe_inbox_actor spawn_stripe_inbox(caf::actor_system& system, services& app) {
  return system.spawn(inbox, &app);
}

seconds pause_after(std::int64_t attempt) {
  constexpr seconds longest{3'600};
  auto doublings = std::clamp<std::int64_t>(attempt - 1, 0, 12);
  return std::min(longest, seconds{1LL << doublings});
}

} // namespace binnacle
