#include "actors/stripe_door.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

namespace binnacle::http {

/// platform.md §6. Stripe shows its users what it was answered, so a refusal says what is wrong.
task<result<response>> post_stripe_webhook(context& ctx) {
  auto received = co_await receive_stripe_event(ctx);
  if (received) co_return written({{"received", true}});
  const auto& why = received.error();
  auto out = written({{"error", "Webhook processing failed"}}, describe(why.code).status);
  if (why.code == errc::bad_request) {
    out.content_type = "text/plain; charset=utf-8";
    out.body = "Webhook Error: " + why.text;
  }
  out.log_detail = to_string(why);
  co_return out;
}

} // namespace binnacle::http
