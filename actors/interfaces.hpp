/// Every actor's interface, on one screen. What the messages mean is in messages.hpp; what an actor
/// guarantees is in its own header.
#pragma once

#include "actors/messages.hpp"

#include <caf/typed_actor.hpp>

namespace binnacle {

/// One per user and per anonymous address: rate-limit windows, cached summaries, handlers.
using session_actor = caf::typed_actor<
    // Serves one request, or sends it back to the front end when its credential is no good.
    caf::reacts_to<incoming>,
    // Drops what it cached of these topics; reloads its user when that is one of them.
    caf::reacts_to<changed>,
    // Has been idle: keeps only what cannot be read again.
    caf::reacts_to<trim>,
    // Finishes, saves its windows, ends.
    caf::reacts_to<passivate>>;

/// Finds or makes the session of a request.
using front_end_actor = caf::typed_actor<
    // A request from a connection, or from a session that refused its credential.
    caf::reacts_to<incoming>,
    // From identity: the credential has been examined.
    caf::reacts_to<authenticated>,
    // Passes changes on to the sessions concerned.
    caf::reacts_to<changed>,
    // From a session, just before it ends.
    caf::reacts_to<session_ended>,
    // INTERNAL: passivates and trims idle sessions, a part of them at a time.
    caf::reacts_to<sweep>,
    // Ends all sessions; replies when their windows are saved.
    caf::replies_to<drain>::with<drained>,
    // Replies when the changes that its sender told it of before have been passed on.
    caf::replies_to<catch_up>::with<caught_up>>;

/// Carries rate-limit windows over passivation and restarts: gathers them, writes them in batches.
using window_keeper_actor = caf::typed_actor<caf::reacts_to<keep_windows>,
                                             caf::replies_to<recall_windows>::with<kept_windows>,
                                             caf::replies_to<flush_windows>::with<flushed>,
                                             // INTERNAL: time to write.
                                             caf::reacts_to<caf::tick_atom>>;

/// Examines credentials: tokens, cookies.
using identity_actor = caf::typed_actor<
    // Sets `presented` and sends `authenticated` to the front end; answers 503 itself when it
    // cannot tell, and 429 when an address brings too many cookies that nobody has.
    caf::reacts_to<incoming>,
    // Forgets whose token subjects these users' were.
    caf::reacts_to<changed>>;

/// Fetches issuers' public keys over HTTP.
using key_fetcher_actor = caf::typed_actor<caf::replies_to<fetch_keys>::with<fetched_keys>>;

/// A bounded queue in front of blocking workers (storage, compute).
using pool_actor = caf::typed_actor<
    // Replies when the job has run; errc::overloaded at once when the queue is full.
    caf::replies_to<perform>::with<performed>,
    // INTERNAL: from its workers.
    caf::reacts_to<worker_idled>>;

/// Books what clusters report.
using usage_collector_actor = caf::typed_actor<
    // Collects and books; one collection at a time, others wait their turn. errc::bad_request: not
    // whole hours of the past; errc::unprocessable: no cluster has a kubeconfig; errc::overloaded:
    // too many wait.
    caf::replies_to<collect_usage>::with<collection>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

/// One cluster's OpenCost.
using opencost_actor = caf::typed_actor<
    // Replies with what OpenCost says, after retries.
    caf::replies_to<query_allocations>::with<allocations>,
    // INTERNAL: time for the next attempt.
    caf::reacts_to<caf::tick_atom>>;

/// Stripe's API, for everybody.
using stripe_actor = caf::typed_actor<
    // Replies with what Stripe says, after retries; errc::overloaded when too many wait.
    caf::replies_to<call_stripe>::with<stripe_answer>,
    // INTERNAL: time for a call's next attempt, or the end of its patience.
    caf::reacts_to<stripe_call_due>,
    // INTERNAL: there may be a token for the next call.
    caf::reacts_to<caf::tick_atom>>;

/// Who a user is to Stripe: one customer and one subscription for usage, however often and from
/// wherever they are asked for.
using billing_actor = caf::typed_actor<
    // Both reply with what there is in the end. errc::not_found: no such user; errc::forbidden: a
    // team member, whose owner pays; otherwise the fault of Stripe's call (stripe.hpp).
    caf::replies_to<ensure_customer>::with<customer_account>,
    // Also errc::unprocessable: no active product has a price at Stripe.
    caf::replies_to<ensure_subscription>::with<subscription_state>>;

/// Reports booked usage to Stripe's meters.
using meter_sync_actor = caf::typed_actor<
    // One run at a time, others wait their turn. errc::internal: Stripe is not configured;
    // errc::overloaded: too many wait.
    caf::replies_to<sync_meters>::with<meter_sync>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

/// Stores Stripe's events as they come in.
using stripe_intake_actor = caf::typed_actor<
    // Replies when the event is committed; a fault of the database, or errc::overloaded when too
    // many wait, otherwise.
    caf::replies_to<keep_stripe_event>::with<stripe_event_kept>>;

/// Applies Stripe's events.
using stripe_inbox_actor = caf::typed_actor<
    // Looks for work at once, not only at the next second.
    caf::reacts_to<stripe_event_stored>,
    // Replies when what Stripe could not deliver is stored; a fault of Stripe's call (stripe.hpp)
    // or of the database otherwise.
    caf::replies_to<heal_stripe_events>::with<healed_events>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

/// An upstream's HTTP API, for everybody.
using upstream_actor = caf::typed_actor<
    // Replies with what the upstream says, after retries; errc::overloaded when too many wait.
    caf::replies_to<call_upstream>::with<upstream_answer>,
    // INTERNAL: the pause before a call's next attempt is over, or its patience.
    caf::reacts_to<upstream_call_due>>;

/// The OpenID provider through which browsers log in.
using login_provider_actor = caf::typed_actor<
    // Both: errc::unavailable while the provider cannot be reached.
    caf::replies_to<find_login_provider>::with<found_login_provider>,
    // errc::unauthenticated: the provider refuses the code, or its ID token is no good.
    caf::replies_to<redeem_login>::with<redeemed_login>>;

/// Compares the books.
using reconciler_actor = caf::typed_actor<
    // One comparison at a time, others wait their turn. errc::overloaded: too many wait.
    caf::replies_to<reconcile_books>::with<reconciled_books>>;

/// Sends what stands in the outbox of mails.
using mailer_actor = caf::typed_actor<
    // Looks for work at once, not only at the next second.
    caf::reacts_to<mail_queued>,
    // INTERNAL: a second has passed.
    caf::reacts_to<caf::tick_atom>>;

/// Who belongs to which team: the changes of one team are made one after another. What went wrong
/// stands in the replies' outcomes; removing somebody is errc::not_found for who is no member.
using team_actor =
    caf::typed_actor<caf::replies_to<invite_member>::with<invited_member>,
                     caf::replies_to<join_team>::with<joined_team>,
                     caf::replies_to<remove_member>::with<removed_member>,
                     caf::replies_to<give_promised_roles>::with<promised_roles_given>>;

/// Listens for committed changes and tells the front end; publishes whether it is listening.
using notifier_actor = caf::typed_actor<caf::reacts_to<caf::tick_atom>>;

/// Runs the schedules.
using timers_actor = caf::typed_actor<caf::reacts_to<caf::tick_atom>>;

} // namespace binnacle
