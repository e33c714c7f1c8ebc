#include "actors/stripe_door.hpp"

#include "config/base/metrics.hpp"
#include "integrations/stripe/signature.hpp"

#include <caf/send.hpp>

namespace binnacle {
namespace {

using stripe::verdict;

void count(const char* outcome) {
  metrics::counter("binnacle_stripe_webhooks_total", "Webhooks of Stripe", {{"outcome", outcome}})
      .Increment();
}

const char* name_of(verdict v) {
  static constexpr std::array names{"genuine", "no_header",     "no_timestamp", "no_signature",
                                    "too_old", "in_the_future", "no_match"};
  return names[static_cast<std::size_t>(v)];
}

fault refused(const char* outcome, std::string text) {
  count(outcome);
  return {errc::bad_request, std::move(text), {}, outcome};
}

/// The event that the request brings, if Stripe has signed it.
result<persistence::stripe_event> open_webhook(const context& ctx) {
  const auto& config = ctx.app.config.stripe;
  auto secrets = config.signing_secrets();
  if (secrets.empty() || config.secret_key.empty()) {
    count("not_configured");
    return fault{errc::internal, "Stripe not configured", {}, "no API key or no webhook secret"};
  }
  auto tolerance = std::chrono::floor<seconds>(config.webhook_tolerance);
  auto said = stripe::verify_signature(ctx.req.at(field::stripe_signature), ctx.req.body, secrets,
                                       tolerance, ctx.now());
  if (said != verdict::genuine) return refused(name_of(said), std::string{stripe::to_string(said)});
  auto read = stripe::read_event(ctx.req.body);
  if (!read) return refused("no_event", "The body is no event");
  return to_inbox(*read, ctx.req.body);
}

} // namespace

persistence::stripe_event to_inbox(const stripe::event& e, std::string payload) {
  const auto& key = !e.customer.empty() ? e.customer : !e.object_id.empty() ? e.object_id : e.id;
  return {.id = e.id,
          .type = e.type,
          .object_key = key,
          .livemode = e.livemode,
          .api_version = e.api_version,
          .created_at = e.created,
          .payload = std::move(payload)};
}

task<result<done>> receive_stripe_event(context& ctx) {
  auto event = open_webhook(ctx);
  if (!event) co_return event.error();
  auto stored = co_await ctx.append(persistence::store_stripe_event, std::move(*event),
                                    persistence::event_source::webhook, ctx.now());
  if (!stored) {
    count("not_stored");
    co_return stored.error();
  }
  count(*stored ? "stored" : "duplicate");
  if (*stored) caf::anon_send(ctx.app.stripe_inbox, stripe_event_stored{});
  co_return done{};
}

} // namespace binnacle
