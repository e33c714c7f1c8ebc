#include "actors/event_stream.hpp"
#include "http/routes/operations/handlers.hpp"

namespace binnacle::http {

/// The session adds what its client has missed, and from then on what changes.
task<result<response>> get_events(context& ctx) {
  response out;
  out.content_type = "text/event-stream; charset=utf-8";
  out.cache = caching::no_store;
  out.headers.emplace_back("X-Accel-Buffering", "no"); // nginx would hold events back
  auto generation = ctx.app.change_generation.load(std::memory_order_acquire);
  out.stream = std::make_shared<event_stream>(ctx.credential_held(), generation);
  co_return out;
}

} // namespace binnacle::http
