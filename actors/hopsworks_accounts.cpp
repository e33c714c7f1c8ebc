#include "actors/hopsworks_accounts.hpp"

#include "actors/hopsworks.hpp"
#include "actors/patient_scope.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/database.hpp"
#include "persistence/health_checks.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

namespace binnacle {
namespace {

using hopsworks::user;
using persistence::access;
using persistence::held_account;
using persistence::hopsworks_holder;

constexpr seconds heartbeat{1};
constexpr seconds count_interval{10};
/// Of one call to Hopsworks; an account needs up to five, and is ours for longer than they take.
constexpr seconds call_patience{30};
constexpr minutes lease{5};
constexpr seconds storage_patience{15};
constexpr std::int64_t tries = 3; // until somebody is told
constexpr std::int64_t projects_of_payer = 5;

/// Given name and surname, neither of them empty.
std::pair<std::string, std::string> names_of(const hopsworks_holder& h) {
  auto full = h.name.empty() ? h.email.substr(0, h.email.find('@')) : h.name;
  auto space = full.find(' ');
  if (space == full.npos || space == 0 || space + 1 == full.size()) return {full, "User"};
  return {full.substr(0, space), full.substr(space + 1)};
}

/// More than ours, or any number (negative), is Hopsworks' own decision.
std::int64_t projects_for(const hopsworks_holder& h, std::int64_t present) {
  if (!h.entitled) return 0;
  return present < 0 ? present : std::max(present, projects_of_payer);
}

std::optional<std::int64_t> status_for(const hopsworks_holder& h, std::int64_t present) {
  using namespace hopsworks;
  if (h.active && present == deactivated_user) return active_user;
  if (!h.active && present != deactivated_user && present != blocked_user) return deactivated_user;
  return {};
}

struct accounts_state : patient_scope<hopsworks_accounts_actor::base> {
  static inline constexpr const char* name = "hopsworks-accounts";
  explicit accounts_state(hopsworks_accounts_actor::pointer s) : patient_scope{s} {}
  ~accounts_state() { clear(); }

  template <class T>
  auto call(const persistence::cluster& where, hopsworks::call what,
            result<T> (*read)(const integrations::http_answer&)) {
    return ask_hopsworks(*this, self(), app->hopsworks, call_patience, where, std::move(what),
                         read);
  }
  template <class T>
  auto in_storage(access how, sql<T> body) {
    return storage_call<T>{*this, app->storage, storage_patience, how, std::move(body)};
  }

  // -- one account --------------------------------------------------------------------------------

  task<result<std::optional<user>>> locate(const hopsworks_holder& h) {
    auto asked = [this, &h](hopsworks::call what, auto read) {
      return call(h.where, std::move(what), read);
    };
    co_return co_await look_up_account(asked, h.known, h.email);
  }

  task<result<user>> find_or_create(const hopsworks_holder& h) {
    auto found = co_await locate(h);
    if (!found) co_return found.error();
    if (*found) co_return std::move(**found);
    if (h.email.empty())
      co_return fault{errc::unprocessable, "A user without email has no Hopsworks account", {}, {}};
    auto [given, surname] = names_of(h);
    hopsworks::new_user wanted{.email = h.email,
                               .given_name = given,
                               .surname = surname,
                               .max_projects = projects_for(h, 0),
                               .subject = h.subject,
                               .client_id = client_of(h.issuer)};
    auto request = hopsworks::create_user(wanted);
    auto made = co_await call(h.where, std::move(request), hopsworks::read_done);
    // Whatever the answer: an earlier attempt may have made it without our hearing of it.
    auto all = co_await call(h.where, hopsworks::list_users(), hopsworks::read_users);
    if (!all) co_return made ? all.error() : made.error();
    auto there = hopsworks::user_with_email(*all, h.email);
    if (there) co_return std::move(*there);
    if (!made) co_return made.error();
    co_return fault{
        errc::upstream_failed, "Hopsworks has made a user and does not show it", {}, {}};
  }

  /// The client of a login's issuer is the audience of its tokens.
  std::string client_of(const std::string& issuer) const {
    const auto& issuers = app->config.identity.issuers;
    auto found = std::ranges::find(issuers, issuer, &issuer_settings::issuer);
    return found == issuers.end() ? "binnacle" : found->audience;
  }

  task<result<done>> bring_in_line(user_id who) {
    auto find = bind_sql(config.books.find, who);
    auto holder =
        co_await in_storage<std::optional<hopsworks_holder>>(access::snapshot, std::move(find));
    if (!holder) co_return holder.error();
    if (!*holder) co_return done{};
    const auto& h = **holder;
    if (!h.active) {
      auto found = co_await locate(h);
      if (!found) co_return found.error();
      if (!*found) co_return done{}; // nobody to deactivate
      co_return co_await settle(h, std::move(**found));
    }
    auto there = co_await find_or_create(h);
    if (!there) co_return there.error();
    co_return co_await settle(h, std::move(*there));
  }

