#include "config/base/log.hpp"
#include "http/routes/body.hpp"
#include "http/routes/checkout.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/replies.hpp"
#include "persistence/billing_accounts.hpp"
#include "persistence/clusters.hpp"
#include "persistence/prices.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

using persistence::payer;

/// Kept of the request's time for its answer; whoever is left over is dealt with by the next one.
constexpr seconds reserve{3};

persistence::audit_entry audit(const context& ctx, std::string action, const user_id& target,
                               const json::object& detail) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = target.value;
  out.detail = json::to_text(detail);
  out.address = ctx.req.client_address;
  return out;
}

// -- POST /api/admin/fix-missing-subscriptions ----------------------------------------------------

struct broken_accounts {
  std::vector<payer> payers{};
  bool can_be_fixed = false; // there is something to subscribe to
};

result<broken_accounts> find_broken(persistence::transaction& tx, time_point now) {
  auto payers = persistence::payers_without_subscription(tx);
  if (!payers) return payers.error();
  auto prices = persistence::usage_prices(tx, now);
  if (!prices) return prices.error();
  return broken_accounts{std::move(*payers), !prices->empty()};
}

/// A full cluster is no reason to leave the account unfixed: the subscription is there.
result<done> complete_fix(persistence::transaction& tx, const user_id& who,
                          const persistence::audit_entry& entry, time_point now) {
  auto placed = persistence::assign_free_cluster(tx, who, now);
  if (!placed && placed.error().code != errc::unprocessable) return placed.error();
  if (!placed) log::warn("no cluster assigned", {{"user", who.value}});
  return persistence::write_audit(tx, entry, now);
}

task<result<done>> fix(context& ctx, user_id who) {
  ensure_subscription asked{who};
  auto made = co_await ctx.ask<subscription_state>(ctx.app.billing, asked);
  if (!made) co_return made.error();
  json::object detail{{"subscription", made->id}, {"status", made->status}};
  auto entry = audit(ctx, "SUBSCRIPTION_FIXED", who, detail);
  co_return co_await ctx.settle(complete_fix, who, entry, ctx.now());
}

std::string shown_name(const payer& p) { return p.email.empty() ? p.who.value : p.email; }

struct outcome_of_fixing {
  json::array fixed{};
  json::array failed{}; // {email, error}
  std::size_t remaining = 0;

  std::string message() const {
    auto out = "Fixed " + std::to_string(fixed.size()) + " users, " +
               std::to_string(failed.size()) + " failed";
    return remaining == 0 ? out : out + ", " + std::to_string(remaining) + " remaining";
  }
};

task<outcome_of_fixing> fix_all(context& ctx, std::vector<payer> payers) {
  outcome_of_fixing out;
  for (std::size_t i = 0; i < payers.size(); ++i) {
    if (ctx.patience() < reserve) {
      out.remaining = payers.size() - i;
      break;
    }
    auto fixed = co_await fix(ctx, payers[i].who);
    if (fixed) {
      out.fixed.emplace_back(shown_name(payers[i]));
      continue;
    }
    log::warn("subscription not fixed",
              {{"user", payers[i].who.value}, {"why", to_string(fixed.error())}});
    out.failed.emplace_back(
        json::object{{"email", shown_name(payers[i])}, {"error", fixed.error().message()}});
  }
  co_return out;
}

json::object preview_of(const std::vector<payer>& payers) {
  json::array users;
  for (const auto& p : payers) users.emplace_back(shown_name(p));
  return {{"message", std::to_string(payers.size()) + " users need fixing"},
          {"dryRun", true},
          {"users", std::move(users)}};
}

// -- /api/admin/billing
// -----------------------------------------------------------------------------

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{nullptr} : json::value{text};
}

json::object to_json(const payer& p) {
  return {{"id", p.who.value},
          {"email", text_or_null(p.email)},
          {"billing_mode", text_or_null(p.billing_mode)},
          {"feature_flags", json::raw{p.feature_flags}},
          {"stripe_subscription_status", text_or_null(p.subscription_status)}};
}

result<done> switch_mode(persistence::transaction& tx, const user_id& who, bool prepaid,
                         const persistence::audit_entry& entry, time_point now) {
  if (auto set = persistence::set_prepaid(tx, who, prepaid, now); !set) return set;
  return persistence::write_audit(tx, entry, now);
}

fault user_not_found() { return {errc::not_found, "User not found", {}, {}}; }

} // namespace

task<result<response>> post_fix_missing_subscriptions(context& ctx) {
  auto dry = ctx.req.parameter("dryRun").value_or("false");
  if (dry != "true" && dry != "false")
    co_return bad_field("dryRun", "dryRun must be true or false");
  auto broken = co_await ctx.snapshot(find_broken, ctx.now());
  if (!broken) co_return broken.error();
  if (broken->payers.empty())
    co_return written({{"message", "No users need fixing"}, {"fixed", json::array{}}});
  if (dry == "true") co_return written(preview_of(broken->payers));
  if (!ctx.app.config.stripe.configured()) co_return stripe_not_configured();
  if (!broken->can_be_fixed)
    co_return fault{errc::internal, "No active products found", {}, "none has a Stripe price"};
  auto out = co_await fix_all(ctx, std::move(broken->payers));
  auto message = out.message();
  json::object results{{"fixed", std::move(out.fixed)}, {"failed", std::move(out.failed)}};
  co_return written({{"message", std::move(message)}, {"results", std::move(results)}});
}

task<result<response>> get_admin_billing(context& ctx) {
  if (auto id = ctx.req.parameter("userId")) {
    user_id who{*id};
    auto found = co_await ctx.read(persistence::find_payer, who);
    if (!found) co_return found.error();
    if (!*found) co_return user_not_found();
    co_return json_reply({{"user", to_json(**found)}});
  }
  auto payers = co_await ctx.read(persistence::list_payers);
  if (!payers) co_return payers.error();
  json::array out;
  for (const auto& p : *payers) out.emplace_back(to_json(p));
  co_return json_reply({{"users", std::move(out)}});
}

task<result<response>> post_admin_billing(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"action", "userId"});
  auto action = body->text("action");
  user_id who{body->text("userId")};
  if (body->problem()) co_return *body->problem();
  auto prepaid = action == "enable_prepaid";
  if (!prepaid && action != "disable_prepaid") co_return bad_field("action", "Invalid action");
  auto entry = audit(ctx, prepaid ? "PREPAID_ENABLED" : "PREPAID_DISABLED", who, {});
  auto set = co_await ctx.write(switch_mode, who, prepaid, entry, ctx.now());
  if (!set) co_return set.error();
  co_return written({{"success", true}});
}

} // namespace binnacle::http
