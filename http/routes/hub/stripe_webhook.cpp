#include "actors/stripe_door.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/replies.hpp"

namespace binnacle::http {

/// hub.md §10, with the errors in its own shape.
task<result<response>> post_hub_stripe_webhook(context& ctx) {
  auto received = co_await receive_stripe_event(ctx);
  if (received) co_return written({{"received", true}});
  const auto& why = received.error();
  auto text = why.code == errc::bad_request ? "Invalid signature"
              : !why.text.empty()           ? why.text.c_str()
                                            : "webhook_error";
  auto out = written({{"error", true}, {"message", text}}, describe(why.code).status);
  out.log_detail = to_string(why);
  co_return out;
}

} // namespace binnacle::http