  task<result<done>> settle(const hopsworks_holder& h, user seen) {
    if (auto status = status_for(h, seen.status)) {
      auto set =
          co_await call(h.where, hopsworks::set_status(seen.id, *status), hopsworks::read_done);
      if (!set) co_return set.error();
    }
    if (auto most = projects_for(h, seen.max_projects); h.active && most != seen.max_projects) {
      auto set =
          co_await call(h.where, hopsworks::set_max_projects(seen.id, most), hopsworks::read_done);
      if (!set) co_return set.error();
    }
    co_return co_await store(h, seen);
  }

  task<result<done>> store(const hopsworks_holder& h, const user& seen) {
    persistence::hopsworks_account account{seen.id, seen.username, seen.active_projects};
    auto body = bind_sql(config.books.store, h.who, h.where.id, account);
    co_return co_await in_storage<done>(access::write, std::move(body));
  }

  // -- the outbox ---------------------------------------------------------------------------------

  void look() {
    if (!config.works_outbox) return;
    look_again = looking;
    if (!looking && at_work < config.lanes) adopt(take());
  }

  detached_frame take() {
    looking = true;
    auto wanted = config.lanes - at_work;
    auto more = false;
    try {
      auto body =
          bind_sql(config.books.hold, app->node, milliseconds{lease}, wanted, app->time->now());
      auto held = co_await in_storage<std::vector<held_account>>(access::append, std::move(body));
      more = held && std::ssize(*held) == wanted;
      if (held)
        for (auto& a : *held) adopt(work(std::move(a)));
    } catch (const std::exception& e) {
      log::error("accounts at Hopsworks not looked for", {{"why", e.what()}});
    }
    looking = false;
    if (more || look_again) look();
  }

  detached_frame work(held_account a) {
    ++at_work;
    try {
      auto out = co_await bring_in_line(a.who);
      count(out ? "done" : "failed");
      if (out)
        co_await finish(a);
      else
        co_await note_failure(a, out.error());
    } catch (const std::exception& e) {
      log::error("account at Hopsworks failed", {{"user", a.who.value}, {"why", e.what()}});
    }
    --at_work;
    look();
  }

  task<done> finish(const held_account& a) {
    auto body = bind_sql(config.books.finish, a, app->time->now());
    co_return co_await keep(a, std::move(body));
  }

  task<done> note_failure(const held_account& a, const fault& why) {
    auto text = to_string(why);
    log::warn("account at Hopsworks not in line",
              {{"user", a.who.value}, {"attempt", a.attempt}, {"why", text}});
    auto now = app->time->now();
    auto body = bind_sql(config.books.fail, a, text, now + pause_of_account(a.attempt),
                         a.attempt >= tries, now);
    co_return co_await keep(a, std::move(body));
  }

  task<done> keep(const held_account& a, sql<done> outcome) {
    auto kept = co_await stored<done>(app->storage, access::write, std::move(outcome));
    if (!kept)
      log::error("outcome of an account at Hopsworks not stored",
                 {{"user", a.who.value}, {"why", to_string(kept.error())}});
    co_return done{};
  }

  // -- what others ask ----------------------------------------------------------------------------

  template <class Reply>
  detached_frame serve(task<result<Reply>> what, caf::typed_response_promise<Reply> reply) {
    result<Reply> out{fault{}};
    try {
      out = co_await std::move(what);
    } catch (const std::exception& e) {
      out = internal_fault(e.what());
    }
    out ? reply.deliver(std::move(*out)) : reply.deliver(to_error(out.error()));
  }
  template <class Reply>
  caf::result<Reply> answer(task<result<Reply>> what) {
    auto reply = self()->template make_response_promise<Reply>();
    adopt(serve(std::move(what), reply));
    return reply;
  }

  task<result<hopsworks_holder>> holder_of(user_id who) {
    auto find = bind_sql(config.books.find, who);
    auto holder =
        co_await in_storage<std::optional<hopsworks_holder>>(access::snapshot, std::move(find));
    if (!holder) co_return holder.error();
    if (!*holder) co_return fault{errc::unprocessable, "User has no cluster assignment", {}, {}};
    co_return std::move(**holder);
  }

  task<result<hopsworks_identity>> ensure(user_id who) {
    auto holder = co_await holder_of(who);
    if (!holder) co_return holder.error();
    auto there = co_await find_or_create(*holder);
    if (!there) co_return there.error();
    auto kept = co_await store(*holder, *there);
    if (!kept) co_return kept.error();
    co_return hopsworks_identity{there->id, there->username};
  }

