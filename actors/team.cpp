#include "actors/team.hpp"

#include "actors/async.hpp"
#include "actors/hopsworks_messages.hpp"
#include "actors/mail_text.hpp"
#include "actors/mailer.hpp"
#include "actors/sliding_window.hpp"
#include "config/base/log.hpp"
#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"
#include "persistence/clusters.hpp"
#include "persistence/database.hpp"
#include "persistence/rate_windows.hpp"
#include "persistence/users.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <map>

namespace binnacle {
namespace {

using persistence::access;
using persistence::transaction;

constexpr seconds storage_patience{10};
constexpr seconds hopsworks_patience{8};
constexpr seconds catching_up{2};

fault refused(errc code, std::string text) { return {code, std::move(text), {}, {}}; }
fault unknown_invite() { return refused(errc::not_found, "Invite not found or already used"); }

persistence::audit_entry audit(const user_id& actor, std::string action, std::string target,
                               const std::string& address) {
  persistence::audit_entry out;
  out.actor = actor;
  out.action = std::move(action);
  out.target = std::move(target);
  out.address = address;
  return out;
}

/// 32 random bytes in hex.
std::string invite_token() {
  return integrations::to_hex(*integrations::from_base64url(integrations::random_token(32)));
}

mail_draft invitation_mail(const persistence::user& owner, const invitation& made,
                           const std::string& token_digest) {
  mail_draft out{.cause = "team_invite:" + integrations::to_hex(token_digest),
                 .kind = "team_invite",
                 .recipient = made.what.email,
                 .subject = "You have been invited to a team",
                 .text = {},
                 .html = {},
                 .link = made.url};
  auto who = owner.name.empty() ? owner.email : owner.name;
  write_bodies(
      out, {.before = {(who.empty() ? "Somebody" : who) +
                       " has invited you to join their team as " + made.what.role + "."},
            .label = "Accept the invitation",
            .after = {"The invitation is good until " + format_iso_s(made.what.expires_at) + ".",
                      "If you did not expect it, you need not do anything."}});
  return out;
}

/// Who may invite, as things stand in this transaction.
result<persistence::user> inviting_owner(transaction& tx, const user_id& who) {
  auto found = persistence::find_user(tx, who);
  if (!found) return found.error();
  if (!*found) return refused(errc::not_found, "User not found");
  if (!(*found)->account_owner.empty())
    return refused(errc::forbidden, "Only account owners can invite team members");
  return std::move(**found);
}

result<done> store_invitation(transaction& tx, const services* app, invitation made,
                              const std::string& token_digest, const std::string& address,
                              std::shared_ptr<invitation> stored,
                              std::shared_ptr<mail_draft> mail) {
  const auto now = made.what.created_at;
  if (auto locked = persistence::lock_users(tx, {made.what.owner}); !locked) return locked;
  auto owner = inviting_owner(tx, made.what.owner);
  if (!owner) return owner.error();
  auto known = persistence::find_user_by_email(tx, made.what.email);
  if (!known) return known.error();
  if (*known) return bad_field("email", "User already exists with this email");
  auto id = persistence::insert_invite(tx, made.what, token_digest);
  if (!id && id.error().code == errc::conflict)
    return bad_field("email", "Invite already sent to this email");
  if (!id) return id.error();
  made.what.id = std::move(*id);
  *mail = invitation_mail(*owner, made, token_digest);
  if (auto queued = persistence::queue_mail(tx, seal_mail(*app, *mail, now), now); !queued)
    return queued.error();
  *stored = std::move(made);
  return persistence::write_audit(
      tx, audit(owner->id, "TEAM_MEMBER_INVITED", stored->what.email, address), now);
}

// -- the actor -----------------------------------------------------------------------------------

struct team_state : actor_scope<team_actor::base> {
  static inline constexpr const char* name = "team";
  explicit team_state(team_actor::pointer s) : actor_scope{s} {}
  ~team_state() { clear(); }

  // -- who must hear of it ------------------------------------------------------------------------

  void on_committed(const std::vector<persistence::change>& changes) override {
    self()->send(app->front_end, changed{changes, true});
  }
  /// Who asks when our reply is there sees what was changed, whatever a session had kept.
  auto all_have_heard() {
    return asking<caught_up, team_actor::base, front_end_actor, catch_up>{
        *this, self(), app->front_end, catching_up, catch_up{}};
  }

  // -- one change of a team at a time -----------------------------------------------------------

