#include "http/routes/platform/reconciliation.hpp"

#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/users.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

using persistence::comparison;
using persistence::difference;

std::string text_of(date d) { return format_date(start_of(d)); }
std::string text_of(const std::optional<date>& d) { return d ? text_of(*d) : ""; }
std::string hour_of(const difference& d) { return d.hour ? format_iso_s(*d.hour) : ""; }

json::value or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

/// Those that were made.
std::vector<comparison> comparisons_of(const books_report& report) {
  std::vector<comparison> out;
  for (std::size_t i = 0; i < persistence::comparison_count; ++i) {
    auto which = static_cast<comparison>(i);
    auto made = which == comparison::opencost ? report.opencost
                : which == comparison::stripe ? report.stripe
                                              : true;
    if (made) out.push_back(which);
  }
  return out;
}

/// A number stays one for a spreadsheet, negative or not.
csv_cell cell_of(const std::string& text) {
  if (auto number = decimal::parse(text)) return *number;
  return text;
}

json::object shown(const difference& d) {
  return {{"comparison", name_of(d.check)},
          {"userId", or_null(d.who.value)},
          {"date", or_null(text_of(d.day))},
          {"cluster", or_null(d.cluster)},
          {"namespace", or_null(d.name_space)},
          {"hour", or_null(hour_of(d))},
          {"meter", or_null(d.meter)},
          {"identifier", or_null(d.identifier)},
          {"what", d.what},
          {"expected", or_null(d.expected)},
          {"against", or_null(d.against)},
          {"actual", or_null(d.actual)}};
}

/// Where a difference is, in few words.
std::string place_of(const difference& d) {
  std::string out;
  for (const auto& part :
       {d.who.value, d.hour ? hour_of(d) : text_of(d.day),
        d.cluster.empty() ? d.name_space : d.cluster + "/" + d.name_space, d.meter, d.identifier})
    if (!part.empty() && part != "/") out.append(out.empty() ? "" : ", ").append(part);
  return out;
}

std::string count_of(std::int64_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

} // namespace

json::object body_of(const books_report& report) {
  json::array comparisons, incomplete, differences;
  for (auto c : comparisons_of(report))
    comparisons.emplace_back(json::object{{"comparison", name_of(c)},
                                          {"rows", report.found.rows(c)},
                                          {"differences", report.found.differences(c)}});
  for (const auto& why : report.incomplete) incomplete.emplace_back(why);
  for (const auto& d : report.found.shown()) differences.emplace_back(shown(d));
  return {{"from", text_of(report.from)},
          {"to", text_of(report.to)},
          {"userId", or_null(report.who.value)},
          {"agrees", report.agrees()},
          {"comparisons", std::move(comparisons)},
          {"incomplete", std::move(incomplete)},
          {"differenceCount", report.found.differences()},
          {"differences", std::move(differences)}};
}

csv_table table_of(const books_report& report) {
  csv_table out{{"comparison", "userId", "date", "cluster", "namespace", "hour", "meter",
                 "identifier", "what", "expected", "against", "actual"}};
  for (const auto& d : report.found.shown())
    out.add({name_of(d.check), d.who.value, text_of(d.day), d.cluster, d.name_space, hour_of(d),
             d.meter, d.identifier, d.what, cell_of(d.expected), d.against, cell_of(d.actual)});
  return out;
}

std::string text_of(const books_report& report) {
  auto out = text_of(report.from) + " to " + text_of(report.to) + "\n";
  for (auto c : comparisons_of(report)) {
    std::string name{name_of(c)};
    name.resize(17, ' ');
    out += "  " + name + count_of(report.found.rows(c), "row") + ", " +
           count_of(report.found.differences(c), "difference") + "\n";
  }
  for (const auto& why : report.incomplete) out += "not compared: " + why + "\n";
  for (const auto& d : report.found.shown()) {
    out += std::string{name_of(d.check)} + ": " + place_of(d) + ": " + d.what;
    if (!d.against.empty())
      out += " is " + d.actual + ", should be " + d.expected + " (" + d.against + ")";
    out += "\n";
  }
  auto hidden = report.found.differences() - static_cast<std::int64_t>(report.found.shown().size());
  if (hidden > 0) out += "... and " + std::to_string(hidden) + " more\n";
  if (report.agrees()) out += "The books agree.\n";
  return out;
}

namespace {

/// OpenCost is asked hour by hour, and a request has its time.
constexpr std::int64_t most_opencost_days = 7;

result<std::optional<date>> read_day(const request& req, const char* name) {
  auto given = req.parameter(name);
  if (!given) return std::optional<date>{};
  auto day = parse_date(*given);
  if (!day) return bad_field(name, std::string{name} + " must be YYYY-MM-DD");
  return day;
}

result<bool> read_flag(const request& req, const char* name) {
  auto given = req.parameter(name).value_or("false");
  if (given == "true") return true;
  if (given == "false") return false;
  return bad_field(name, std::string{name} + " must be true or false");
}

result<reconcile_books> read_reconciliation(const request& req, time_point now) {
  auto from = read_day(req, "from");
  if (!from) return from.error();
  auto to = read_day(req, "to");
  if (!to) return to.error();
  auto what = plan_reconciliation(*from, *to, now);
  if (!what) return what.error();
  auto stripe = read_flag(req, "stripe");
  if (!stripe) return stripe.error();
  auto opencost = read_flag(req, "opencost");
  if (!opencost) return opencost.error();
  if (*opencost && what->to - what->from > most_opencost_days * 24 * 3600)
    return bad_field("opencost", "OpenCost is asked about at most 7 days at once; the command "
                                 "`binnacle reconcile` has more time");
  what->user = req.parameter("userId").value_or("");
  what->stripe = *stripe;
  what->opencost = *opencost;
  return what;
}

} // namespace

task<result<response>> get_reconciliation(context& ctx) {
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto what = read_reconciliation(ctx.req, ctx.now());
  if (!what) co_return what.error();
  if (!what->user.empty()) {
    user_id who{what->user};
    auto found = co_await ctx.read(persistence::find_user, who);
    if (!found) co_return found.error();
    if (!*found) co_return fault{errc::not_found, "User not found", {}, {}};
  }
  auto compared = co_await ctx.ask<reconciled_books>(ctx.app.reconciler, *what);
  if (!compared) co_return compared.error();
  const auto& report = *compared->what;
  if (!*csv) co_return json_reply(body_of(report), 200, caching::no_store);
  auto file = "reconciliation-" + text_of(report.from) + "-" + text_of(report.to) + ".csv";
  co_return table_of(report).to_response(file, caching::no_store);
}

} // namespace binnacle::http