  task<result<granted_roles>> grant(grant_project_role what) {
    if (!hopsworks::is_project_role(what.role))
      co_return fault{errc::bad_request, "Invalid project role", "role", {}};
    auto member = co_await holder_of(what.member);
    if (!member) co_return member.error();
    if (!member->known.id)
      co_return fault{errc::unprocessable, "User has no Hopsworks account", {}, {}};
    std::string owner;
    if (!what.owner.empty()) {
      auto holder = co_await holder_of(what.owner);
      if (!holder) co_return holder.error();
      if (holder->where.id != member->where.id)
        co_return fault{errc::unprocessable, "The owner is on another cluster", {}, {}};
      owner = holder->known.username;
      if (owner.empty()) co_return granted_roles{};
    }
    auto all = co_await call(member->where, hopsworks::list_projects(), hopsworks::read_projects);
    if (!all) co_return all.error();
    std::erase_if(*all, [&](const hopsworks::project& p) {
      return (!owner.empty() && p.owner != owner) ||
             (!what.project.empty() && p.name != what.project);
    });
    if (all->empty() && !what.project.empty())
      co_return fault{errc::not_found, "Project not found", {}, {}};
    granted_roles out;
    for (const auto& p : *all) co_await grant_one(*member, p, what, out);
    co_return out;
  }

  task<done> grant_one(const hopsworks_holder& member, const hopsworks::project& p,
                       const grant_project_role& what, granted_roles& out) {
    auto request = hopsworks::add_member(p.id, member.email, what.role);
    auto added = co_await call(member.where, std::move(request), hopsworks::read_added);
    persistence::project_role role{.member = what.member,
                                   .account_owner = what.owner,
                                   .cluster = member.where.id,
                                   .project_id = p.id,
                                   .project_name = p.name,
                                   .role = what.role,
                                   .failure = added ? "" : to_string(added.error()),
                                   .added_by = what.granted_by};
    auto body = bind_sql(config.books.store_role, role, app->time->now());
    auto kept = co_await in_storage<done>(access::write, std::move(body));
    if (added && kept)
      out.projects.push_back(p.name);
    else
      out.errors.push_back(p.name + ": " + std::string{(added ? kept : added).error().message()});
    co_return done{};
  }

  // -- every second -------------------------------------------------------------------------------

  void tick() {
    self()->delayed_send(hopsworks_accounts_actor{self()}, heartbeat, caf::tick_atom_v);
    wake_sleepers();
    look();
    if (auto now = self()->clock().now(); now >= next_count) {
      next_count = now + count_interval;
      adopt(show());
    }
  }

  detached_frame show() {
    try {
      auto body = bind_sql(config.books.count);
      auto count_now = co_await in_storage<std::int64_t>(access::read, std::move(body));
      if (count_now) open_accounts->Set(static_cast<double>(*count_now));
    } catch (const std::exception& e) {
      log::warn("accounts at Hopsworks not counted", {{"why", e.what()}});
    }
  }

  static void count(const char* outcome) {
    metrics::counter("binnacle_hopsworks_account_attempts_total",
                     "Attempts to bring accounts at Hopsworks in line", {{"outcome", outcome}})
        .Increment();
  }

  services* app = nullptr;
  hopsworks_accounts_config config{};
  std::int64_t at_work = 0; // accounts
  bool looking = false;
  bool look_again = false;
  caf::actor_clock::time_point next_count{};
  prometheus::Gauge* open_accounts = nullptr;
};

hopsworks_accounts_actor::behavior_type
accounts(hopsworks_accounts_actor::stateful_pointer<accounts_state> self, services* app,
         hopsworks_accounts_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  state.open_accounts = &metrics::gauge("binnacle_hopsworks_accounts_open",
                                        "Accounts that Hopsworks may have to be told of");
  self->send(hopsworks_accounts_actor{self}, caf::tick_atom_v);
  return {[self](const ensure_hopsworks_account& e) {
            return self->state.answer(self->state.ensure(e.who));
          },
          [self](const grant_project_role& g) { return self->state.answer(self->state.grant(g)); },
          [self](const hopsworks_accounts_changed&) { self->state.look(); },
          [self](caf::tick_atom) { self->state.tick(); }};
}

} // namespace

account_books::account_books() {
  fail = [](tx& in, const held& a, const std::string& why, time_point again, bool is_final,
            time_point now) -> result<done> {
    if (is_final)
      if (auto noted = persistence::note_health_failure(in, a.who, "hopsworks_user", why, now);
          !noted)
        return noted;
    return persistence::fail_account(in, a, why, again);
  };
}

hopsworks_accounts_actor spawn_hopsworks_accounts(caf::actor_system& system, services& app,
                                                  hopsworks_accounts_config config) {
  return system.spawn(accounts, &app, std::move(config));
}

seconds pause_of_account(std::int64_t attempt) {
  if (attempt <= tries) return seconds{1LL << std::max<std::int64_t>(attempt, 1)};
  return std::min(seconds{3'600},
                  seconds{60LL << std::clamp<std::int64_t>(attempt - tries - 1, 0, 6)});
}

} // namespace binnacle
