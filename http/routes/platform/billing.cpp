#include "http/routes/csv.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/stripe_account.hpp"
#include "http/routes/replies.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/prices.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"

namespace binnacle::http {

std::string storage_text(decimal gigabytes) {
  if (gigabytes < *decimal::parse("0.1")) return (gigabytes * decimal{1024}).fixed(0) + "MB";
  return gigabytes.fixed(2) + "GB";
}

namespace {

/// Which days are asked for: totals of a month, and the days to list.
struct billing_period {
  std::string label{};
  date from{}, to{}; // the totals
  date listed_from{}, listed_to{};
};

/// No month, or "current": this month up to today, and the last 30 days.
result<billing_period> read_period(const request& req, time_point now) {
  billing_period out;
  auto today = start_of_day(now);
  auto month = req.parameter("month").value_or("current");
  if (month == "current") {
    out.label = format_month(now);
    out.from = date_of(start_of_month(now));
    out.to = out.listed_to = date_of(today);
    out.listed_from = date_of(today - hours{24 * 29});
    return out;
  }
  auto representable = month >= "1970-01" && month <= "2199-12"; // in a time_point
  auto begins = representable ? parse_month(month) : std::nullopt;
  if (!begins) return bad_field("month", "month must be YYYY-MM or current");
  out.label = format_month(*begins);
  out.from = out.listed_from = date_of(*begins);
  out.to = out.listed_to = date_of(start_of_next_month(*begins) - hours{24});
  return out;
}

struct statement_of_account {
  persistence::usage_totals totals{};
  std::vector<persistence::day_row> days{};
  price_list prices{};
  std::string customer{};            // Stripe's; empty: none
  std::string subscription_status{}; // of the usage subscription; empty: none
};

result<statement_of_account> load_statement(persistence::transaction& tx, const user_id& who,
                                            const billing_period& period, time_point now) {
  statement_of_account out;
  auto totals = persistence::usage_between(tx, who, period.from, period.to);
  if (!totals) return totals.error();
  auto days = persistence::days_between(tx, who, period.listed_from, period.listed_to);
  if (!days) return days.error();
  auto prices = persistence::load_prices(tx, now);
  if (!prices) return prices.error();
  auto customer = persistence::find_stripe_customer(tx, who);
  if (!customer) return customer.error();
  auto subscription = persistence::telling_subscription(tx, who, "usage");
  if (!subscription) return subscription.error();
  if (*customer) out.customer = (*customer)->id;
  if (*subscription) out.subscription_status = (*subscription)->status;
  out.totals = *totals;
  out.days = std::move(*days);
  out.prices = *prices;
  return out;
}

json::object usage_of(const persistence::usage_totals& t) {
  json::object costs{{"computeCost", t.cost.compute_cost},
                     {"storageCost", t.cost.storage_cost},
                     {"total", t.cost.total()}};
  return {{"cpuHours", t.used.cpu_hours.fixed(2)},
          {"gpuHours", t.used.gpu_hours.fixed(2)},
          {"ramGbHours", t.used.ram_gb_hours.fixed(2)},
          {"onlineStorageGB", storage_text(t.latest_online_gb)},
          {"offlineStorageGB", storage_text(t.latest_offline_gb)},
          {"currentMonth", std::move(costs)}};
}

json::array history_of(const std::vector<persistence::day_row>& days) {
  json::array out;
  for (const auto& d : days)
    out.emplace_back(json::object{{"date", format_date(start_of(d.day))},
                                  {"cpu_hours", d.used.cpu_hours},
                                  {"gpu_hours", d.used.gpu_hours},
                                  {"storage_gb", d.online_gb + d.offline_gb},
                                  {"total_cost", d.cost.total()}});
  return out;
}

csv_table table_of(const std::vector<persistence::day_row>& days) {
  csv_table out{{"date", "cpu_hours", "gpu_hours", "storage_gb", "total_cost"}};
  for (const auto& d : days)
    out.add({format_date(start_of(d.day)), d.used.cpu_hours, d.used.gpu_hours,
             d.online_gb + d.offline_gb, d.cost.total()});
  return out;
}

json::object body_of(const persistence::user& who, const statement_of_account& account,
                     stripe_account paying) {
  json::value subscribed;
  if (!account.subscription_status.empty()) subscribed = account.subscription_status;
  return {{"billingMode", who.billing_mode.empty() ? "postpaid" : who.billing_mode},
          {"hasPaymentMethod", paying.has_payment_method},
          {"paymentMethodDetails", std::move(paying.payment_method)},
          {"subscriptionStatus", std::move(subscribed)},
          {"prepaidEnabled", who.prepaid_enabled},
          {"isSuspended", who.status == "suspended"},
          {"currentUsage", usage_of(account.totals)},
          {"creditBalance", nullptr},
          {"invoices", std::move(paying.invoices)},
          {"historicalUsage", history_of(account.days)},
          {"rates", rates_of(account.prices)}};
}

/// A team member's usage is billed to the account's owner, and only the owner sees it.
json::object body_of_member(const std::optional<persistence::user>& owner) {
  json::object costs{{"computeCost", 0}, {"storageCost", 0}, {"total", 0}};
  json::object usage{{"cpuHours", "0.00"},         {"gpuHours", "0.00"},
                     {"ramGbHours", "0.00"},       {"onlineStorageGB", "0.00"},
                     {"offlineStorageGB", "0.00"}, {"currentMonth", std::move(costs)}};
  json::object shown{{"email", owner ? owner->email : ""}, {"name", owner ? owner->name : ""}};
  return {{"isTeamMember", true},
          {"accountOwner", std::move(shown)},
          {"billingMode", "team"},
          {"hasPaymentMethod", true},
          {"currentUsage", std::move(usage)}};
}

/// Also for caches that know no Cache-Control.
response never_kept(response out) {
  out.cache = caching::never_kept;
  out.headers.emplace_back("Pragma", "no-cache");
  out.headers.emplace_back("Expires", "0");
  return out;
}

} // namespace

task<result<response>> get_billing(context& ctx) {
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto period = read_period(ctx.req, ctx.now());
  if (!period) co_return period.error();
  const auto& who = ctx.who();
  auto file = "billing-" + period->label + ".csv";
  if (!who.account_owner.empty()) {
    auto owner = co_await ctx.read(persistence::find_user, who.account_owner);
    if (!owner) co_return owner.error();
    if (*csv) co_return never_kept(table_of({}).to_response(file, caching::never_kept));
    co_return never_kept(json_reply(body_of_member(*owner)));
  }
  auto account = co_await ctx.snapshot(load_statement, who.id, *period, ctx.now());
  if (!account) co_return account.error();
  if (*csv) co_return never_kept(table_of(account->days).to_response(file, caching::never_kept));
  auto paying = co_await read_stripe_account(ctx, account->customer);
  co_return never_kept(json_reply(body_of(who, *account, std::move(paying))));
}

} // namespace binnacle::http
