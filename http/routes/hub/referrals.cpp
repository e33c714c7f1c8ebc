#include "persistence/referrals.hpp"
#include "actors/admission.hpp"
#include "actors/referral_codes.hpp"
#include "config/credits.hpp"
#include "http/routes/body.hpp"
#include "http/routes/hub/envelope.hpp"
#include "http/routes/hub/handlers.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

using persistence::transaction;

std::int64_t unix_ms(time_point t) {
  return std::chrono::floor<milliseconds>(t.time_since_epoch()).count();
}

json::object to_json(const persistence::referral_summary& s, const std::string& origin,
                     time_point now) {
  json::object stats{{"referredTotal", s.total}, {"verified", s.verified},
                     {"paid", s.paid},           {"pending", s.pending},
                     {"cancelled", s.cancelled}, {"totalCredits", s.tenths / tenths_per_credit}};
  json::array events;
  for (const auto& e : s.newest)
    events.emplace_back(json::object{{"id", e.id},
                                     {"status", e.status},
                                     {"occurredAt", unix_ms(e.occurred_at)},
                                     {"creditsAwarded", e.tenths / tenths_per_credit}});
  return {{"referralCode", s.code},
          {"referralLink", origin + "/register?ref=" + s.code},
          {"stats", std::move(stats)},
          {"recentEvents", std::move(events)},
          {"updatedAt", unix_ms(now)}};
}

result<done> record(transaction& tx, const user_id& who, const std::string& code,
                    const persistence::audit_entry& entry, time_point now) {
  auto recorded = persistence::record_referral(tx, who, code, now);
  if (!recorded) return recorded.error();
  if (!*recorded) return done{};
  return persistence::write_audit(tx, entry, now);
}

} // namespace

task<result<response>> get_referral_summary(context& ctx) {
  constexpr auto trouble = "Unable to load referral summary";
  auto now = ctx.now();
  const auto& who = ctx.who().id;
  auto summary = co_await ctx.snapshot(persistence::summarise_referrals, who);
  if (!summary) co_return not_loaded(summary.error(), trouble);
  if (summary->code.empty()) {
    auto candidates = referral_codes(who);
    auto code = co_await ctx.write(persistence::ensure_referral_code, who, candidates, now);
    if (!code) co_return not_loaded(code.error(), trouble);
    summary->code = std::move(*code);
  }
  auto origin = origin_of_page(ctx.req, ctx.app.config);
  co_return json_reply(in_envelope(to_json(*summary, origin, now)));
}

task<result<response>> post_referral(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return invalid_body(body.error());
  body->require({"ref"});
  auto code = body->text("ref", 64);
  if (body->problem()) co_return invalid_body(*body->problem());
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "referral_recorded";
  entry.target = ctx.who().id.value;
  entry.detail = json::to_text(json::object{{"ref", code}});
  entry.address = ctx.req.client_address;
  auto recorded = co_await ctx.write(record, ctx.who().id, code, entry, ctx.now());
  if (!recorded) co_return recorded.error();
  co_return written(in_envelope(json::object{{"recorded", true}}));
}

} // namespace binnacle::http
