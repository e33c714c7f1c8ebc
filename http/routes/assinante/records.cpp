#include "http/routes/assinante/records.hpp"

#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "http/routes/assinante/form.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cctype>
#include <initializer_list>
#include <string_view>

namespace binnacle::http::records {
namespace {

namespace bj = boost::json;
using persistence::assinante::invoice;
using persistence::assinante::order;

constexpr std::size_t longest_name = 255;
constexpr std::size_t longest_description = 2'000;
constexpr std::size_t longest_url = 2'048;
constexpr std::size_t longest_subject = 255; // OpenID Connect Core §2
constexpr std::size_t most_parts = 500;      // items of an order, benefits of a subscription
constexpr std::int64_t largest_quantity = 1'000'000;

/// A name that nobody knows is a mistake that nobody would see.
void refuse_others(form& f, const bj::object& from, std::initializer_list<std::string_view> names) {
  for (const auto& member : from) {
    std::string_view name{member.key().data(), member.key().size()};
    if (name != "kind" && std::ranges::find(names, name) == names.end())
      f.note(name, "Campo desconhecido");
  }
}

template <class T>
result<T> unless_wrong(const form& f, T out) {
  if (!f.problems().empty()) return f.refusal();
  return out;
}

std::string payment_method(form& f) {
  return f.choice("paymentMethod", {"credit_card", "debit_card", "pix", "boleto"});
}

std::string maybe_id(form& f, std::string_view name) {
  return f.lacks(name) ? std::string{} : f.id(name);
}

std::optional<time_point> maybe_time(form& f, std::string_view name) {
  return f.lacks(name) ? std::nullopt : f.time(name);
}

std::string maybe_address(form& f, std::string_view name) {
  return f.lacks(name) ? std::string{} : f.address(name);
}

time_point created_at(form& f, source by) {
  auto at = by == source::import ? f.time("createdAt") : maybe_time(f, "createdAt");
  return at.value_or(time_point{});
}

/// The objects of an array, each made into what is stored and answered; JSON.
template <class Read>
std::string parts_of(form& f, const bj::object& from, std::string_view name, Read read) {
  if (f.lacks(name)) return "[]";
  const auto& given = from.at({name.data(), name.size()});
  if (!given.is_array() || given.get_array().size() > most_parts) {
    f.note(name, "Deve ser uma lista de até " + std::to_string(most_parts));
    return "[]";
  }
  json::array out;
  for (const auto& v : given.get_array()) {
    auto place = std::string{name} + "[" + std::to_string(out.size()) + "]";
    static const bj::object nothing;
    if (!v.is_object()) f.note(place, "Deve ser um objeto");
    form part{v.is_object() ? v.get_object() : nothing};
    out.emplace_back(read(part, out.size() + 1));
    if (!v.is_object()) continue;
    for (const auto& p : part.problems()) f.note(place + "." + p.field, p.text);
  }
  return json::to_text(out);
}

json::object benefit_of(form& f, std::size_t place) {
  auto id = maybe_id(f, "id");
  json::object out;
  out.add("id", id.empty() ? "ben_" + std::to_string(place) : id);
  out.add("name", f.text("name", 1, longest_name));
  out.add("description", f.maybe_text("description", longest_description));
  out.add("icon", f.maybe_text("icon", longest_name));
  out.add("type", f.text("type", 1, longest_name));
  auto count = [&](const char* name) { return f.integer(name, 0, largest_quantity); };
  out.add("quantityTotal",
          f.lacks("quantityTotal") ? json::value{} : json::value{count("quantityTotal")});
  out.add("quantityUsed", f.lacks("quantityUsed") ? 0 : count("quantityUsed"));
  auto expires = f.lacks("expirationDate") ? std::nullopt : f.day("expirationDate");
  out.add("expirationDate",
          expires ? json::value{format_iso_ms(start_of(*expires))} : json::value{});
  return out;
}

json::object item_of(form& f, std::size_t place) {
  auto id = maybe_id(f, "id");
  json::object out;
  out.add("id", id.empty() ? "item_" + std::to_string(place) : id);
  out.add("productName", f.text("productName", 1, longest_name));
  out.add("quantity", f.integer("quantity", 1, largest_quantity));
  out.add("unitPrice", f.money("unitPrice"));
  out.add("totalPrice", f.money("totalPrice"));
  return out;
}

std::string last_four(form& f) {
  auto out = f.maybe_text("paymentMethodLast4", 4);
  auto digits = std::ranges::all_of(out, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!out.empty() && (out.size() != 4 || !digits))
    f.note("paymentMethodLast4", "Deve ter 4 dígitos");
  return out;
}

} // namespace

result<subscriber_record> read_subscriber(const bj::object& from, time_point now) {
  form f{from};
  refuse_others(f, from,
                {"email", "name", "phone", "cpf", "birthDate", "address", "avatarUrl",
                 "firebaseUid", "createdAt"});
  subscriber_record out;
  auto& who = out.who;
  who.email = f.email("email");
  who.name = f.person("name");
  if (!f.lacks("phone")) who.phone = f.phone("phone");
  if (!f.lacks("cpf")) who.cpf = f.cpf("cpf");
  if (!f.lacks("birthDate")) who.birth_date = f.birth_date("birthDate", now);
  who.address = maybe_address(f, "address");
  who.avatar_url = f.maybe_text("avatarUrl", longest_url);
  out.firebase_uid = f.maybe_text("firebaseUid", longest_subject);
  who.created_at = created_at(f, source::import);
  return unless_wrong(f, std::move(out));
}

result<subscription_record> read_subscription(const bj::object& from, source by) {
  form f{from};
  if (by == source::import)
    refuse_others(f, from,
                  {"id", "userId", "email", "planName", "status", "price", "startDate",
                   "renewalDate", "paymentMethod", "paymentMethodLast4", "shippingAddress",
                   "benefits", "stripeSubscriptionId", "createdAt"});
  subscription_record out;
  auto& what = out.what;
  what.id = by == source::import ? f.id("id") : maybe_id(f, "id");
  what.who = {maybe_id(f, "userId")};
  if (!f.lacks("email")) out.email = f.email("email");
  if (f.lacks("userId") == f.lacks("email")) f.note("userId", "Informe userId ou email");
  what.plan_name = f.text("planName", 1, longest_name);
  what.status = f.choice("status", {"pending_activation", "active", "overdue", "suspended",
                                    "paused", "cancelled", "expired", "refunded", "pending"});
  what.price = f.money("price");
  auto start = f.day("startDate"), renewal = f.day("renewalDate");
  if (start && renewal && *renewal < *start)
    f.note("renewalDate", "Deve ser igual ou posterior a startDate");
  what.start_date = start.value_or(date{});
  what.renewal_date = renewal.value_or(date{});
  what.payment_method = payment_method(f);
  what.payment_method_last4 = last_four(f);
  what.shipping_address = maybe_address(f, "shippingAddress");
  what.benefits = parts_of(f, from, "benefits", benefit_of);
  what.stripe_subscription = maybe_id(f, "stripeSubscriptionId");
  what.created_at = created_at(f, by);
  return unless_wrong(f, std::move(out));
}

result<order> read_order(const bj::object& from, source by) {
  form f{from};
  if (by == source::import)
    refuse_others(f, from,
                  {"id", "subscriptionId", "orderNumber", "status", "totalAmount", "items",
                   "shippingAddress", "trackingCode", "shippedAt", "deliveredAt", "createdAt"});
  order out;
  out.id = by == source::import ? f.id("id") : maybe_id(f, "id");
  out.subscription = f.id("subscriptionId");
  out.number = f.text("orderNumber", 1, longest_name);
  out.status = lower_case(
      f.choice("status", {"PENDING", "PROCESSING", "SHIPPED", "DELIVERED", "CANCELLED"}));
  out.total = f.money("totalAmount");
  out.items = parts_of(f, from, "items", item_of);
  out.shipping_address = maybe_address(f, "shippingAddress");
  out.tracking_code = f.maybe_text("trackingCode", longest_name);
  out.shipped_at = maybe_time(f, "shippedAt");
  out.delivered_at = maybe_time(f, "deliveredAt");
  out.created_at = created_at(f, by);
  return unless_wrong(f, std::move(out));
}

result<invoice> read_invoice(const bj::object& from, source by) {
  form f{from};
  if (by == source::import)
    refuse_others(f, from,
                  {"id", "subscriptionId", "invoiceNumber", "status", "amount", "description",
                   "dueDate", "paidAt", "paymentMethod", "stripeInvoiceId", "createdAt"});
  invoice out;
  out.id = by == source::import ? f.id("id") : maybe_id(f, "id");
  out.subscription = f.id("subscriptionId");
  out.number = f.text("invoiceNumber", 1, longest_name);
  out.status = lower_case(f.choice("status", {"PAID", "PENDING", "OVERDUE", "CANCELLED"}));
  out.amount = f.money("amount");
  out.description = f.maybe_text("description", longest_description);
  out.due_date = f.day("dueDate").value_or(date{});
  // One that is paid says when; one that was cancelled may have been paid before.
  out.paid_at = out.status == "paid" ? f.time("paidAt") : maybe_time(f, "paidAt");
  out.payment_method = payment_method(f);
  out.stripe_invoice = maybe_id(f, "stripeInvoiceId");
  out.created_at = created_at(f, by);
  return unless_wrong(f, std::move(out));
}

} // namespace binnacle::http::records
