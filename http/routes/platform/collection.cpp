#include "actors/collection_plan.hpp"
#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/users.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

/// A collection's own refusal is what an admin has to do something about.
fault explain(const fault& f) {
  if (f.code != errc::unprocessable) return f;
  return failed_at("Failed to collect metrics",
                   {errc::internal, "No cluster has a kubeconfig", {}, f.detail});
}

/// {from, to, again, dryRun}, all optional; without hours, the present one and what is missing.
result<collect_usage> read_collection(const context& ctx) {
  auto body = json_fields::of_optional(ctx.req);
  if (!body) return body.error();
  auto from = body->maybe_time("from"), to = body->maybe_time("to");
  collect_usage out;
  out.again = body->truth("again", false);
  out.dry_run = body->truth("dryRun", false);
  if (body->problem()) return *body->problem();
  if (from.has_value() != to.has_value())
    return bad_field(from ? "to" : "from", "from and to must be given together");
  if (from) {
    out.from = unix_seconds(*from);
    out.to = unix_seconds(*to);
  }
  auto possible = plan_collection(out, ctx.now(), ctx.app.config.collector.backfill_hours);
  if (!possible) return possible.error();
  return out;
}

} // namespace

task<result<response>> collect_opencost(context& ctx) {
  collect_usage present;
  auto done = co_await ctx.ask<collection>(ctx.app.usage_collector, present);
  if (!done) co_return explain(done.error());
  response out;
  out.body = std::move(done->report);
  out.cache = caching::no_store;
  co_return out;
}

task<result<response>> post_admin_collect(context& ctx) {
  auto wanted = read_collection(ctx);
  if (!wanted) co_return wanted.error();
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "USAGE_COLLECTION_TRIGGERED";
  entry.detail = json::to_text(json::object{{"from", wanted->from},
                                            {"to", wanted->to},
                                            {"again", wanted->again},
                                            {"dryRun", wanted->dry_run}});
  entry.address = ctx.req.client_address;
  auto noted = co_await ctx.write(persistence::write_audit, entry, ctx.now());
  if (!noted) co_return noted.error();
  auto done = co_await ctx.ask<collection>(ctx.app.usage_collector, *wanted);
  if (!done) co_return explain(done.error());
  co_return written({{"message", "OpenCost collection triggered successfully"},
                     {"result", json::raw{std::move(done->report)}}});
}

} // namespace binnacle::http
