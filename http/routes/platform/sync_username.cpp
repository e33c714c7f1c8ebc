#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/hopsworks.hpp"
#include "http/routes/replies.hpp"

namespace binnacle::http {
namespace {

result<done> keep_name(persistence::transaction& tx, const user_id& who, const cluster_id& where,
                       const persistence::hopsworks_account& account,
                       const persistence::audit_entry& entry, time_point now) {
  auto stored = persistence::store_hopsworks_account(tx, who, where, account);
  if (!stored) return stored;
  return persistence::write_audit(tx, entry, now);
}

} // namespace

task<result<response>> post_sync_username(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"userId"});
  user_id who{body->text("userId")};
  if (body->problem()) co_return *body->problem();
  auto holder = co_await ctx.snapshot(persistence::find_hopsworks_holder, who);
  if (!holder) co_return holder.error();
  if (!*holder) co_return fault{errc::bad_request, "User has no cluster assignment", {}, {}};
  auto seen = co_await look_up(ctx, **holder);
  if (!seen) co_return failed_at("Failed to sync username", seen.error());
  if (!*seen) co_return fault{errc::not_found, "Hopsworks user not found", {}, {}};
  persistence::hopsworks_account account{(*seen)->id, (*seen)->username, (*seen)->active_projects};
  persistence::audit_entry entry;
  entry.actor = ctx.who().id;
  entry.action = "HOPSWORKS_USERNAME_SYNCED";
  entry.target = who.value;
  entry.detail = json::to_text(json::object{{"username", account.username}});
  entry.address = ctx.req.client_address;
  auto kept = co_await ctx.write(keep_name, who, (*holder)->where.id, account, entry, ctx.now());
  if (!kept) co_return kept.error();
  co_return written({{"success", true},
                     {"username", account.username},
                     {"message", "Username synced: " + account.username}});
}

/// Many clusters take their time. Who called is told when the run is not over in time; it goes on,
/// and GET /api/admin/timers shows what came of the regular ones.
task<result<response>> cron_sync_projects(context& ctx) {
  sync_projects everything;
  auto ran = co_await ctx.ask<synced_projects>(ctx.app.project_sync, everything, kept_for_answer);
  if (!ran && ran.error().code == errc::timed_out)
    co_return written({{"success", true}, {"message", "Project sync is still running"}}, 202);
  if (!ran) co_return ran.error();
  response out;
  out.body = std::move(ran->report);
  out.cache = caching::no_store;
  co_return out;
}

} // namespace binnacle::http
