#include "persistence/mail.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace binnacle::http {
namespace {

constexpr std::int64_t most_mails = 200;

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

/// Never its content: links in it are credentials.
json::object to_json(const persistence::mail_record& m) {
  return {{"id", m.id},
          {"kind", m.kind},
          {"to", m.recipient},
          {"subject", m.subject},
          {"state", m.state},
          {"attempts", m.attempts},
          {"nextAttemptAt", time_or_null(m.next_attempt_at)},
          {"lastError", text_or_null(m.last_error)},
          {"queuedAt", format_iso_ms(m.queued_at)},
          {"finishedAt", time_or_null(m.finished_at)}};
}

std::optional<std::int64_t> positive(const std::string& text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 1) return {};
  return out;
}

result<persistence::mail_filter> read_filter(const request& req) {
  constexpr std::array states{"waiting", "sent", "failed"};
  persistence::mail_filter out;
  out.state = req.parameter("state").value_or("");
  if (!out.state.empty() && std::ranges::find(states, out.state) == states.end())
    return bad_field("state", "state must be waiting, sent or failed");
  if (auto text = req.parameter("cursor")) {
    out.before = positive(*text);
    if (!out.before) return bad_field("cursor", "cursor must be one that was given out");
  }
  if (auto text = req.parameter("limit")) {
    auto limit = positive(*text);
    if (!limit || *limit > most_mails) return bad_field("limit", "limit must be 1 to 200");
    out.most = *limit;
  }
  return out;
}

} // namespace

task<result<response>> get_mails(context& ctx) {
  auto filter = read_filter(ctx.req);
  if (!filter) co_return filter.error();
  auto page = *filter;
  ++page.most; // tells whether there is another page
  auto found = co_await ctx.read(persistence::list_mails, std::move(page));
  if (!found) co_return found.error();
  json::value next;
  if (std::ssize(*found) > filter->most) {
    found->pop_back();
    next = std::to_string(found->back().seq);
  }
  json::array mails;
  for (const auto& m : *found) mails.emplace_back(to_json(m));
  co_return json_reply({{"mails", std::move(mails)}, {"nextCursor", std::move(next)}}, 200,
                       caching::no_store);
}

} // namespace binnacle::http
