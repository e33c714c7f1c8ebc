#include "http/routes/checkout.hpp"

#include "actors/idempotency.hpp"

namespace binnacle::http {

std::string occasion(const context& ctx, std::string_view what) {
  auto out = std::string{what}.append(":").append(ctx.who().id.value).append(":");
  auto key = has_idempotency_key(ctx.req)
                 ? parse_idempotency_key(ctx.req.at(field::idempotency_key))
                 : result<std::string>{make_ulid(ctx.now())};
  return out.append(key ? *key : make_ulid(ctx.now()));
}

fault stripe_failed(const fault& f, errc otherwise) {
  switch (f.code) {
  case errc::internal: // stripe_not_configured
  case errc::unavailable:
  case errc::overloaded:
  case errc::timed_out:
  case errc::forbidden: // the billing actor's: a team member
    return f;
  default:
    return {otherwise, {}, {}, to_string(f)};
  }
}

fault stripe_not_configured() { return {errc::internal, "stripe_not_configured", {}, {}}; }

} // namespace binnacle::http