  /// co_await: goes on when nobody else is at this team. It must be given up by `end_turn`.
  struct turn {
    team_state& state;
    user_id owner;
    bool await_ready() const { return state.lanes.try_emplace(owner).second; }
    void await_suspend(std::coroutine_handle<> waiter) { state.lanes[owner].push_back(waiter); }
    void await_resume() const noexcept {}
  };
  /// The next one goes on inside this call, until it waits for something else.
  void end_turn(const user_id& owner) {
    auto at = lanes.find(owner);
    if (at->second.empty()) {
      lanes.erase(at);
      return;
    }
    auto next = at->second.front();
    at->second.pop_front();
    resume(next);
  }

  template <class T>
  auto stored(access how, std::function<result<T>(transaction&)> body) {
    return storage_call<T>{*this, app->storage, storage_patience, how, std::move(body)};
  }
  const rate_limit& invite_limit() const {
    return app->config.limits[static_cast<std::size_t>(limit_class::platform_team_invite)];
  }

  /// Runs `what` in the team's turn; whatever it throws becomes its outcome.
  template <class Outcome, class... Args>
  task<Outcome> in_turn(user_id owner, task<Outcome> (team_state::*what)(Args...), Args... args) {
    turn mine{*this, owner};
    co_await mine;
    Outcome out{};
    try {
      out = co_await (this->*what)(std::move(args)...);
    } catch (const std::exception& e) {
      out.made = internal_fault(e.what());
    }
    end_turn(owner);
    co_return out;
  }

  // -- inviting ---------------------------------------------------------------------------------

  detached_frame serve(caf::typed_response_promise<invited_member> reply,
                       std::shared_ptr<const invitation_request> asked) {
    auto out = co_await in_turn<invitation_outcome>(asked->by, &team_state::invite, asked);
    reply.deliver(invited_member{std::make_shared<const invitation_outcome>(std::move(out))});
  }

  task<invitation_outcome> invite(std::shared_ptr<const invitation_request> asked) {
    invitation_outcome out;
    auto now = app->time->now();
    auto who = bind_sql(inviting_owner, asked->by);
    auto owner = co_await stored<persistence::user>(access::read, std::move(who));
    if (!owner) {
      out.made = owner.error();
      co_return out;
    }
    auto counting = bind_sql(count_invitation, asked->by, invite_limit(), now);
    auto counted = co_await stored<limit_report>(access::write, std::move(counting));
    if (!counted) {
      out.made = counted.error();
      co_return out;
    }
    out.limit = *counted;
    if (counted->retry_after > 0) {
      out.made = fault{errc::rate_limited};
      co_return out;
    }
    auto token = invite_token();
    auto digest = integrations::sha256(token);
    invitation made{.what = {.id = {},
                             .owner = asked->by,
                             .email = asked->email,
                             .role = asked->role,
                             .auto_assign = asked->auto_assign,
                             .expires_at = now + invite_life,
                             .created_at = now},
                    .url = asked->link_base + "/team/accept-invite?token=" + token};
    auto kept = std::make_shared<invitation>();
    auto mail = std::make_shared<mail_draft>();
    auto body = bind_sql(store_invitation, static_cast<const services*>(app), std::move(made),
                         digest, asked->address, kept, mail);
    auto done_ = co_await stored<done>(access::write, std::move(body));
    if (!done_) {
      out.made = done_.error();
      co_return out;
    }
    announce_mail(*app, *mail);
    out.made = std::move(*kept);
    co_return out;
  }

  // -- joining ----------------------------------------------------------------------------------

  detached_frame serve(caf::typed_response_promise<joined_team> reply,
                       std::shared_ptr<const joining_request> asked) {
    joining_outcome out;
    try {
      out = co_await join(asked);
    } catch (const std::exception& e) {
      out.made = internal_fault(e.what());
    }
    co_await all_have_heard();
    reply.deliver(joined_team{std::make_shared<const joining_outcome>(std::move(out))});
  }

  /// What the transaction of a joining gave.
  struct joined_outcome {
    result<joined> made{fault{}};
  };

  task<joining_outcome> join(std::shared_ptr<const joining_request> asked) {
    joining_outcome out;
    auto finding = bind_sql(config.books.find_invite, integrations::sha256(asked->token));
    auto invite =
        co_await stored<std::optional<persistence::found_invite>>(access::read, std::move(finding));
    if (!invite || !*invite) {
      out.made = invite ? unknown_invite() : invite.error();
      co_return out;
    }
    auto said =
        co_await in_turn<joined_outcome>((*invite)->what.owner, &team_state::take_in, asked);
    if (!said.made) {
      out.made = said.made.error();
      co_return out;
    }
    const auto& in = *said.made;
    joining made{.owner = in.owner,
                 .cluster_assigned = in.cluster_assigned,
                 .warning = {},
                 .projects = {},
                 .project_errors = {}};
    if (!in.cluster_assigned)
      made.warning = "The account owner has no cluster yet; one will be assigned later";
    else if (in.auto_assign && app->hopsworks_accounts)
      co_await give_roles(asked->who, in, made);
    out.made = std::move(made);
    co_return out;
  }

