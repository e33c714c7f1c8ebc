#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {

/// A sync of many customers takes as long as Stripe's rate wants it to. Who called is told when it
/// is not over in time; the run goes on, and GET /api/admin/timers and /metrics show its end.
task<result<response>> sync_stripe(context& ctx) {
  if (!ctx.app.config.stripe.configured())
    co_return fault{errc::internal, "stripe_not_configured", {}, {}};
  sync_meters everything;
  auto done = co_await ctx.ask<meter_sync>(ctx.app.meter_sync, everything, milliseconds{1'000});
  if (!done && done.error().code == errc::timed_out)
    co_return written({{"message", "Usage sync is still running"}}, 202);
  if (!done) co_return done.error();
  response out;
  out.body = std::move(done->report);
  out.cache = caching::no_store;
  co_return out;
}

} // namespace binnacle::http
