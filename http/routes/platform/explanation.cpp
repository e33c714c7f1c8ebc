#include "persistence/explanation.hpp"
#include "config/credits.hpp"
#include "http/routes/csv.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "integrations/encoding.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <charconv>
#include <ranges>

namespace binnacle::http {
namespace {

using persistence::charged_amount;
using persistence::charged_days;
using persistence::charged_hours;
using persistence::charged_projects;
using persistence::credit_entry;
using persistence::credit_entry_id;
using persistence::explained_entry;
using persistence::project_place;

constexpr std::int64_t page = 200;

std::string text_of(date d) { return format_date(start_of(d)); }

// -- what is asked for ----------------------------------------------------------------------------

/// A month, a day, or a namespace of a day.
struct question {
  std::optional<time_point> month{};
  std::optional<date> day{};
  std::optional<std::string> name_space{};
  std::optional<project_place> after{};
};

/// Opaque to clients: where the page before ended.
std::string cursor_of(const project_place& p) {
  return integrations::to_base64url(p.who.value + '\n' + p.cluster.value + '\n' + p.name_space);
}
std::optional<project_place> read_cursor(const std::string& text) {
  auto plain = integrations::from_base64url(text);
  auto possible = [](unsigned char c) { return c == '\n' || (c >= ' ' && c < 0x7f); };
  if (!plain || !std::ranges::all_of(*plain, possible)) return {};
  auto first = plain->find('\n');
  auto second = first == plain->npos ? first : plain->find('\n', first + 1);
  if (second == plain->npos) return {};
  return project_place{{plain->substr(0, first)},
                       {plain->substr(first + 1, second - first - 1)},
                       plain->substr(second + 1)};
}

result<question> read_question(const request& req) {
  question out;
  auto month = req.parameter("month"), day = req.parameter("date");
  if (month && day) return bad_field("month", "date and month exclude each other");
  if (!month && !day) return bad_field("date", "date or month must be given");
  if (month) {
    out.month = parse_month(*month);
    if (!out.month) return bad_field("month", "month must be YYYY-MM");
  } else {
    out.day = parse_date(*day);
    if (!out.day) return bad_field("date", "date must be YYYY-MM-DD");
  }
  out.name_space = req.parameter("namespace");
  if (out.name_space && month) return bad_field("namespace", "namespace goes with date");
  auto cursor = req.parameter("cursor");
  if (!cursor) return out;
  if (month || out.name_space) return bad_field("cursor", "only a day's projects have pages");
  out.after = read_cursor(*cursor);
  if (!out.after) return bad_field("cursor", "cursor must be the nextCursor of an answer");
  return out;
}

// -- JSON -----------------------------------------------------------------------------------------

/// Quantities and costs, the same at every level.
json::object& add(json::object& to, const charged_amount& a) {
  return to.add("cpuHours", a.used.cpu_hours)
      .add("gpuHours", a.used.gpu_hours)
      .add("ramGBHours", a.used.ram_gb_hours)
      .add("onlineStorageGBHours", a.used.online_gb_hours)
      .add("offlineStorageGBHours", a.used.offline_gb_hours)
      .add("credits", a.cost.credits)
      .add("computeCost", a.cost.compute_cost)
      .add("storageCost", a.cost.storage_cost)
      .add("totalCost", a.cost.total());
}
json::object shown(const charged_amount& a) {
  json::object out;
  add(out, a);
  return out;
}

json::object body_of(const question& of, const charged_days& charges) {
  json::array days;
  for (const auto& d : charges.days) {
    json::object row{{"date", text_of(d.day)}};
    add(row, d.amount);
    days.emplace_back(std::move(row));
  }
  return {{"month", format_month(*of.month)},
          {"total", shown(charges.total)},
          {"days", std::move(days)}};
}

json::object body_of(const question& of, const charged_projects& charges) {
  json::array projects, reports;
  for (const auto& p : charges.projects) {
    json::object row{{"userId", p.place.who.value},
                     {"email", p.email},
                     {"cluster", p.cluster_name},
                     {"namespace", p.place.name_space},
                     {"name", p.name}};
    add(row, p.amount);
    projects.emplace_back(std::move(row));
  }
  for (const auto& r : charges.reports)
    reports.emplace_back(json::object{{"identifier", r.identifier},
                                      {"userId", r.who.value},
                                      {"meter", r.meter},
                                      {"amount", r.amount},
                                      {"carriedIn", r.carried_in},
                                      {"value", r.value},
                                      {"remainder", r.carried_out},
                                      {"state", r.state},
                                      {"deliveredAt", time_or_null(r.delivered_at)}});
  json::value next;
  if (charges.next) next = cursor_of(*charges.next);
  return {{"date", text_of(*of.day)},
          {"total", shown(charges.total)},
          {"namespaces", std::move(projects)},
          {"nextCursor", std::move(next)},
          {"meterReports", std::move(reports)}};
}

json::object body_of(const question& of, const charged_hours& charges) {
  json::array hours;
  for (const auto& h : charges.hours) {
    json::object row{{"hour", format_iso_s(h.hour)},
                     {"userId", h.place.who.value},
                     {"cluster", h.cluster_name},
                     {"complete", h.complete}};
    add(row, h.amount);
    json::object rates{{"compute_credits", h.prices.compute_credits}};
    auto others = rates_of(h.prices);
    for (const auto& [name, rate] : others.members()) rates.add(name, rate);
    row.add("rates", std::move(rates));
    hours.emplace_back(std::move(row));
  }
  return {{"date", text_of(*of.day)},
          {"namespace", *of.name_space},
          {"total", shown(charges.total)},
          {"hours", std::move(hours)}};
}

// -- CSV ------------------------------------------------------------------------------------------

csv_table table_of(const question&, const charged_days& charges) {
  csv_table out{{"date", "cpuHours", "gpuHours", "ramGBHours", "onlineStorageGBHours",
                 "offlineStorageGBHours", "credits", "computeCost", "storageCost", "totalCost"}};
  for (const auto& [day, a] : charges.days)
    out.add({text_of(day), a.used.cpu_hours, a.used.gpu_hours, a.used.ram_gb_hours,
             a.used.online_gb_hours, a.used.offline_gb_hours, a.cost.credits, a.cost.compute_cost,
             a.cost.storage_cost, a.cost.total()});
  return out;
}

csv_table table_of(const question& of, const charged_projects& charges) {
  csv_table out{{"date", "userId", "email", "cluster", "namespace", "cpuHours", "gpuHours",
                 "ramGBHours", "onlineStorageGBHours", "offlineStorageGBHours", "credits",
                 "computeCost", "storageCost", "totalCost"}};
  for (const auto& p : charges.projects) {
    const auto& a = p.amount;
    out.add({text_of(*of.day), p.place.who.value, p.email, p.cluster_name, p.place.name_space,
             a.used.cpu_hours, a.used.gpu_hours, a.used.ram_gb_hours, a.used.online_gb_hours,
             a.used.offline_gb_hours, a.cost.credits, a.cost.compute_cost, a.cost.storage_cost,
             a.cost.total()});
  }
  return out;
}

csv_table table_of(const question&, const charged_hours& charges) {
  csv_table out{{"hour", "userId", "cluster", "namespace", "cpuHours", "gpuHours", "ramGBHours",
                 "onlineStorageGBHours", "offlineStorageGBHours", "cpu_hour", "gpu_hour",
                 "ram_gb_hour", "storage_online_gb", "storage_offline_gb", "compute_credits",
                 "credits", "computeCost", "storageCost", "totalCost"}};
  for (const auto& h : charges.hours) {
    const auto& a = h.amount;
    const auto& r = h.prices;
    out.add({format_iso_s(h.hour), h.place.who.value, h.cluster_name, h.place.name_space,
             a.used.cpu_hours, a.used.gpu_hours, a.used.ram_gb_hours, a.used.online_gb_hours,
             a.used.offline_gb_hours, r.cpu_hour, r.gpu_hour, r.ram_gb_hour, r.storage_online_gb,
             r.storage_offline_gb, r.compute_credits, a.cost.credits, a.cost.compute_cost,
             a.cost.storage_cost, a.cost.total()});
  }
  return out;
}

// -- answers --------------------------------------------------------------------------------------

template <class Charges>
response answer(const question& of, const Charges& charges, bool csv) {
  if (!csv) return json_reply(body_of(of, charges), 200, caching::no_store);
  auto period = of.month ? format_month(*of.month) : text_of(*of.day);
  return table_of(of, charges).to_response("charges-" + period + ".csv", caching::no_store);
}

/// A file has no place for a cursor: RFC 8288.
void add_next(response& to, const request& req, const std::string& cursor) {
  std::string url{req.path};
  url.push_back('?');
  for (auto part : std::views::split(req.query, '&')) {
    std::string_view text{part.begin(), part.end()};
    if (!text.starts_with("cursor=")) url.append(text).push_back('&');
  }
  to.headers.emplace_back("Link", "<" + url + "cursor=" + cursor + ">; rel=\"next\"");
}

task<result<response>> explain(context& ctx, user_id who) {
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto of = read_question(ctx.req);
  if (!of) co_return of.error();
  if (of->month) {
    auto from = date_of(*of->month);
    auto to = date_of(start_of_next_month(*of->month) - hours{24});
    auto days = co_await ctx.snapshot(persistence::charges_between, who, from, to);
    if (!days) co_return days.error();
    co_return answer(*of, *days, *csv);
  }
  if (of->name_space) {
    auto hours_of = co_await ctx.snapshot(persistence::charges_of, who, *of->day, *of->name_space);
    if (!hours_of) co_return hours_of.error();
    co_return answer(*of, *hours_of, *csv);
  }
  auto projects = co_await ctx.snapshot(persistence::charges_on, who, *of->day, of->after, page);
  if (!projects) co_return projects.error();
  auto out = answer(*of, *projects, *csv);
  if (*csv && projects->next) add_next(out, ctx.req, cursor_of(*projects->next));
  co_return out;
}

/// Tenths as credits.
decimal credits_of(std::int64_t tenths) { return decimal{tenths} / decimal{tenths_per_credit}; }

json::object shown(const explained_entry& e) {
  static constexpr const char* kinds[]{"grant",  "use",        "expiry",
                                       "refund", "revocation", "restoration"};
  const std::string kind = kinds[static_cast<std::size_t>(e.entry.kind)];
  json::object out{{"id", static_cast<std::int64_t>(e.entry.id)},
                   {"kind", kind},
                   {"source", e.entry.source},
                   {"credits", credits_of(e.entry.tenths)},
                   {"balanceAfter", credits_of(e.entry.balance_after)},
                   {"expiresAt", time_or_null(e.entry.expires_at)},
                   {"createdAt", time_or_null(e.entry.created_at)}};
  if (e.entry.use) out.add(kind + "Of", static_cast<std::int64_t>(*e.entry.use));
  if (e.entry.kind != persistence::credit_kind::use) return out;
  json::array paid_by;
  for (const auto& p : e.payments)
    paid_by.emplace_back(json::object{{"id", static_cast<std::int64_t>(p.lot.id)},
                                      {"source", p.lot.source},
                                      {"expiresAt", time_or_null(p.lot.expires_at)},
                                      {"credits", credits_of(p.tenths)}});
  out.add("paidBy", std::move(paid_by));
  return out;
}

result<std::optional<credit_entry_id>> read_before(const request& req) {
  auto given = req.parameter("cursor");
  if (!given) return std::optional<credit_entry_id>{};
  std::int64_t id = 0;
  auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), id);
  if (error != std::errc{} || end != given->data() + given->size() || id < 1)
    return bad_field("cursor", "cursor must be the nextCursor of an answer");
  return std::optional{credit_entry_id{id}};
}

