/// Every message the actors exchange, and the one block that registers them.
/// Requests are imperative, replies are nouns, notices are in the past tense.
#pragma once

#include "actors/exchange.hpp"
#include "persistence/stripe_events.hpp"
#include "persistence/transaction.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/timespan.hpp>
#include <caf/type_id.hpp>
#include <memory>
#include <string>
#include <vector>

namespace binnacle::integrations {
struct allocation_set;
struct http_answer;
struct http_call;
struct login_provider;
struct token_claims;
} // namespace binnacle::integrations
namespace binnacle::stripe {
struct call;
}
namespace binnacle::mail {
struct message;
}

namespace binnacle {

struct books_report;
struct invitation_request;
struct invitation_outcome;
struct joining_request;
struct joining_outcome;

/// What a blocking worker has at hand; `db` is null outside the storage pool.
struct worker_tools;

class query_job_base;

/// A piece of blocking work. Its result stays inside, for whoever made it: the reply only says that
/// it has run. Run by one worker, once.
class job {
public:
  virtual ~job() = default;
  virtual void run(worker_tools& tools) = 0;
  /// Not null: it may be run together with its neighbours in the queue (async.hpp).
  virtual query_job_base* as_query() { return nullptr; }
};

// -- front end and sessions ---------------------------------------------------------------------

/// A request to resolve, to serve, or to answer.
struct incoming {
  ticket what{};
};
/// The credential of a request was examined; `what->presented` says what it is.
struct authenticated {
  ticket what{};
};
/// Data of these topics and users changed in the database.
struct changed {
  std::vector<persistence::change> what{};
  bool early = false; // from who made the change: the database's own notice of it is yet to come
};
/// The front end: reply `caught_up` when what was `changed` before is known to the sessions.
struct catch_up {};
struct caught_up {};
/// A session: finish what is in flight, save the windows, end.
struct passivate {};
/// A session: idle for a while, keep only what cannot be read from the database again.
struct trim {};
/// The front end: look for idle sessions.
struct sweep {};
/// The front end: end all sessions, then reply `drained`.
struct drain {};
struct drained {
  std::uint64_t sessions = 0;
};
/// The front end: the session of this key has ended.
struct session_ended {
  std::string key{};
};

// -- rate-limit windows that outlive a session --------------------------------------------------

/// Windows of "user:<id>" or "addr:<address>", as text; worth nothing after `expires_at` (unix ms).
struct keep_windows {
  std::string key{};
  std::string state{};
  std::int64_t expires_at = 0;
};
/// Reply `kept_windows` with what has not been written to the database yet.
struct recall_windows {
  std::string key{};
};
struct kept_windows {
  bool found = false;
  std::string state{};
};
/// Write everything out, then reply `flushed`.
struct flush_windows {};
struct flushed {
  std::uint64_t windows = 0;
  bool saved = true;
};

// -- blocking work ------------------------------------------------------------------------------

struct perform {
  std::shared_ptr<job> what{};
};
struct performed {};
/// To a worker: one job, or several queries.
struct work {
  std::vector<std::shared_ptr<job>> what{};
};
/// A worker has done its work.
struct worker_idled {
  std::uint64_t index = 0;
};

// -- identity -----------------------------------------------------------------------------------

/// Fetch the public keys of the issuer with this index.
struct fetch_keys {
  std::uint64_t issuer = 0;
};
/// `document` is empty when the fetch failed.
struct fetched_keys {
  std::uint64_t issuer = 0;
  std::string document{};
  std::int64_t lifetime_seconds = 0;
};

// -- usage --------------------------------------------------------------------------------------

/// Collect [from, to), unix seconds, whole hours; both 0: the present hour as far as it has come.
struct collect_usage {
  std::int64_t from = 0;
  std::int64_t to = 0;
  bool again = false;   // also hours that are complete already
  bool dry_run = false; // ask the upstream, book nothing
};
/// The outcome as JSON, in the shape that `POST /api/usage/collect-opencost` answers with.
struct collection {
  std::int64_t successful = 0;        // namespaces with an owner
  std::int64_t failed = 0;            // namespaces without one, and clusters that failed
  std::int64_t hours = 0;             // booked, over all clusters
  std::int64_t held = 0;              // left out: another collector was at them
  std::vector<std::string> unowned{}; // the namespaces without an owner, as cluster/namespace
  std::string report{};               // JSON
};
/// Ask one cluster's OpenCost about [from, to).
struct query_allocations {
  std::int64_t from = 0;
  std::int64_t to = 0;
};
/// `set` is null when the upstream failed; `failure` then says why, in words for an admin.
struct allocations {
  std::shared_ptr<const integrations::allocation_set> set{};
  std::string failure{};
};

// -- Stripe -------------------------------------------------------------------------------------

/// Make this call, unless it could not be sent within `patience`.
struct call_stripe {
  std::shared_ptr<const stripe::call> what{};
  caf::timespan patience{};
};
/// What Stripe answered in the end, whatever its status, or why there is no answer; never null.
struct stripe_answer {
  std::shared_ptr<const result<integrations::http_answer>> what{};
};
/// Make one HTTP call, now.
struct make_http_call {
  std::shared_ptr<const integrations::http_call> what{};
};
/// INTERNAL: a call's pause before its next attempt is over, or (`attempt` 0) its patience.
struct stripe_call_due {
  std::uint64_t id = 0;
  std::int64_t attempt = 0;
};

// -- Stripe's events ----------------------------------------------------------------------------

/// To be kept for the inbox; `stripe_event_kept` when it is.
struct keep_stripe_event {
  persistence::stripe_event what{};
};
struct stripe_event_kept {
  bool repeated = false; // it was there already
};
/// The inbox has something new.
struct stripe_event_stored {};
/// Read from Stripe what no webhook has brought, then reply `healed_events`.
struct heal_stripe_events {};
struct healed_events {
  std::int64_t listed = 0; // undelivered, says Stripe
  std::int64_t missed = 0; // of these, unknown to us until now
};

// -- upstreams with a plain HTTP API --------------------------------------------------------------

/// Make this call, unless it could not be sent within `patience`.
struct call_upstream {
  std::shared_ptr<const integrations::http_call> what{};
  caf::timespan patience{};
  bool repeatable = true; // false: once it was sent, it is not sent again
};
/// What the upstream answered in the end, whatever its status, or why there is no answer.
struct upstream_answer {
  std::shared_ptr<const result<integrations::http_answer>> what{};
};
/// INTERNAL: a call's pause before its next attempt is over, or (`attempt` 0) its patience.
struct upstream_call_due {
  std::uint64_t id = 0;
  std::int64_t attempt = 0;
};

// -- logins through a provider --------------------------------------------------------------------

struct find_login_provider {};
struct found_login_provider {
  std::shared_ptr<const integrations::login_provider> what{};
};
/// Trade the code of a callback for an ID token, and verify that.
struct redeem_login {
  std::string code{};
  std::string redirect_uri{};
  std::string verifier{}; // PKCE
  std::string nonce{};
};
/// Who has logged in.
struct redeemed_login {
  std::shared_ptr<const integrations::token_claims> what{};
};

// -- billing accounts ---------------------------------------------------------------------------

/// The user's customer at Stripe, made if there is none.
struct ensure_customer {
  user_id who{};
};
struct customer_account {
  std::string id{}; // cus_…
};
/// The user's subscription that bills usage, made (with the customer) if there is none that lives.
struct ensure_subscription {
  user_id who{};
};
struct subscription_state {
  std::string id{};     // sub_…
  std::string status{}; // Stripe's
};

// -- meters --------------------------------------------------------------------------------------

/// Report booked usage to Stripe's meters.
struct sync_meters {
  bool plan = true;     // also usage that has no report yet; else only what is under way
  bool dry_run = false; // only tell what would be planned
};
/// The outcome as JSON, in the shape that `POST /api/billing/sync-stripe` answers with.
struct meter_sync {
  std::int64_t successful = 0; // users' days
  std::int64_t failed = 0;     // users' days with a report that was not certainly delivered
  std::string report{};        // JSON
};

// -- the books ----------------------------------------------------------------------------------

/// Compare the books of the days in [from, to), unix seconds, midnights; of all users, or of one.
struct reconcile_books {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string user{};
  bool stripe = false;   // also with what Stripe has counted
  bool opencost = false; // also with what the clusters' OpenCosts say
};
struct reconciled_books {
  std::shared_ptr<const books_report> what{};
};

// -- mail ----------------------------------------------------------------------------------------

/// The outbox has something new.
struct mail_queued {};
/// Make one attempt to send this, now.
struct deliver_mail {
  std::shared_ptr<const mail::message> what{};
};
/// What came of it, as an answer over HTTP (integrations/mail.hpp); never null.
struct mail_delivery {
  std::shared_ptr<const result<integrations::http_answer>> what{};
};

// -- teams ---------------------------------------------------------------------------------------

/// Invite somebody to a team, or join one (actors/team.hpp).
struct invite_member {
  std::shared_ptr<const invitation_request> what{};
};
struct invited_member {
  std::shared_ptr<const invitation_outcome> what{};
};
struct join_team {
  std::shared_ptr<const joining_request> what{};
};
struct joined_team {
  std::shared_ptr<const joining_outcome> what{};
};
/// `member` leaves the team of `owner`; `address` is the client's, for the audit log.
struct remove_member {
  user_id owner{};
  user_id member{};
  std::string address{};
};
struct removed_member {};
/// Give a member the roles in the owner's projects that joining has promised (teams.hpp).
struct give_promised_roles {
  user_id member{};
};
/// They are given, or what went wrong is noted and they are still promised.
struct promised_roles_given {};

template <class I>
typename I::result_type inspect(I& f, changed&) {
  return f(caf::meta::type_name("changed"));
}
template <class I>
typename I::result_type inspect(I& f, catch_up&) {
  return f(caf::meta::type_name("catch_up"));
}
template <class I>
typename I::result_type inspect(I& f, caught_up&) {
  return f(caf::meta::type_name("caught_up"));
}
template <class I>
typename I::result_type inspect(I& f, passivate&) {
  return f(caf::meta::type_name("passivate"));
}
template <class I>
typename I::result_type inspect(I& f, trim&) {
  return f(caf::meta::type_name("trim"));
}
template <class I>
typename I::result_type inspect(I& f, sweep&) {
  return f(caf::meta::type_name("sweep"));
}
template <class I>
typename I::result_type inspect(I& f, drain&) {
  return f(caf::meta::type_name("drain"));
}
template <class I>
typename I::result_type inspect(I& f, drained& x) {
  return f(caf::meta::type_name("drained"), x.sessions);
}
template <class I>
typename I::result_type inspect(I& f, session_ended& x) {
  return f(caf::meta::type_name("session_ended"), x.key);
}
template <class I>
typename I::result_type inspect(I& f, keep_windows& x) {
  return f(caf::meta::type_name("keep_windows"), x.key, x.state, x.expires_at);
}
template <class I>
typename I::result_type inspect(I& f, recall_windows& x) {
  return f(caf::meta::type_name("recall_windows"), x.key);
}
template <class I>
typename I::result_type inspect(I& f, kept_windows& x) {
  return f(caf::meta::type_name("kept_windows"), x.found, x.state);
}
template <class I>
typename I::result_type inspect(I& f, flush_windows&) {
  return f(caf::meta::type_name("flush_windows"));
}
template <class I>
typename I::result_type inspect(I& f, flushed& x) {
  return f(caf::meta::type_name("flushed"), x.windows, x.saved);
}
template <class I>
typename I::result_type inspect(I& f, performed&) {
  return f(caf::meta::type_name("performed"));
}
template <class I>
typename I::result_type inspect(I& f, worker_idled& x) {
  return f(caf::meta::type_name("worker_idled"), x.index);
}
template <class I>
typename I::result_type inspect(I& f, fetch_keys& x) {
  return f(caf::meta::type_name("fetch_keys"), x.issuer);
}
template <class I>
typename I::result_type inspect(I& f, fetched_keys& x) {
  return f(caf::meta::type_name("fetched_keys"), x.issuer, x.document, x.lifetime_seconds);
}
template <class I>
typename I::result_type inspect(I& f, collect_usage& x) {
  return f(caf::meta::type_name("collect_usage"), x.from, x.to, x.again, x.dry_run);
}
template <class I>
typename I::result_type inspect(I& f, collection& x) {
  return f(caf::meta::type_name("collection"), x.successful, x.failed, x.hours, x.held, x.unowned,
           x.report);
}
template <class I>
typename I::result_type inspect(I& f, query_allocations& x) {
  return f(caf::meta::type_name("query_allocations"), x.from, x.to);
}
template <class I>
typename I::result_type inspect(I& f, stripe_call_due& x) {
  return f(caf::meta::type_name("stripe_call_due"), x.id, x.attempt);
}
template <class I>
typename I::result_type inspect(I& f, stripe_event_kept& x) {
  return f(caf::meta::type_name("stripe_event_kept"), x.repeated);
}
template <class I>
typename I::result_type inspect(I& f, stripe_event_stored&) {
  return f(caf::meta::type_name("stripe_event_stored"));
}
template <class I>
typename I::result_type inspect(I& f, heal_stripe_events&) {
  return f(caf::meta::type_name("heal_stripe_events"));
}
template <class I>
typename I::result_type inspect(I& f, healed_events& x) {
  return f(caf::meta::type_name("healed_events"), x.listed, x.missed);
}
template <class I>
typename I::result_type inspect(I& f, ensure_customer& x) {
  return f(caf::meta::type_name("ensure_customer"), x.who.value);
}
template <class I>
typename I::result_type inspect(I& f, customer_account& x) {
  return f(caf::meta::type_name("customer_account"), x.id);
}
template <class I>
typename I::result_type inspect(I& f, ensure_subscription& x) {
  return f(caf::meta::type_name("ensure_subscription"), x.who.value);
}
template <class I>
typename I::result_type inspect(I& f, subscription_state& x) {
  return f(caf::meta::type_name("subscription_state"), x.id, x.status);
}
template <class I>
typename I::result_type inspect(I& f, sync_meters& x) {
  return f(caf::meta::type_name("sync_meters"), x.plan, x.dry_run);
}
template <class I>
typename I::result_type inspect(I& f, meter_sync& x) {
  return f(caf::meta::type_name("meter_sync"), x.successful, x.failed, x.report);
}
template <class I>
typename I::result_type inspect(I& f, upstream_call_due& x) {
  return f(caf::meta::type_name("upstream_call_due"), x.id, x.attempt);
}
template <class I>
typename I::result_type inspect(I& f, find_login_provider&) {
  return f(caf::meta::type_name("find_login_provider"));
}
template <class I>
typename I::result_type inspect(I& f, reconcile_books& x) {
  return f(caf::meta::type_name("reconcile_books"), x.from, x.to, x.user, x.stripe, x.opencost);
}
template <class I>
typename I::result_type inspect(I& f, mail_queued&) {
  return f(caf::meta::type_name("mail_queued"));
}
template <class I>
typename I::result_type inspect(I& f, remove_member& x) {
  return f(caf::meta::type_name("remove_member"), x.owner.value, x.member.value, x.address);
}
template <class I>
typename I::result_type inspect(I& f, removed_member&) {
  return f(caf::meta::type_name("removed_member"));
}
template <class I>
typename I::result_type inspect(I& f, give_promised_roles& x) {
  return f(caf::meta::type_name("give_promised_roles"), x.member.value);
}
template <class I>
typename I::result_type inspect(I& f, promised_roles_given&) {
  return f(caf::meta::type_name("promised_roles_given"));
}

} // namespace binnacle

