#include "actors/billing.hpp"

#include "actors/stripe.hpp"
#include "actors/subscription_rules.hpp"
#include "persistence/database.hpp"
#include "persistence/prices.hpp"

#include <algorithm>
#include <array>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <map>

namespace binnacle {
namespace {

using persistence::access;
using persistence::transaction;

/// Stripe's largest page.
constexpr int page = 100;

bool bills_usage(const persistence::subscription& s) {
  static constexpr std::array<std::string_view, 3> billing{"active", "trialing", "past_due"};
  return s.kind == "usage" && std::ranges::find(billing, s.status) != billing.end();
}

std::optional<persistence::subscription>
billing_one(const std::vector<persistence::subscription>& all) {
  auto found = std::ranges::find_if(all, bills_usage);
  if (found == all.end()) return {};
  return *found;
}

struct billing_state : actor_scope<billing_actor::base> {
  static inline constexpr const char* name = "billing";
  explicit billing_state(billing_actor::pointer s) : actor_scope{s} {}
  ~billing_state() { clear(); }

  // -- one piece of work per user ---------------------------------------------------------------

  template <class Reply>
  using waiting = std::map<user_id, std::vector<caf::typed_response_promise<Reply>>>;
  template <class Reply>
  using work = task<result<Reply>> (billing_state::*)(user_id);

  template <class Reply>
  caf::result<Reply> share(waiting<Reply>& all, const user_id& who, work<Reply> what) {
    auto reply = self()->make_response_promise<Reply>();
    auto& mine = all[who];
    mine.push_back(reply);
    if (mine.size() == 1) adopt(serve(all, who, what));
    return reply;
  }

  template <class Reply>
  detached_frame serve(waiting<Reply>& all, user_id who, work<Reply> what) {
    result<Reply> out{fault{}};
    try {
      out = co_await (this->*what)(who);
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    auto node = all.extract(who);
    for (auto& reply : node.mapped())
      out ? reply.deliver(*out) : reply.deliver(to_error(out.error()));
  }

  template <class Reply>
  static void refuse(waiting<Reply>& all) {
    for (auto& [who, replies] : all)
      for (auto& reply : replies) reply.deliver(caf::make_error(errc::unavailable));
    all.clear();
  }

  void stop() {
    clear();
    refuse(customers);
    refuse(subscriptions);
  }

  // -- the work ---------------------------------------------------------------------------------

  template <class T>
  auto asked(stripe::call what, result<T> (*read)(std::string_view)) {
    return ask_stripe(*this, self(), app->stripe, config.patience, std::move(what), read);
  }
  template <class T>
  auto stored(access how, std::function<result<T>(transaction&)> body) {
    return storage_call<T>{*this, app->storage, config.patience, how, std::move(body)};
  }

  task<result<billing_record>> record_of(user_id who) {
    auto body = bind_sql(config.books.find, who, app->time->now());
    auto found = co_await stored<billing_record>(access::snapshot, std::move(body));
    if (found && !found->who.account_owner.empty())
      co_return fault{errc::forbidden, "Billing is managed by the account owner", {}, {}};
    co_return std::move(found);
  }

  task<result<customer_account>> customer_of(user_id who) {
    auto known = co_await record_of(who);
    if (!known) co_return known.error();
    co_return co_await customer_of(std::move(*known));
  }

  task<result<customer_account>> customer_of(billing_record known) {
    if (known.customer) co_return customer_account{known.customer->id};
    stripe::new_customer wanted{.user = known.who.id.value,
                                .email = known.who.email,
                                .name = known.who.name,
                                .notes = {{"user_id", known.who.id.value}}};
    auto auth0 = std::ranges::find(known.identities, app->config.identity.auth0_issuer(),
                                   &persistence::login_identity::issuer);
    if (auth0 != known.identities.end()) wanted.notes["auth0_id"] = auth0->subject;
    // The user is the occasion: there is one customer of theirs until it is deleted at Stripe.
    auto purpose = known.who.id.value;
    if (known.former_customers > 0)
      purpose.append(":").append(std::to_string(known.former_customers + 1));
    auto made = co_await asked(stripe::create_customer(wanted, purpose), stripe::read_customer);
    if (!made) co_return made.error();
    auto body = bind_sql(config.books.link, known.who.id, made->id, app->time->now());
    auto linked = co_await stored<persistence::stripe_customer>(access::write, std::move(body));
    if (!linked) co_return linked.error();
    co_return customer_account{linked->id};
  }

  task<result<subscription_state>> subscription_of(user_id who) {
    auto known = co_await record_of(who);
    if (!known) co_return known.error();
    if (known->usage) co_return subscription_state{known->usage->id, known->usage->status};
    if (known->prices.empty())
      co_return fault{errc::unprocessable, "No active products", {}, "none has a Stripe price"};
    auto customer = co_await customer_of(*known);
    if (!customer) co_return customer.error();
    auto had = co_await adopt_all(who, customer->id, known->as_of);
    if (!had) co_return had.error();
    if (had->usage) co_return subscription_state{had->usage->id, had->usage->status};
    stripe::new_subscription wanted{.customer = customer->id,
                                    .prices = known->prices,
                                    .notes = {{"kind", "usage"}, {"user_id", who.value}}};
    // After one that ended there may be a next one, which is another occasion.
    auto purpose = who.value + ":usage:" + std::to_string(had->usage_subscriptions + 1);
    auto made =
        co_await asked(stripe::create_subscription(wanted, purpose), stripe::read_subscription);
    if (!made) co_return made.error();
    std::vector<stripe::subscription> one{*made};
    auto kept = co_await keep(who, std::move(one), known->as_of);
    if (!kept) co_return kept.error();
    co_return subscription_state{made->id, made->status};
  }

  /// Stores whatever Stripe has of the customer.
  task<result<adopted>> adopt_all(user_id who, std::string customer, time_point as_of) {
    std::vector<stripe::subscription> all;
    for (std::string after;;) {
      auto some = co_await asked(stripe::list_subscriptions(customer, "all", page, after),
                                 stripe::read_subscriptions);
      if (!some) co_return some.error();
      all.insert(all.end(), some->data.begin(), some->data.end());
      if (!some->has_more || some->data.empty()) break;
      after = some->data.back().id;
    }
    co_return co_await keep(std::move(who), std::move(all), as_of);
  }

  task<result<adopted>> keep(user_id who, std::vector<stripe::subscription> what,
                             time_point as_of) {
    auto body = bind_sql(config.books.adopt, std::move(who), std::move(what), app->offers, as_of,
                         app->time->now());
    co_return co_await stored<adopted>(access::write, std::move(body));
  }

  services* app = nullptr;
  billing_config config{};
  waiting<customer_account> customers{};
  waiting<subscription_state> subscriptions{};
};

billing_actor::behavior_type billing(billing_actor::stateful_pointer<billing_state> self,
                                     services* app, billing_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    self->state.stop();
    self->quit(m.reason);
  });
  return {[self](const ensure_customer& e) {
            auto& s = self->state;
            return s.share<customer_account>(s.customers, e.who, &billing_state::customer_of);
          },
          [self](const ensure_subscription& e) {
            auto& s = self->state;
            return s.share<subscription_state>(s.subscriptions, e.who,
                                               &billing_state::subscription_of);
          }};
}

} // namespace

