#include "actors/subscriber_invoices.hpp"

#include <algorithm>
#include <string_view>

namespace binnacle {
namespace {

namespace assinante = persistence::assinante;

std::string_view status_of(const stripe::bill& invoice, date due, time_point now) {
  if (invoice.status == "paid") return "paid";
  if (invoice.status == "void") return "cancelled";
  if (invoice.status == "uncollectible") return "overdue"; // owed for ever, and may yet be paid
  return invoice.attempt_count > 0 || due < date_of(now) ? "overdue" : "pending";
}

} // namespace

result<bool> has_subscriber(persistence::transaction& tx, const std::string& stripe_subscription) {
  auto found = assinante::find_stripe_subscription(tx, stripe_subscription);
  if (!found) return found.error();
  return found->has_value();
}

std::optional<assinante::invoice>
shown_to_subscriber(const stripe::bill& from, const assinante::subscription& of, time_point now) {
  if (from.status == "draft" || from.currency != "brl") return {};
  // What is collected at once is due when it is made.
  auto due = date_of(from.due_date.value_or(from.created));
  auto what = from.description;
  if (what.empty() && !from.lines.empty()) what = from.lines.front().description;
  assinante::invoice out;
  out.id = out.stripe_invoice = from.id;
  out.subscription = of.id;
  out.number = from.number.empty() ? from.id : from.number;
  out.status = status_of(from, due, now);
  // A credit bills nothing.
  out.amount = decimal{std::max<std::int64_t>(from.total, 0)} / decimal{100};
  out.description = what.empty() ? of.plan_name : what;
  out.due_date = due;
  if (out.status == "paid") out.paid_at = from.paid_at.value_or(from.created);
  out.payment_method = of.payment_method;
  out.created_at = from.created;
  return out;
}

result<done> follow_invoice(persistence::transaction& tx, const stripe::bill& from,
                            time_point now) {
  auto of = assinante::find_stripe_subscription(tx, from.subscription);
  if (!of) return of.error();
  if (!*of) return done{};
  auto shown = shown_to_subscriber(from, **of, now);
  if (!shown) return done{};
  // An admin or an import may have brought it under an id of its own.
  auto known = assinante::find_stripe_invoice(tx, from.id);
  if (!known) return known.error();
  if (*known) shown->id = (*known)->id;
  auto stored = assinante::upsert_invoices(tx, {*shown}, now);
  if (!stored) return stored.error();
  if (stored->front() == assinante::outcome::foreign)
    return fault{errc::conflict, "The invoice belongs to another subscriber", {}, from.id};
  return done{};
}

} // namespace binnacle
