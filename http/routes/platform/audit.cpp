#include "persistence/audit.hpp"

#include "http/routes/csv.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <charconv>

namespace binnacle::http {
namespace {

constexpr std::int64_t most_rows = 1'000;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

std::optional<std::int64_t> positive(std::string_view text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 1) return {};
  return out;
}

/// A time, or a date, which begins at midnight UTC.
result<std::optional<time_point>> read_time(const request& req, const std::string& name) {
  auto text = req.parameter(name);
  if (!text) return std::optional<time_point>{};
  if (auto at = parse_iso(*text)) return at;
  if (auto day = parse_date(*text)) return std::optional{start_of(*day)};
  return bad_field(name, name + " must be a time such as 2026-01-31T09:00:00Z, or a date");
}

result<persistence::audit_filter> read_filter(const request& req) {
  persistence::audit_filter out;
  out.actor = req.parameter("actor").value_or("");
  out.action = req.parameter("action").value_or("");
  auto from = read_time(req, "from"), to = read_time(req, "to");
  if (!from) return from.error();
  if (!to) return to.error();
  out.from = *from;
  out.to = *to;
  if (auto text = req.parameter("cursor")) {
    out.before = positive(*text);
    if (!out.before) return bad_field("cursor", "cursor must be one that was given out");
  }
  if (auto text = req.parameter("limit")) {
    auto limit = positive(*text);
    if (!limit || *limit > most_rows) return bad_field("limit", "limit must be 1 to 1000");
    out.most = *limit;
  }
  return out;
}

json::object to_json(const persistence::audit_row& r) {
  return {{"id", std::to_string(r.id)},        {"at", format_iso_ms(r.at)},
          {"actor", text_or_null(r.actor)},    {"action", r.action},
          {"target", text_or_null(r.target)},  {"detail", json::raw{r.detail}},
          {"address", text_or_null(r.address)}};
}

response as_csv(const std::vector<persistence::audit_row>& rows) {
  csv_table out{"id", "at", "actor", "action", "target", "detail", "address"};
  for (const auto& r : rows)
    out.add({std::to_string(r.id), format_iso_ms(r.at), r.actor, r.action, r.target, r.detail,
             r.address});
  return out.to_response("audit.csv", caching::no_store);
}

} // namespace

task<result<response>> get_audit(context& ctx) {
  auto filter = read_filter(ctx.req);
  if (!filter) co_return filter.error();
  auto csv = wants_csv(ctx.req);
  if (!csv) co_return csv.error();
  auto page = *filter;
  ++page.most; // tells whether there is another page
  auto found = co_await ctx.read(persistence::list_audit, std::move(page));
  if (!found) co_return found.error();
  std::string next; // empty: the last page
  if (std::ssize(*found) > filter->most) {
    found->pop_back();
    next = std::to_string(found->back().id);
  }
  if (*csv) {
    auto out = as_csv(*found);
    if (!next.empty()) out.headers.emplace_back("X-Next-Cursor", std::move(next));
    co_return out;
  }
  json::array entries;
  for (const auto& r : *found) entries.emplace_back(to_json(r));
  co_return json_reply({{"entries", std::move(entries)}, {"nextCursor", text_or_null(next)}}, 200,
                       caching::no_store);
}

} // namespace binnacle::http
