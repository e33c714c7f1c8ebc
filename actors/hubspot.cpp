#include "actors/hubspot.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle {
namespace {

/// Of the staff, who try out every deal.
constexpr std::string_view own_domain = "hopsworks.ai";
/// Of a deal's contacts; who is only on a later one is not found. Anybody may have a deal looked
/// through, at two calls a page.
constexpr int most_pages = 5;

hubspot::account account_of(const context& ctx) {
  return {ctx.app.config.hubspot.api_url, ctx.app.config.hubspot.api_key};
}

/// The object that `read` finds in HubSpot's answer.
template <class T>
task<result<T>> asked(context& ctx, integrations::http_call what,
                      result<T> (*read)(std::string_view)) {
  if (!ctx.app.config.hubspot.configured())
    co_return fault{errc::internal, "HubSpot integration not configured", {}, {}};
  what.deadline = ctx.app.config.hubspot.timeout;
  auto message = request_for(std::move(what), ctx.patience());
  auto reply = co_await ctx.ask<upstream_answer>(ctx.app.hubspot, message);
  auto answer = answer_of(reply);
  if (!answer) co_return answer.error();
  auto body = hubspot::body_of(*answer);
  if (!body) co_return body.error();
  co_return read(*body);
}

task<result<hubspot::deal>> find_deal(context& ctx, std::string id) {
  auto call = hubspot::get_deal(account_of(ctx), id);
  auto found = co_await asked(ctx, std::move(call), hubspot::read_deal);
  if (!found && found.error().code == errc::not_found)
    co_return fault{errc::not_found, "Deal not found", {}, found.error().detail};
  co_return std::move(found);
}

std::string_view domain_of(std::string_view email) {
  auto at = email.rfind('@');
  return at == email.npos ? std::string_view{} : email.substr(at + 1);
}

} // namespace

upstream_config hubspot_config_of(const hubspot_settings& s) {
  upstream_config out;
  out.name = "hubspot";
  out.parallel = static_cast<std::size_t>(s.parallel);
  out.queue = static_cast<std::size_t>(s.queue);
  out.retry.attempts = static_cast<int>(s.attempts);
  return out;
}

task<result<corporate_deal>> find_corporate_deal(context& ctx, std::string id) {
  auto deal = co_await find_deal(ctx, std::move(id));
  if (!deal) co_return deal.error();
  corporate_deal out;
  out.what = std::move(*deal);
  if (out.what.companies.empty()) co_return out;
  auto call = hubspot::get_company(account_of(ctx), out.what.companies.front());
  auto buyer = co_await asked(ctx, std::move(call), hubspot::read_company);
  // A company that was deleted since is none.
  if (!buyer && buyer.error().code == errc::not_found) co_return out;
  if (!buyer) co_return buyer.error();
  out.buyer = std::move(*buyer);
  if (out.buyer.logo.empty() && !out.buyer.domain.empty())
    out.buyer.logo = hubspot::logo_of_domain(out.buyer.domain);
  co_return out;
}

task<result<bool>> belongs_to_deal(context& ctx, std::string deal, std::string email) {
  auto wanted = domain_of(email);
  auto any = false;
  std::string after;
  for (int pages = 0; pages < most_pages; ++pages) {
    auto call = hubspot::get_contacts_of_deal(account_of(ctx), deal, after);
    auto page = co_await asked(ctx, std::move(call), hubspot::read_contacts);
    if (!page) co_return page.error();
    any = any || !page->ids.empty();
    if (any && wanted == own_domain) co_return true;
    if (page->ids.empty()) break;
    auto reading = hubspot::read_emails_of(account_of(ctx), page->ids);
    auto emails = co_await asked(ctx, std::move(reading), hubspot::read_emails);
    if (!emails) co_return emails.error();
    for (const auto& known : *emails)
      if (!wanted.empty() && domain_of(known) == wanted) co_return true;
    if (page->next.empty()) break;
    after = page->next;
  }
  if (!any) co_return fault{errc::bad_request, "No contacts associated with deal", {}, {}};
  co_return false;
}

} // namespace binnacle
