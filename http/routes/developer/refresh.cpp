#include "actors/token_pairs.hpp"

#include "http/routes/body.hpp"
#include "http/routes/developer/handlers.hpp"
#include "http/routes/replies.hpp"

namespace binnacle::http {
namespace {

result<secret> read_token(const request& req) {
  auto body = json_fields::of(req);
  if (!body) return body.error();
  body->require({"refreshToken"});
  auto out = body->secret("refreshToken");
  if (body->problem()) return *body->problem();
  return out;
}

} // namespace

// Without the envelope of the other answers: so the contract has it.
task<result<response>> post_refresh(context& ctx) {
  auto token = read_token(ctx.req);
  if (!token) co_return token.error();
  auto fresh = co_await refresh_tokens(ctx, std::move(*token));
  if (!fresh) co_return fresh.error();
  co_return written(
      {{"accessToken", fresh->access.reveal()}, {"refreshToken", fresh->refresh.reveal()}});
}

task<result<response>> post_end_refresh(context& ctx) {
  auto token = read_token(ctx.req);
  if (!token) co_return token.error();
  auto ended = co_await end_tokens(ctx, std::move(*token));
  if (!ended) co_return ended.error();
  co_return written({{"message", "Logged out"}});
}

} // namespace binnacle::http
