#include "http/routes/platform/stripe_account.hpp"

#include "config/base/log.hpp"

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

constexpr seconds longest_wait{3};
constexpr std::size_t invoices_shown = 5;

/// Minor units as a number with two decimals.
decimal major(std::int64_t minor) { return decimal{minor} * *decimal::parse("0.01"); }

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

json::object to_json(const stripe::invoice& i) {
  auto amount = i.amount_paid != 0 ? i.amount_paid : i.amount_due;
  return {{"id", i.id},
          {"invoice_number", i.number.empty() ? i.id : i.number},
          {"amount", major(amount)},
          {"status", i.status},
          {"created_at", format_iso_ms(i.created)},
          {"invoice_url", text_or_null(i.hosted_invoice_url)},
          {"pdf_url", text_or_null(i.invoice_pdf)},
          {"total", major(i.total)},
          {"currency", i.currency}};
}

json::array shown(const stripe::list<stripe::invoice>& invoices) {
  json::array out;
  for (const auto& i : invoices.data)
    if (i.status != "draft" && out.size() < invoices_shown) out.emplace_back(to_json(i));
  return out;
}

json::object to_json(const stripe::payment_method& m) {
  json::object out{{"type", m.type}};
  if (m.card) {
    json::object card{{"brand", m.card->brand},
                      {"last4", m.card->last4},
                      {"expMonth", m.card->exp_month},
                      {"expYear", m.card->exp_year}};
    out.add("card", std::move(card));
  }
  return out;
}

/// The first card, else the default.
json::value chosen(const std::vector<stripe::payment_method>& all, const std::string& preferred) {
  auto is_card = [](const auto& m) { return m.type == "card"; };
  auto found = std::ranges::find_if(all, is_card);
  if (found == all.end()) found = std::ranges::find(all, preferred, &stripe::payment_method::id);
  return found == all.end() ? json::value{nullptr} : json::value{to_json(*found)};
}

template <class T>
bool came(const result<T>& answer, const char* what) {
  if (!answer)
    log::warn("statement without part of Stripe's answer",
              {{"what", what}, {"why", to_string(answer.error())}});
  return answer.has_value();
}

} // namespace

task<stripe_account> read_stripe_account(context& ctx, std::string customer) {
  stripe_account out;
  if (customer.empty() || !ctx.app.config.stripe.configured()) co_return out;
  auto listing =
      ctx.start_stripe(longest_wait, stripe::list_invoices(customer), stripe::read_invoices);
  auto paying = ctx.start_stripe(longest_wait, stripe::list_payment_methods(customer, ""),
                                 stripe::read_payment_methods);
  auto knowing =
      ctx.start_stripe(longest_wait, stripe::get_customer(customer), stripe::read_customer);
  auto invoices = co_await listing;
  auto methods = co_await paying;
  auto account = co_await knowing;
  if (came(invoices, "invoices")) out.invoices = shown(*invoices);
  std::string preferred;
  if (came(account, "customer")) {
    preferred = account->default_payment_method;
    out.has_payment_method = !preferred.empty() || !account->default_source.empty();
  }
  if (came(methods, "payment methods")) {
    out.has_payment_method = out.has_payment_method || !methods->data.empty();
    out.payment_method = chosen(methods->data, preferred);
  }
  co_return out;
}

} // namespace binnacle::http