constexpr std::int64_t entries_shown = 50;

/// One line for each use and lot that paid for it, and one for each other entry.
csv_table table_of(const std::vector<explained_entry>& entries) {
  csv_table out{{"id", "source", "credits", "balanceAfter", "createdAt", "expiresAt", "paidBy",
                 "paidCredits"}};
  for (const auto& [e, payments] : entries) {
    auto add = [&, &entry = e](const char* lot, const std::optional<decimal>& paid) {
      out.add({decimal{static_cast<std::int64_t>(entry.id)}, entry.source, credits_of(entry.tenths),
               credits_of(entry.balance_after), format_iso_ms(entry.created_at),
               entry.expires_at ? format_iso_ms(*entry.expires_at) : "", lot, paid});
    };
    for (const auto& p : payments) add(p.lot.source.c_str(), credits_of(p.tenths));
    if (payments.empty()) add("", {});
  }
  return out;
}

task<result<response>> explain_credits(context& ctx, user_id who) {
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto before = read_before(ctx.req);
  if (!before) co_return before.error();
  auto entries =
      co_await ctx.snapshot(persistence::explain_credits, who, *before, entries_shown + 1);
  if (!entries) co_return entries.error();
  std::optional<std::string> next;
  if (static_cast<std::int64_t>(entries->size()) > entries_shown) {
    entries->pop_back();
    next = std::to_string(static_cast<std::int64_t>(entries->back().entry.id));
  }
  if (*csv) {
    auto out = table_of(*entries).to_response("credits.csv", caching::no_store);
    if (next) add_next(out, ctx.req, *next);
    co_return out;
  }
  json::array shown_entries;
  for (const auto& e : *entries) shown_entries.emplace_back(shown(e));
  co_return json_reply({{"entries", std::move(shown_entries)}, {"nextCursor", next}}, 200,
                       caching::no_store);
}

