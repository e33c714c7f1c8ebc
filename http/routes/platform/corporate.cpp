#include "actors/hubspot.hpp"
#include "config/base/text.hpp"
#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/users.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

/// What the client did wrong, or that nobody has set HubSpot up, it hears as it is.
bool speaks_for_itself(const fault& why) {
  return why.code == errc::not_found || why.code == errc::bad_request ||
         (why.code == errc::internal && !why.text.empty());
}

/// The second shape of an error here: with the verdict (platform.md §2).
response invalid(int status, std::string_view error, std::string detail = {}) {
  auto out = written({{"error", error}, {"valid", false}}, status);
  out.log_detail = std::move(detail);
  return out;
}

task<result<response>> check_deal(context& ctx, std::string id) {
  auto deal = co_await find_corporate_deal(ctx, std::move(id));
  if (!deal && speaks_for_itself(deal.error())) co_return deal.error();
  if (!deal)
    co_return fault{errc::internal, "Failed to validate deal", {}, to_string(deal.error())};
  co_return written({{"valid", true},
                     {"dealName", text_or_null(deal->what.name)},
                     {"companyName", text_or_null(deal->buyer.name)},
                     {"companyLogo", text_or_null(deal->buyer.logo)},
                     {"companyDomain", text_or_null(deal->buyer.domain)}});
}

task<result<response>> check_email(context& ctx, std::string id, std::string email) {
  auto deal = co_await find_corporate_deal(ctx, id);
  if (!deal && speaks_for_itself(deal.error())) co_return deal.error();
  constexpr auto failed = "Failed to validate corporate account";
  if (!deal) co_return invalid(500, failed, to_string(deal.error()));
  auto belongs = co_await belongs_to_deal(ctx, id, email);
  if (!belongs && speaks_for_itself(belongs.error())) co_return belongs.error();
  if (!belongs) co_return invalid(500, failed, to_string(belongs.error()));
  if (!*belongs) co_return invalid(403, "Email domain not authorized for this corporate account");
  co_return written({{"valid", true},
                     {"dealId", id},
                     {"dealName", text_or_null(deal->what.name)},
                     {"dealStage", text_or_null(deal->what.stage)},
                     {"email", email}});
}

} // namespace

task<result<response>> post_validate_corporate(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  auto id = body->text("dealId");
  std::string email{trimmed(body->text("email", 320))};
  auto deal_only = body->truth("checkDealOnly", false);
  if (body->problem()) co_return *body->problem();
  if (id.empty()) co_return bad_field("dealId", "Missing dealId");
  if (!hubspot::is_id(id)) co_return bad_field("dealId", "dealId must be 1 to 20 digits");
  if (deal_only) co_return co_await check_deal(ctx, std::move(id));
  if (email.empty()) co_return bad_field("email", "Missing email for full validation");
  if (!is_email(email)) co_return bad_field("email", "Invalid email address");
  co_return co_await check_email(ctx, std::move(id), lower_case(email));
}

task<result<response>> get_corporate_info(context& ctx) {
  auto ref = co_await ctx.read(persistence::corporate_ref_of, ctx.who().id);
  if (!ref) co_return ref.error();
  if (ctx.who().billing_mode != "prepaid" || ref->empty())
    co_return json_reply({{"isCorporate", false}});
  json::object out{{"isCorporate", true}, {"corporateRef", *ref}};
  result<corporate_deal> deal{fault{errc::not_found, {}, {}, "the reference is no deal's"}};
  if (hubspot::is_id(*ref)) deal = co_await find_corporate_deal(ctx, *ref);
  if (!deal) {
    out.add("companyName", nullptr).add("companyLogo", nullptr);
    auto without = json_reply(out);
    without.log_detail = to_string(deal.error());
    co_return without;
  }
  out.add("companyName", text_or_null(deal->buyer.name));
  out.add("companyLogo", text_or_null(deal->buyer.logo));
  out.add("companyDomain", text_or_null(deal->buyer.domain));
  co_return json_reply(out);
}

} // namespace binnacle::http
