#include "actors/stripe_door.hpp"

#include "actors/event_effects.hpp"
#include "config/base/metrics.hpp"
#include "integrations/stripe/signature.hpp"

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
  return to_inbox(config, *read, ctx.req.body);
}

} // namespace

persistence::stripe_event to_inbox(const stripe_settings& config, const stripe::event& e,
                                   std::string payload) {
  auto effect = effect_of(e.type);
  auto by_payment = effect == event_effect::reversal && !e.payment_intent.empty();
  const auto& key = by_payment             ? e.payment_intent
                    : !e.customer.empty()  ? e.customer
                    : !e.object_id.empty() ? e.object_id
                                           : e.id;
  return {.id = e.id,
          .type = e.type,
          .object_key = key,
          .livemode = e.livemode,
          .api_version = e.api_version,
          .created_at = e.created,
          .payload = std::move(payload),
          .inert = effect == event_effect::none && !is_of_other_mode(config, e.livemode)};
}

bool is_of_other_mode(const stripe_settings& config, bool livemode) {
  const auto& key = config.secret_key.reveal();
  auto live = key.starts_with("sk_live_") || key.starts_with("rk_live_");
  auto test = key.starts_with("sk_test_") || key.starts_with("rk_test_");
  return livemode ? test : live;
}

task<result<done>> receive_stripe_event(context& ctx) {
  auto event = open_webhook(ctx);
  if (!event) co_return event.error();
  keep_stripe_event brought{std::move(*event)};
  auto kept = co_await ctx.ask<stripe_event_kept>(ctx.app.stripe_intake, std::move(brought));
  if (!kept) {
    count("not_stored");
    co_return kept.error();
  }
  count(kept->repeated ? "duplicate" : "stored");
  co_return done{};
}

} // namespace binnacle
