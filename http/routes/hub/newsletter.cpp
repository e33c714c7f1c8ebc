#include "actors/newsletter.hpp"
#include "actors/admission.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/hub/envelope.hpp"
#include "http/routes/hub/handlers.hpp"

namespace binnacle::http {
namespace {

constexpr std::size_t longest_text = 100;
constexpr std::size_t shortest_token = 32;
constexpr std::size_t longest_token = 256;

std::string read_email(json_fields& body) {
  auto out = lower_case(trimmed(body.text("email")));
  if (!is_email(out)) body.note(bad_field("email", "email must be an email address"));
  return out;
}

/// One line of 1 to 100 characters, if it is given. It is shown in a mail that somebody else may
/// get: no link of a stranger's.
std::string read_text(json_fields& body, const char* name, std::string otherwise) {
  auto given = body.maybe_text(name);
  if (!given) return otherwise;
  auto out = std::string{trimmed(*given)};
  if (out.empty() || characters_of(out) > longest_text)
    body.note(bad_field(name, std::string{name} + " must have 1 to 100 characters"));
  if (has_control_characters(out) || out.find("://") != out.npos)
    body.note(bad_field(name, std::string{name} + " must be one line of text without links"));
  return out;
}

result<newsletter_wish> read_wish(const context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) return invalid_body(body.error());
  newsletter_wish out;
  out.email = read_email(*body);
  if (!body->truth("consent", false)) body->note(bad_field("consent", "consent must be true"));
  out.first_name = read_text(*body, "firstName", "");
  out.source = read_text(*body, "source", "website");
  if (body->problem()) return invalid_body(*body->problem());
  out.link_base = link_origin(ctx.req, ctx.app.config);
  return out;
}

response success(json::object data) { return written(in_envelope(std::move(data))); }

/// The shape of errors that is this route's own (hub.md §7.2).
response not_confirmed(const fault& why) {
  json::object body{{"success", false}, {"error", std::string{why.message()}}};
  if (!why.field.empty()) body.add("details", why.field);
  auto out = written(body, describe(why.code).status);
  out.log_detail = to_string(why);
  return out;
}

fault invalid_link(std::string what) {
  return {errc::bad_request, "Invalid confirmation link", std::move(what), {}};
}

} // namespace

task<result<response>> post_newsletter_subscribe(context& ctx) {
  auto wish = read_wish(ctx);
  if (!wish) co_return wish.error();
  auto asked = co_await ask_for_newsletter(ctx, *wish);
  if (!asked)
    co_return not_loaded(asked.error(), "Failed to send confirmation email. Please try again.");
  co_return success({{"message", "Please check your email to confirm your subscription!"},
                     {"email", wish->email},
                     {"nextStep", "confirmation_required"},
                     {"info", "We've sent a confirmation link to your email address. It is valid "
                              "for 24 hours."}});
}

task<result<response>> get_newsletter_confirm(context& ctx) {
  auto token = ctx.req.parameter("token").value_or("");
  auto email = ctx.req.parameter("email");
  if (email) *email = lower_case(trimmed(*email));
  if (token.size() < shortest_token || token.size() > longest_token)
    co_return not_confirmed(invalid_link("token"));
  if (email && !is_email(*email)) co_return not_confirmed(invalid_link("email"));
  // A HEAD must not use the token up.
  auto confirmed = co_await confirm_newsletter(ctx, token, email, ctx.req.verb == method::get);
  if (!confirmed) co_return not_confirmed(confirmed.error());
  co_return written({{"success", true},
                     {"message", "Your newsletter subscription has been confirmed."},
                     {"email", confirmed->email},
                     {"subscription_date", format_iso_ms(confirmed->since)}});
}

task<result<response>> post_newsletter_unsubscribe(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return invalid_body(body.error());
  auto email = read_email(*body);
  if (body->problem()) co_return invalid_body(*body->problem());
  auto ended = co_await end_newsletter(ctx, email);
  if (!ended) co_return ended.error();
  co_return success({{"message", "Erfolgreich abgemeldet"}, {"email", email}});
}

} // namespace binnacle::http
