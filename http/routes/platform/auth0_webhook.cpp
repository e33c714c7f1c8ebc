#include "actors/stripe_adoption.hpp"
#include "actors/team.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/registrations.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

/// Kept of the request's time for its answer: the caller is an Action that a login waits for.
constexpr seconds reserve{2};

/// Whatever Auth0 lets in: a login must not fail for an address that we would not write to.
bool may_be_email(std::string_view text) {
  auto at = text.find('@');
  auto inner = [](char c) { return c > 0x20 && c < 0x7F ? true : static_cast<signed char>(c) < 0; };
  return at != text.npos && at > 0 && at + 1 < text.size() && text.rfind('@') == at &&
         std::ranges::all_of(text, inner);
}

result<persistence::reported_login> read_login(const context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) return body.error();
  body->require({"user_id", "email"});
  persistence::reported_login out;
  out.issuer = ctx.app.config.identity.auth0_issuer();
  out.subject = body->text("user_id", 255);
  out.email = body->text("email", 320);
  out.name = body->text("name", 320);
  out.address = body->text("ip", 64);
  out.logins = body->maybe_integer("logins_count", 0, 1'000'000'000).value_or(0);
  out.email_verified = body->truth("email_verified", false);
  out.email_refuted = !body->truth("email_verified", true);
  if (body->problem()) return *body->problem();
  if (!may_be_email(out.email)) return bad_field("email", "email must be an email address");
  out.email = lower_case(out.email);
  return out;
}

/// Whoever was invited becomes a member at once, without a customer of their own.
result<persistence::noted_login> note_login(persistence::transaction& tx,
                                            const persistence::reported_login& login,
                                            const user_id& fresh, time_point now) {
  auto noted = persistence::record_reported_login(tx, login, fresh, now);
  if (!noted) return noted;
  auto promised = persistence::find_promised_roles(tx, noted->who);
  if (!promised) return promised.error();
  noted->promised_roles = promised->has_value();
  if (!noted->fresh || login.email_refuted) return noted;
  auto user = persistence::find_user(tx, noted->who);
  if (!user) return user.error();
  if (!*user || (*user)->email != login.email) return noted; // another has the address
  auto joined = join_if_invited(tx, noted->who, login.email, login.address, now);
  if (!joined) return joined.error();
  if (!*joined) return noted;
  if (auto done = persistence::stop_paying(tx, noted->who); !done) return done.error();
  noted->pays = false;
  noted->promised_roles = (*joined)->auto_assign;
  return noted;
}

} // namespace

task<result<response>> post_auth0_webhook(context& ctx) {
  auto login = read_login(ctx);
  if (!login) co_return login.error();
  auto fresh = make_id<user_id>("usr_", ctx.now());
  auto noted = co_await ctx.write(note_login, *login, fresh, ctx.now());
  if (!noted) co_return noted.error();
  // What fails from here on is noted, and tried again at the next login: this one must not fail.
  if (noted->pays && ctx.app.config.stripe.configured()) {
    stripe_claim claim{noted->who, login->subject, login->email_verified ? login->email : ""};
    co_await check_stripe_account(ctx, std::move(claim), reserve);
  }
  if (noted->promised_roles) {
    give_promised_roles asked{noted->who};
    co_await ctx.ask<promised_roles_given>(ctx.app.team, asked, reserve);
  }
  co_return written({{"success", true}});
}

} // namespace binnacle::http