  task<joined_outcome> take_in(std::shared_ptr<const joining_request> asked) {
    joined_outcome out;
    auto body = bind_sql(config.books.join, *asked, app->time->now());
    out.made = co_await stored<joined>(access::write, std::move(body));
    co_return out;
  }

  /// The membership stands whatever comes of this.
  task<done> give_roles(user_id member, joined in, joining& out) {
    ensure_hopsworks_account wanted{member};
    auto account = co_await asking<hopsworks_identity, team_actor::base, hopsworks_accounts_actor,
                                   ensure_hopsworks_account>{*this, self(), app->hopsworks_accounts,
                                                             hopsworks_patience, std::move(wanted)};
    result<granted_roles> given{fault{}};
    if (account) {
      grant_project_role grant{.member = member,
                               .owner = in.owner,
                               .project = {},
                               .role = in.role,
                               .granted_by = in.owner};
      given = co_await asking<granted_roles, team_actor::base, hopsworks_accounts_actor,
                              grant_project_role>{*this, self(), app->hopsworks_accounts,
                                                  hopsworks_patience, std::move(grant)};
    } else {
      given = account.error();
    }
    if (given) {
      out.projects = std::move(given->projects);
      out.project_errors = std::move(given->errors);
      co_return done{};
    }
    log::warn("no roles given to a new team member",
              {{"member", member.value}, {"why", to_string(given.error())}});
    out.warning = "The owner's projects could not be assigned";
    co_return done{};
  }

  /// What a reported login had promised (join_if_invited).
  struct promise_kept {
    result<done> made{fault{}};
  };

  detached_frame serve(caf::typed_response_promise<promised_roles_given> reply,
                       give_promised_roles asked) {
    auto promised = co_await find_promise(asked.member);
    if (promised && *promised) {
      auto kept = co_await in_turn<promise_kept>((*promised)->owner, &team_state::keep_promise,
                                                 asked.member);
      if (!kept.made)
        log::warn("promised roles not settled",
                  {{"member", asked.member.value}, {"why", to_string(kept.made.error())}});
    }
    reply.deliver(promised_roles_given{});
  }

  task<promise_kept> keep_promise(user_id member) {
    promise_kept out{done{}};
    // As it is in this turn: the one before may have kept it.
    auto promised = co_await find_promise(member);
    if (!promised || !*promised) co_return out;
    joined in{.owner = (*promised)->owner, .cluster_assigned = true, .role = (*promised)->role};
    joining given;
    co_await give_roles(member, in, given);
    auto failure = given.warning;
    for (const auto& e : given.project_errors) failure.append(failure.empty() ? "" : "; ") += e;
    auto body =
        bind_sql(config.books.settle_promised_roles, member, std::move(failure), app->time->now());
    out.made = co_await stored<done>(access::write, std::move(body));
    co_return out;
  }

  task<result<std::optional<persistence::promised_roles>>> find_promise(user_id member) {
    auto body = bind_sql(config.books.find_promised_roles, std::move(member));
    co_return co_await stored<std::optional<persistence::promised_roles>>(access::read,
                                                                          std::move(body));
  }

  // -- leaving ----------------------------------------------------------------------------------

  struct removal {
    result<done> made{fault{}};
  };

  detached_frame serve(caf::typed_response_promise<removed_member> reply, remove_member asked) {
    auto out = co_await in_turn<removal>(asked.owner, &team_state::remove, asked);
    co_await all_have_heard();
    out.made ? reply.deliver(removed_member{}) : reply.deliver(to_error(out.made.error()));
  }

  task<removal> remove(remove_member asked) {
    removal out;
    auto body = bind_sql(config.books.remove, std::move(asked), app->time->now());
    out.made = co_await stored<done>(access::write, std::move(body));
    co_return out;
  }

  template <class Reply, class Asked>
  caf::result<Reply> begin(Asked asked) {
    auto reply = self()->make_response_promise<Reply>();
    adopt(serve(reply, std::move(asked)));
    return reply;
  }