result<billing_record> find_billing_record(transaction& tx, const user_id& who, time_point now) {
  auto found = persistence::find_user(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  auto customer = persistence::find_stripe_customer(tx, who);
  if (!customer) return customer.error();
  auto former = persistence::former_stripe_customers(tx, who);
  if (!former) return former.error();
  auto identities = persistence::identities_of(tx, who);
  if (!identities) return identities.error();
  auto known = persistence::subscriptions_of(tx, who);
  if (!known) return known.error();
  auto prices = persistence::usage_prices(tx, now);
  if (!prices) return prices.error();
  auto as_of = persistence::stripe_clock(tx);
  if (!as_of) return as_of.error();
  return billing_record{.who = std::move(**found),
                        .customer = std::move(*customer),
                        .usage = billing_one(*known),
                        .former_customers = *former,
                        .identities = std::move(*identities),
                        .prices = std::move(*prices),
                        .as_of = *as_of};
}

result<adopted> adopt_subscriptions(transaction& tx, const user_id& who,
                                    const std::vector<stripe::subscription>& found,
                                    const catalogue& offers, time_point as_of, time_point now) {
  for (const auto& s : found)
    if (auto applied = apply_subscription(tx, who, s, offers, as_of, now); !applied)
      return applied.error();
  auto known = persistence::subscriptions_of(tx, who);
  if (!known) return known.error();
  auto of_usage = std::ranges::count(*known, "usage", &persistence::subscription::kind);
  return adopted{billing_one(*known), of_usage};
}

billing_actor spawn_billing(caf::actor_system& system, services& app, billing_config config) {
  return system.spawn(billing, &app, std::move(config));
}

} // namespace binnacle
