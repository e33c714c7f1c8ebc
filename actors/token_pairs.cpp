#include "actors/token_pairs.hpp"

#include "config/base/log.hpp"
#include "integrations/tokens.hpp"
#include "integrations/vault.hpp"
#include "persistence/refresh_tokens.hpp"

namespace binnacle {
namespace {

fault refused(std::string why) {
  return {errc::unauthenticated, "Refresh token is invalid or expired", {}, std::move(why)};
}

/// Bound to whose it is: nobody is given a token that was sealed for somebody else.
std::string seal_context(const user_id& who) { return "refresh_token:" + who.value; }

integrations::token_claims claims_for(const context& ctx, const user_id& who, std::int64_t version,
                                      std::string kind) {
  const auto& config = ctx.app.config.identity;
  auto life = kind == "refresh" ? config.refresh_token_life : config.access_token_life;
  integrations::token_claims out;
  out.issuer = config.issuer;
  out.subject = who.value;
  out.kind = std::move(kind);
  out.session_version = version;
  out.issued_at = ctx.now();
  out.expires_at = ctx.now() + life;
  return out;
}

/// Signs on a compute worker: a signature takes a millisecond.
task<result<secret>> sign(context& ctx, integrations::token_claims claims) {
  auto job = [signer = ctx.app.signer, claims] { return secret{signer->sign(claims)}; };
  co_return co_await ctx.compute(job);
}

task<result<secret>> sign_access(context& ctx, const persistence::user& who) {
  auto claims = claims_for(ctx, who.id, who.session_version, "access");
  claims.email = who.email;
  return sign(ctx, std::move(claims));
}

/// A refresh token that has not been issued yet.
struct draft {
  secret text{};
  persistence::refresh_token row{};
};
task<result<draft>> draft_refresh(context& ctx, user_id who, std::int64_t version) {
  auto claims = claims_for(ctx, who, version, "refresh");
  draft out;
  out.row.expires_at = claims.expires_at;
  auto text = co_await sign(ctx, std::move(claims));
  if (!text) co_return text.error();
  out.text = std::move(*text);
  out.row.digest = integrations::sha256(out.text.reveal());
  co_return out;
}

/// Whose refresh token it says it is; its signature is good.
result<integrations::token_claims> read_refresh(const context& ctx, const secret& token) {
  const auto& config = ctx.app.config.identity;
  issuer_settings own{.issuer = config.issuer, .audience = config.issuer};
  auto claims = integrations::verify_token(token.reveal(), own, *ctx.app.signer->public_keys(),
                                           ctx.now(), config.clock_leeway);
  if (!claims) return refused(claims.error().detail);
  if (claims->kind != "refresh") return refused("not a refresh token");
  return claims;
}

persistence::audit_entry audit(const context& ctx, const user_id& who, std::string action) {
  persistence::audit_entry out;
  out.actor = who;
  out.action = std::move(action);
  out.target = who.value;
  out.address = ctx.req.client_address;
  return out;
}

result<persistence::refreshed> use(persistence::transaction& tx, const user_id& who,
                                   const std::string& digest,
                                   const persistence::refresh_token& successor,
                                   const std::string& sealed,
                                   const persistence::audit_entry& if_reused, time_point now) {
  auto used =
      persistence::use_refresh_token(tx, who, digest, successor, sealed, reuse_interval, now);
  if (used && used->what == persistence::refreshing::reused)
    if (auto noted = persistence::write_audit(tx, if_reused, now); !noted) return noted.error();
  return used;
}

} // namespace

task<result<token_pair>> issue_tokens(context& ctx, persistence::user who) {
  auto first = co_await draft_refresh(ctx, who.id, who.session_version);
  if (!first) co_return first.error();
  auto access = co_await sign_access(ctx, who);
  if (!access) co_return access.error();
  auto begun = co_await ctx.write(persistence::insert_refresh_token, who.id, who.session_version,
                                  first->row, ctx.now());
  if (!begun) co_return begun.error();
  token_pair out{std::move(*access), std::move(first->text)};
  co_return out;
}

task<result<token_pair>> refresh_tokens(context& ctx, secret refresh) {
  auto claims = read_refresh(ctx, refresh);
  if (!claims) co_return claims.error();
  user_id who{claims->subject};
  // Made before it is known whether it is needed, so that the transaction waits for nothing.
  auto successor = co_await draft_refresh(ctx, who, claims->session_version);
  if (!successor) co_return successor.error();
  auto sealed = ctx.app.vault->seal(successor->text, seal_context(who));
  auto digest = integrations::sha256(refresh.reveal());
  auto if_reused = audit(ctx, who, "REFRESH_TOKEN_REUSED");
  auto used = co_await ctx.write(use, who, digest, successor->row, sealed, if_reused, ctx.now());
  if (!used) co_return used.error();
  token_pair out;
  switch (used->what) {
  case persistence::refreshing::refused:
    co_return refused("not a live refresh token");
  case persistence::refreshing::reused:
    log::warn("a refresh token was used twice: its family ends", {{"user", who.value}});
    co_return refused("used before");
  case persistence::refreshing::rotated:
    out.refresh = std::move(successor->text);
    break;
  case persistence::refreshing::repeated: {
    auto newest = ctx.app.vault->unseal(used->newest, seal_context(who));
    if (!newest) co_return newest.error();
    out.refresh = std::move(*newest);
    break;
  }
  }
  auto access = co_await sign_access(ctx, *used->who);
  if (!access) co_return access.error();
  out.access = std::move(*access);
  co_return out;
}

task<result<done>> end_tokens(context& ctx, secret refresh) {
  auto claims = read_refresh(ctx, refresh);
  if (!claims) co_return claims.error();
  user_id who{claims->subject};
  auto digest = integrations::sha256(refresh.reveal());
  co_return co_await ctx.write(persistence::revoke_refresh_family, who, digest, ctx.now());
}

} // namespace binnacle