/// The user that an admin asks about.
task<result<user_id>> asked_user(context& ctx) {
  auto id = ctx.req.parameter("userId");
  if (!id || id->empty()) co_return bad_field("userId", "userId must be given");
  user_id who{*id};
  auto found = co_await ctx.read(persistence::find_user, who);
  if (!found) co_return found.error();
  if (!*found) co_return fault{errc::not_found, "User not found", {}, {}};
  co_return who;
}

} // namespace

task<result<response>> get_explanation(context& ctx) {
  // Who pays for a team sees its bill, nobody else.
  if (!ctx.who().account_owner.empty()) co_return fault{errc::forbidden, {}, {}, {}};
  auto who = ctx.who().id;
  co_return co_await explain(ctx, who);
}

task<result<response>> get_user_explanation(context& ctx) {
  auto who = co_await asked_user(ctx);
  if (!who) co_return who.error();
  co_return co_await explain(ctx, *who);
}

task<result<response>> get_credits_explanation(context& ctx) {
  auto who = ctx.who().id;
  co_return co_await explain_credits(ctx, who);
}

task<result<response>> get_user_credits_explanation(context& ctx) {
  auto who = co_await asked_user(ctx);
  if (!who) co_return who.error();
  co_return co_await explain_credits(ctx, *who);
}

} // namespace binnacle::http
