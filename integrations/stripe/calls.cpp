#include "integrations/stripe/calls.hpp"
#include "integrations/stripe/invoices.hpp"

#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"

#include <algorithm>

namespace binnacle::stripe {
namespace {

constexpr std::size_t longest_key = 255; // characters that Stripe takes

call get(std::string path, form parameters = {}, std::string_view customer = {}) {
  return {.method = "GET",
          .path = std::move(path),
          .parameters = std::move(parameters),
          .idempotency_key = {},
          .customer = std::string{customer}};
}

call post(std::string path, form parameters, std::string key, std::string_view customer) {
  return {.method = "POST",
          .path = std::move(path),
          .parameters = std::move(parameters),
          .idempotency_key = std::move(key),
          .customer = std::string{customer}};
}

std::string at(const std::string& collection, std::string_view id) {
  return collection + "/" + path_segment(id);
}

std::string indexed(const char* name, std::size_t i, const char* field) {
  return std::string{name} + "[" + std::to_string(i) + "][" + field + "]";
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

} // namespace

std::string idempotency_key(std::string_view operation, std::string_view purpose) {
  auto key = std::string{operation} + ":";
  if (is_plain(purpose) && key.size() + purpose.size() <= longest_key) return key.append(purpose);
  return key.append(integrations::to_base64url(integrations::sha256(purpose)));
}

integrations::http_call to_http(const call& c, const account& who,
                                std::chrono::milliseconds deadline) {
  integrations::http_call out;
  out.method = c.method;
  out.url = who.api_url;
  while (out.url.ends_with('/')) out.url.pop_back();
  out.url += c.path;
  out.headers = {{"Accept", "application/json"}, {"Stripe-Version", api_version}};
  out.bearer = who.key;
  out.deadline = deadline;
  if (c.method == "GET") {
    if (!c.parameters.empty()) out.url += "?" + c.parameters.str();
    return out;
  }
  out.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  out.headers.emplace_back("Idempotency-Key", c.idempotency_key);
  out.body = c.parameters.str();
  return out;
}

// -- checkout ------------------------------------------------------------------------------------

call create_checkout(const checkout_order& o, std::string_view purpose) {
  form f;
  f.add("mode", o.mode).add("success_url", o.success_url).add_given("cancel_url", o.cancel_url);
  for (std::size_t i = 0; i < o.items.size(); ++i) {
    f.add(indexed("line_items", i, "price"), o.items[i].price);
    if (o.items[i].quantity > 0) f.add(indexed("line_items", i, "quantity"), o.items[i].quantity);
  }
  if (o.customer.empty())
    f.add_given("customer_email", o.customer_email);
  else
    f.add("customer", o.customer); // Stripe takes one of the two
  f.add_given("client_reference_id", o.client_reference_id);
  f.add_all("metadata", o.notes);
  if (o.mode == "subscription") f.add_all("subscription_data[metadata]", o.notes);
  if (o.allow_promotion_codes) f.add("allow_promotion_codes", *o.allow_promotion_codes);
  for (const auto& type : o.payment_method_types) f.add("payment_method_types[]", type);
  f.add_given("currency", o.currency);
  return post("/v1/checkout/sessions", std::move(f), idempotency_key("checkout", purpose),
              o.customer.empty() ? o.client_reference_id : o.customer);
}

call get_checkout(std::string_view id) {
  form f;
  f.add("expand[]", "subscription");
  return get(at("/v1/checkout/sessions", id), std::move(f));
}

namespace {

call list_of_payment(const char* path, std::string_view payment_intent) {
  form f;
  f.add("payment_intent", payment_intent).add("limit", "100");
  return get(path, std::move(f));
}

} // namespace

call list_checkouts(std::string_view payment_intent) {
  return list_of_payment("/v1/checkout/sessions", payment_intent);
}
call list_refunds(std::string_view payment_intent) {
  return list_of_payment("/v1/refunds", payment_intent);
}
call list_disputes(std::string_view payment_intent) {
  return list_of_payment("/v1/disputes", payment_intent);
}

// -- customers -----------------------------------------------------------------------------------

call create_customer(const new_customer& c, std::string_view purpose) {
  form f;
  f.add_given("email", c.email).add_given("name", c.name).add_all("metadata", c.notes);
  return post("/v1/customers", std::move(f), idempotency_key("customer", purpose), c.user);
}

call get_customer(std::string_view customer) {
  return get(at("/v1/customers", customer), {}, customer);
}

call list_customers(std::string_view email, int limit) {
  form f;
  f.add("email", email).add("limit", limit);
  return get("/v1/customers", std::move(f), {});
}

call list_payment_methods(std::string_view customer, std::string_view type) {
  form f;
  f.add("customer", customer).add_given("type", type);
  return get("/v1/payment_methods", std::move(f), customer);
}

// -- subscriptions and invoices ------------------------------------------------------------------

call create_subscription(const new_subscription& s, std::string_view purpose) {
  form f;
  f.add("customer", s.customer);
  for (std::size_t i = 0; i < s.prices.size(); ++i)
    f.add(indexed("items", i, "price"), s.prices[i]);
  f.add_all("metadata", s.notes);
  return post("/v1/subscriptions", std::move(f), idempotency_key("subscription", purpose),
              s.customer);
}

call get_subscription(std::string_view id) { return get(at("/v1/subscriptions", id)); }

call list_subscriptions(std::string_view customer, std::string_view status, int limit,
                        std::string_view starting_after) {
  form f;
  f.add("customer", customer).add("status", status).add("limit", limit);
  f.add_given("starting_after", starting_after);
  return get("/v1/subscriptions", std::move(f), customer);
}

call list_invoices(std::string_view customer, int limit, std::string_view starting_after) {
  form f;
  f.add("customer", customer).add("limit", limit).add_given("starting_after", starting_after);
  return get("/v1/invoices", std::move(f), customer);
}

call get_invoice(std::string_view id) { return get(at("/v1/invoices", id)); }

call finalize_invoice(std::string_view invoice, std::string_view customer) {
  return post(at("/v1/invoices", invoice) + "/finalize", {}, idempotency_key("finalize", invoice),
              customer);
}

call get_price(std::string_view id) { return get(at("/v1/prices", id)); }

// -- meters --------------------------------------------------------------------------------------

call send_meter_event(const meter_report& m) {
  form f;
  f.add("event_name", m.event_name)
      .add("payload[stripe_customer_id]", m.customer)
      .add("payload[value]", m.value)
      .add("identifier", m.identifier)
      .add("timestamp", unix_seconds(m.timestamp));
  return post("/v1/billing/meter_events", std::move(f),
              idempotency_key("meter_event", m.identifier), m.customer);
}

call meter_event_summaries(std::string_view meter, std::string_view customer, time_point from,
                           time_point to, std::string_view by) {
  form f;
  f.add("customer", customer)
      .add("start_time", unix_seconds(from))
      .add("end_time", unix_seconds(to))
      .add("limit", 100)
      .add_given("value_grouping_window", by);
  return get(at("/v1/billing/meters", meter) + "/event_summaries", std::move(f), customer);
}

call list_meters(std::string_view status, int limit) {
  form f;
  f.add_given("status", status).add("limit", limit);
  return get("/v1/billing/meters", std::move(f));
}

// -- events --------------------------------------------------------------------------------------

call list_events(const event_query& q) {
  form f;
  for (const auto& type : q.types) f.add("types[]", type);
  if (q.delivery_success) f.add("delivery_success", *q.delivery_success);
  f.add_given("ending_before", q.ending_before).add_given("starting_after", q.starting_after);
  f.add("limit", q.limit);
  return get("/v1/events", std::move(f));
}

call get_event(std::string_view id) { return get(at("/v1/events", id)); }

} // namespace binnacle::stripe
