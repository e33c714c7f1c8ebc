#include "http/routes/assinante/handlers.hpp"
#include "http/routes/assinante/paging.hpp"
#include "http/routes/replies.hpp"
#include "persistence/assinante_invoices.hpp"
#include "persistence/subscribers.hpp"

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;

constexpr std::int64_t invoices_by_default = 12;
constexpr std::int64_t most_invoices = 50;

struct statement_of_invoices {
  std::vector<sql::invoice> invoices{};
  sql::invoice_totals totals{};
};

result<statement_of_invoices> load_invoices(persistence::transaction& tx, const user_id& who,
                                            const sql::invoice_filter& filter, std::int64_t year) {
  auto found = sql::find_subscriber(tx, who);
  if (!found) return found.error();
  if (!*found) return fault{errc::not_found, "User not found", {}, {}};
  auto invoices = sql::invoices_of(tx, who, filter);
  if (!invoices) return invoices.error();
  auto totals = sql::sum_invoices(tx, who, year);
  if (!totals) return totals.error();
  return statement_of_invoices{std::move(*invoices), *totals};
}

json::object to_json(const sql::invoice& i, const settings& config) {
  auto paid = i.status == "paid";
  return {{"id", i.id},
          {"invoiceNumber", i.number},
          {"status", upper_case(i.status)},
          {"amount", i.amount},
          {"description", i.description},
          {"dueDate", format_iso_ms(start_of(i.due_date))},
          {"paidAt", i.paid_at ? json::value{format_iso_ms(*i.paid_at)} : json::value{}},
          {"paymentMethod", i.payment_method},
          {"downloadUrl", paid ? json::value{invoice_url(config, i.id)} : json::value{}},
          {"createdAt", format_iso_ms(i.created_at)}};
}

std::int64_t year_of(time_point t) { return static_cast<int>(date_of(t).year()); }

} // namespace

std::string invoice_url(const settings& config, const std::string& id) {
  return config.http.public_url + "/api/assinante/invoices/" + id + "/pdf";
}

task<result<response>> get_invoices(context& ctx) {
  page_query asked{ctx.req};
  sql::invoice_filter filter;
  filter.limit = asked.limit(invoices_by_default, most_invoices);
  filter.year = asked.year();
  filter.status = asked.status({"PAID", "PENDING", "OVERDUE", "CANCELLED"});
  if (!asked.problems().empty()) co_return bad_fields(asked.problems());
  auto this_year = year_of(ctx.now());
  auto year = filter.year.value_or(this_year);
  auto found = co_await ctx.snapshot(load_invoices, ctx.who().id, filter, year);
  if (!found) co_return found.error();
  json::array invoices;
  for (const auto& i : found->invoices) invoices.emplace_back(to_json(i, ctx.app.config));
  json::object summary{{"totalPaid", found->totals.paid},
                       {"totalPending", found->totals.pending},
                       {"totalOverdue", found->totals.overdue},
                       {"currentYear", year}};
  auto out = json_reply({{"invoices", std::move(invoices)}, {"summary", std::move(summary)}});
  auto next_year = std::chrono::year{static_cast<int>(this_year) + 1};
  out.valid_until = start_of(next_year / std::chrono::January / 1);
  co_return out;
}

} // namespace binnacle::http