  services* app = nullptr;
  team_config config{};
  std::map<user_id, std::deque<std::coroutine_handle<>>> lanes{}; // teams that somebody is at
};

team_actor::behavior_type team(team_actor::stateful_pointer<team_state> self, services* app,
                               team_config config) {
  self->state.app = app;
  self->state.config = std::move(config);
  return {
      [self](const invite_member& m) { return self->state.begin<invited_member>(m.what); },
      [self](const join_team& m) { return self->state.begin<joined_team>(m.what); },
      [self](const remove_member& m) { return self->state.begin<removed_member>(m); },
      [self](const give_promised_roles& g) { return self->state.begin<promised_roles_given>(g); },
  };
}

} // namespace

result<limit_report> count_invitation(transaction& tx, const user_id& owner,
                                      const rate_limit& limit, time_point now) {
  auto key = "invites:" + owner.value;
  auto state = persistence::lock_rate_window(tx, key, now);
  if (!state) return state.error();
  auto window = sliding_window::from_text(*state);
  auto said = window.admit(limit, now);
  persistence::rate_window row{.key = std::move(key)};
  window.append_to(row.state);
  row.expires_at = std::max(now, window.expires_at(limit));
  if (auto saved = persistence::save_rate_windows(tx, {std::move(row)}); !saved)
    return saved.error();
  return report_of(limit_class::platform_team_invite, limit, said, now);
}

namespace {

/// `invite` as it is once the people concerned are locked.
result<joined> join(transaction& tx, const std::optional<persistence::team_invite>& invite,
                    const user_id& who, const std::string& address, time_point now) {
  if (!invite) return unknown_invite();
  if (invite->expires_at <= now) return refused(errc::gone, "Invite has expired");
  auto member = persistence::find_user(tx, who);
  if (!member) return member.error();
  if (!*member) return refused(errc::not_found, "User not found");
  if ((*member)->email != invite->email)
    return refused(errc::forbidden, "This invite is for a different email address");
  if (!(*member)->account_owner.empty())
    return refused(errc::bad_request, "You are already part of a team");
  auto leads = persistence::has_team_members(tx, who);
  if (!leads) return leads.error();
  if (*leads)
    return refused(errc::bad_request, "Account owners with team members cannot join a team");
  auto owner = persistence::find_user(tx, invite->owner);
  if (!owner) return owner.error();
  if (!*owner || (*owner)->status != "active" || !(*owner)->account_owner.empty())
    return unknown_invite(); // whoever sent it has no team any more
  if (auto in = persistence::add_team_member(tx, invite->owner, who, now); !in) return in.error();
  if (auto used = persistence::accept_invite(tx, invite->id, who, now); !used) return used.error();
  // A member invites nobody.
  if (auto gone = persistence::delete_invites_of(tx, who); !gone) return gone.error();
  auto cluster = persistence::assign_free_cluster(tx, who, now);
  if (!cluster && cluster.error().code != errc::unprocessable) return cluster.error();
  auto noted =
      persistence::write_audit(tx, audit(who, "TEAM_JOINED", invite->owner.value, address), now);
  if (!noted) return noted.error();
  return joined{.owner = invite->owner,
                .cluster_assigned = cluster.has_value(),
                .role = invite->role,
                .auto_assign = invite->auto_assign};
}

} // namespace

// People before invitations: whoever joins also deletes the invitations that they have sent.

result<joined> join_by_invite(transaction& tx, const joining_request& asked, time_point now) {
  auto digest = integrations::sha256(asked.token);
  auto seen = persistence::find_invite(tx, digest);
  if (!seen) return seen.error();
  if (!*seen) return unknown_invite();
  if (auto locked = persistence::lock_users(tx, {(*seen)->what.owner, asked.who}); !locked)
    return locked.error();
  auto invite = persistence::lock_invite(tx, digest);
  if (!invite) return invite.error();
  return join(tx, *invite, asked.who, asked.address, now);
}

result<done> take_out_of_team(transaction& tx, const remove_member& r, time_point now) {
  if (auto locked = persistence::lock_users(tx, {r.owner, r.member}); !locked) return locked;
  auto removed = persistence::remove_team_member(tx, r.owner, r.member, now);
  if (!removed) return removed;
  return persistence::write_audit(
      tx, audit(r.owner, "TEAM_MEMBER_REMOVED", r.member.value, r.address), now);
}

result<std::optional<joined>> join_if_invited(transaction& tx, const user_id& who,
                                              const std::string& email, const std::string& address,
                                              time_point now) {
  auto seen = persistence::open_invite_for(tx, email, now);
  if (!seen) return seen.error();
  if (!*seen) return std::optional<joined>{};
  if (auto locked = persistence::lock_users(tx, {(*seen)->owner, who}); !locked)
    return locked.error();
  auto invite = persistence::lock_invite_of_id(tx, (*seen)->id);
  if (!invite) return invite.error();
  if (!*invite) return std::optional<joined>{}; // withdrawn meanwhile
  auto in = join(tx, *invite, who, address, now);
  if (!in) return in.error();
  if (in->auto_assign && in->cluster_assigned)
    if (auto promised = persistence::promise_roles(tx, who, now); !promised)
      return promised.error();
  return std::optional{std::move(*in)};
}

team_actor spawn_team(caf::actor_system& system, services& app, team_config config) {
  return system.spawn(team, &app, std::move(config));
}

} // namespace binnacle