// These stay inside the process: they hold handles and pointers, which cannot be serialised.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::incoming)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::authenticated)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::perform)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::allocations)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::call_stripe)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::stripe_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::make_http_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::reconciled_books)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::deliver_mail)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::mail_delivery)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::invite_member)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::invited_member)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::join_team)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::joined_team)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::keep_stripe_event)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::call_upstream)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::upstream_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::found_login_provider)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::redeem_login)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(binnacle::redeemed_login)

CAF_BEGIN_TYPE_ID_BLOCK(binnacle, caf::first_custom_type_id)

  CAF_ADD_TYPE_ID(binnacle, (binnacle::incoming))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::authenticated))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::changed))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::catch_up))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::caught_up))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::passivate))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::trim))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::sweep))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::drain))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::drained))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::session_ended))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::keep_windows))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::recall_windows))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::kept_windows))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::flush_windows))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::flushed))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::perform))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::performed))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::work))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::worker_idled))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::fetch_keys))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::fetched_keys))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::collect_usage))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::collection))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::query_allocations))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::allocations))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::call_stripe))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::stripe_answer))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::make_http_call))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::stripe_call_due))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::keep_stripe_event))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::stripe_event_kept))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::stripe_event_stored))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::heal_stripe_events))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::healed_events))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::ensure_customer))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::customer_account))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::ensure_subscription))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::subscription_state))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::sync_meters))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::meter_sync))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::call_upstream))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::upstream_answer))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::upstream_call_due))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::find_login_provider))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::found_login_provider))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::redeem_login))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::redeemed_login))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::reconcile_books))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::reconciled_books))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::mail_queued))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::deliver_mail))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::mail_delivery))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::invite_member))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::invited_member))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::join_team))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::joined_team))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::remove_member))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::removed_member))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::give_promised_roles))
  CAF_ADD_TYPE_ID(binnacle, (binnacle::promised_roles_given))

CAF_END_TYPE_ID_BLOCK(binnacle)

CAF_ERROR_CODE_ENUM(binnacle::errc, "binnacle")
