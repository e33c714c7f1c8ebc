#include "persistence/stripe_events.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <array>
#include <caf/send.hpp>
#include <charconv>

namespace binnacle::http {
namespace {

constexpr std::int64_t most_events = 200;

json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return text;
}

json::object to_json(const persistence::stripe_event_record& e) {
  return {{"id", e.what.id},
          {"type", e.what.type},
          {"object", e.what.object_key},
          {"livemode", e.what.livemode},
          {"apiVersion", text_or_null(e.what.api_version)},
          {"created", format_iso_ms(e.what.created_at)},
          {"source", e.source},
          {"state", e.state},
          {"attempts", e.attempts},
          {"nextAttemptAt", time_or_null(e.next_attempt_at)},
          {"awaitedEmail", text_or_null(e.awaited_email)},
          {"lastError", text_or_null(e.last_error)},
          {"receivedAt", format_iso_ms(e.received_at)},
          {"appliedAt", time_or_null(e.applied_at)}};
}

std::optional<std::int64_t> positive(const std::string& text) {
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || out < 1) return {};
  return out;
}

result<persistence::stripe_event_filter> read_filter(const request& req) {
  constexpr std::array states{"waiting", "failed", "unresolved", "applied"};
  persistence::stripe_event_filter out;
  out.state = req.parameter("state").value_or("");
  out.type = req.parameter("type").value_or("");
  if (!out.state.empty() && std::ranges::find(states, out.state) == states.end())
    return bad_field("state", "state must be waiting, failed, unresolved or applied");
  if (auto text = req.parameter("cursor")) {
    out.before = positive(*text);
    if (!out.before) return bad_field("cursor", "cursor must be one that was given out");
  }
  if (auto text = req.parameter("limit")) {
    auto limit = positive(*text);
    if (!limit || *limit > most_events) return bad_field("limit", "limit must be 1 to 200");
    out.most = *limit;
  }
  return out;
}

fault no_event() { return {errc::not_found, "Event not found", {}, {}}; }

result<done> replay(persistence::transaction& tx, const std::string& id,
                    const persistence::audit_entry& entry, time_point now) {
  auto due = persistence::replay_stripe_event(tx, id, now);
  if (!due) return due;
  return persistence::write_audit(tx, entry, now);
}

} // namespace

task<result<response>> get_stripe_events(context& ctx) {
  auto filter = read_filter(ctx.req);
  if (!filter) co_return filter.error();
  auto page = *filter;
  ++page.most; // tells whether there is another page
  auto found = co_await ctx.read(persistence::list_stripe_events, std::move(page));
  if (!found) co_return found.error();
  json::value next;
  if (std::ssize(*found) > filter->most) {
    found->pop_back();
    next = std::to_string(found->back().seq);
  }
  json::array events;
  for (const auto& e : *found) events.emplace_back(to_json(e));
  co_return json_reply({{"events", std::move(events)}, {"nextCursor", std::move(next)}}, 200,
                       caching::no_store);
}

task<result<response>> get_stripe_event(context& ctx) {
  auto found = co_await ctx.read(persistence::find_stripe_event, ctx.req.params[0]);
  if (!found) co_return found.error();
  if (!*found) co_return no_event();
  auto out = to_json(**found);
  json::value payload;
  if (auto& text = (*found)->what.payload; !text.empty()) payload = json::raw{std::move(text)};
  out.add("payload", std::move(payload));
  co_return json_reply({{"event", std::move(out)}}, 200, caching::no_store);
}

task<result<response>> post_stripe_event_replay(context& ctx) {
  auto id = ctx.req.params[0];
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "STRIPE_EVENT_REPLAYED";
  entry.target = id;
  entry.address = ctx.req.client_address;
  auto due = co_await ctx.write(replay, id, entry, ctx.now());
  if (!due) co_return due.error();
  caf::anon_send(ctx.app.stripe_inbox, stripe_event_stored{});
  co_return written({{"success", true}, {"message", "The event will be applied once more"}}, 202);
}

} // namespace binnacle::http
