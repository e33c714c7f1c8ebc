#include "actors/newsletter.hpp"

#include "actors/mail_text.hpp"
#include "actors/mailer.hpp"
#include "integrations/encoding.hpp"
#include "integrations/stripe/form.hpp"
#include "integrations/tokens.hpp"
#include "persistence/newsletter.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle {
namespace {

using persistence::transaction;

/// 64 letters and digits.
std::string confirmation_token() {
  return integrations::to_hex(*integrations::from_base64url(integrations::random_token(32)));
}

mail_draft confirmation_mail(const newsletter_wish& wish, const std::string& token,
                             const std::string& digest) {
  stripe::form query;
  query.add("token", token);
  query.add("email", wish.email);
  mail_draft out{.cause = "newsletter:" + integrations::to_hex(digest),
                 .kind = "newsletter_confirmation",
                 .recipient = wish.email,
                 .subject = "Bitte bestätige dein Newsletter-Abonnement",
                 .text = {},
                 .html = {},
                 .link = wish.link_base + "/newsletter/confirm?" + query.str()};
  auto greeting = wish.first_name.empty() ? "Hallo!" : "Hallo " + wish.first_name + "!";
  write_bodies(out, {.before = {std::move(greeting),
                                "Bitte bestätige, dass du unseren Newsletter erhalten möchtest. "
                                "Der Link gilt 24 Stunden."},
                     .label = "Abonnement bestätigen",
                     .after = {"Wenn du ihn nicht angefordert hast, musst du nichts tun."}});
  return out;
}

/// Whether there is a mail to send.
result<bool> store_wish(transaction& tx, const persistence::newsletter_request& request,
                        const persistence::queued_mail& mail) {
  auto now = request.created_at;
  if (auto alone = persistence::lock_newsletter_address(tx, request.email); !alone)
    return alone.error();
  // Of mails, not of requests: ending a subscription ends those, and anybody may end one.
  auto lately = persistence::count_mails_to(tx, mail.recipient, mail.kind, now - hours{1});
  if (!lately) return lately.error();
  if (*lately >= most_confirmations) return false;
  if (auto kept = persistence::insert_newsletter_request(tx, request); !kept) return kept.error();
  return persistence::queue_mail(tx, mail, now);
}

struct use_of_token {
  std::optional<confirmed_subscription> confirmed{}; // nothing: it had expired, and is gone
};

result<use_of_token> use_token(transaction& tx, const std::string& digest,
                               const std::optional<std::string>& email, bool use, time_point now) {
  auto found = use ? persistence::lock_newsletter_request(tx, digest)
                   : persistence::find_newsletter_request(tx, digest);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "Confirmation link expired or invalid", {}, {}};
  const auto& request = **found;
  auto expired = request.expires_at <= now;
  if (!expired && email && *email != request.email)
    return fault{errc::bad_request, "Email address does not match confirmation link", {}, {}};
  if (!use)
    return expired ? use_of_token{} : use_of_token{confirmed_subscription{request.email, now}};
  if (auto gone = persistence::delete_newsletter_request(tx, digest); !gone) return gone.error();
  if (expired) return use_of_token{};
  auto since = persistence::subscribe_newsletter(tx, request, now);
  if (!since) return since.error();
  return use_of_token{confirmed_subscription{request.email, *since}};
}

} // namespace

task<result<done>> ask_for_newsletter(context& ctx, newsletter_wish wish) {
  auto token = confirmation_token();
  auto now = ctx.now();
  persistence::newsletter_request request{.token_digest = integrations::sha256(token),
                                          .email = wish.email,
                                          .first_name = wish.first_name,
                                          .source = wish.source,
                                          .created_at = now,
                                          .expires_at = now + confirmation_life};
  auto mail = confirmation_mail(wish, token, request.token_digest);
  auto sealed = seal_mail(ctx.app, mail, now);
  auto to_send = co_await ctx.write(store_wish, request, sealed);
  if (!to_send) co_return to_send.error();
  if (*to_send) announce_mail(ctx.app, mail);
  co_return done{};
}

task<result<confirmed_subscription>>
confirm_newsletter(context& ctx, std::string token, std::optional<std::string> email, bool use) {
  auto digest = integrations::sha256(token);
  auto used = co_await ctx.write(use_token, digest, email, use, ctx.now());
  if (!used) co_return used.error();
  if (!used->confirmed)
    co_return fault{errc::gone, "Confirmation link has expired. Please subscribe again.", {}, {}};
  co_return std::move(*used->confirmed);
}

task<result<done>> end_newsletter(context& ctx, std::string email) {
  co_return co_await ctx.write(persistence::unsubscribe_newsletter, email);
}

} // namespace binnacle
