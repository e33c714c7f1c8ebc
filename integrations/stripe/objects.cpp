#include "integrations/stripe/objects.hpp"
#include "integrations/stripe/invoices.hpp"

#include "config/base/json.hpp"
#include "config/base/log.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace binnacle::stripe {
namespace {

namespace bj = boost::json;

/// Thrown by the accessors below and caught where a document begins to be read.
struct nonsense {
  std::string why;
};

/// PostgreSQL has no NUL in texts: what follows one would be lost.
std::string text_of(const bj::string& s) {
  if (s.find('\0') != bj::string::npos) throw nonsense{"a text has a NUL in it"};
  return {s.data(), s.size()};
}

/// An object's member; null when it is absent or null.
const bj::value* member(const bj::object& o, const char* name) {
  const auto* out = o.if_contains(name);
  return out && !out->is_null() ? out : nullptr;
}

std::string text(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return {};
  if (const auto* s = value->if_string()) return text_of(*s);
  throw nonsense{std::string{name} + " is no text"};
}

std::string required(const bj::object& o, const char* name) {
  auto out = text(o, name);
  if (out.empty()) throw nonsense{std::string{name} + " is missing"};
  return out;
}

bool truth(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return false;
  if (const auto* b = value->if_bool()) return *b;
  throw nonsense{std::string{name} + " is neither true nor false"};
}

std::optional<std::int64_t> integer(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return {};
  if (const auto* n = value->if_int64()) return *n;
  throw nonsense{std::string{name} + " is no whole number"};
}

std::optional<time_point> instant(const bj::object& o, const char* name) {
  constexpr std::int64_t year_2200 = 7'258'118'400;
  auto n = integer(o, name);
  if (!n) return {};
  if (*n < 0 || *n >= year_2200) throw nonsense{std::string{name} + " is no time"};
  return from_unix(*n);
}

time_point required_instant(const bj::object& o, const char* name) {
  auto out = instant(o, name);
  if (!out) throw nonsense{std::string{name} + " is missing"};
  return *out;
}

/// A number, or a number as text, which is how Stripe sends those with fractions.
std::optional<decimal> number(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return {};
  std::optional<decimal> out;
  if (const auto* n = value->if_int64()) out = decimal{*n};
  if (const auto* d = value->if_double()) out = decimal::from_double(*d);
  if (const auto* s = value->if_string()) out = decimal::parse(text_of(*s));
  if (!out) throw nonsense{std::string{name} + " is no number"};
  return out;
}

const bj::object* object(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return nullptr;
  if (const auto* inner = value->if_object()) return inner;
  throw nonsense{std::string{name} + " is no object"};
}

/// An id, whether the object stands in its place or not.
std::string reference(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return {};
  if (const auto* expanded = value->if_object()) return required(*expanded, "id");
  return text(o, name);
}

metadata notes_of(const bj::object& o) {
  metadata out;
  if (const auto* entries = object(o, "metadata"))
    for (const auto& [key, value] : *entries)
      if (const auto* s = value.if_string())
        out.emplace(std::string{key.data(), key.size()}, text_of(*s));
  return out;
}

template <class T>
std::vector<T> each(const bj::value& items, T (*read)(const bj::object&)) {
  const auto* values = items.if_array();
  if (!values) throw nonsense{"data is no array"};
  std::vector<T> out;
  for (const auto& v : *values) {
    const auto* o = v.if_object();
    if (!o) throw nonsense{"an entry of data is no object"};
    out.push_back(read(*o));
  }
  return out;
}

/// A list inside an object, such as a subscription's items.
template <class T>
std::vector<T> inner_list(const bj::object& o, const char* name, T (*read)(const bj::object&)) {
  const auto* list = object(o, name);
  const auto* data = list ? member(*list, "data") : nullptr;
  return data ? each(*data, read) : std::vector<T>{};
}

/// The objects that Stripe has deleted keep their type; other types here mean a wrong call.
void expect(const bj::object& o, std::string_view type) {
  if (text(o, "object") != type) throw nonsense{"no " + std::string{type}};
}

// -- one function per object ---------------------------------------------------------------------

customer customer_of(const bj::object& o) {
  expect(o, "customer");
  customer out;
  out.id = required(o, "id");
  out.deleted = truth(o, "deleted");
  out.email = text(o, "email");
  out.name = text(o, "name");
  if (const auto* settings = object(o, "invoice_settings"))
    out.default_payment_method = reference(*settings, "default_payment_method");
  out.default_source = reference(o, "default_source");
  out.notes = notes_of(o);
  return out;
}

subscription_item item_of(const bj::object& o) {
  return {required(o, "id"), reference(o, "price")};
}
std::optional<time_point> end_of_item(const bj::object& o) {
  return instant(o, "current_period_end");
}

subscription subscription_of(const bj::object& o) {
  expect(o, "subscription");
  subscription out;
  out.id = required(o, "id");
  out.customer = reference(o, "customer");
  out.status = required(o, "status");
  out.items = inner_list(o, "items", item_of);
  auto ends = inner_list(o, "items", end_of_item);
  for (const auto& end : ends) out.current_period_end = std::max(out.current_period_end, end);
  if (!out.current_period_end) out.current_period_end = instant(o, "current_period_end");
  out.cancel_at_period_end = truth(o, "cancel_at_period_end");
  out.created = required_instant(o, "created");
  out.ended_at = instant(o, "ended_at");
  out.notes = notes_of(o);
  return out;
}

checkout_session checkout_of(const bj::object& o) {
  expect(o, "checkout.session");
  checkout_session out;
  out.id = required(o, "id");
  out.url = text(o, "url");
  out.mode = required(o, "mode");
  out.status = text(o, "status");
  out.payment_status = text(o, "payment_status");
  out.client_reference_id = text(o, "client_reference_id");
  out.customer = reference(o, "customer");
  out.customer_email = text(o, "customer_email");
  if (const auto* details = object(o, "customer_details"); details && out.customer_email.empty())
    out.customer_email = text(*details, "email");
  out.subscription_id = reference(o, "subscription");
  if (const auto* value = member(o, "subscription"); value && value->is_object())
    out.subscription = subscription_of(value->get_object());
  out.payment_intent = reference(o, "payment_intent");
  out.amount_total = integer(o, "amount_total");
  out.currency = text(o, "currency");
  out.created = required_instant(o, "created");
  out.notes = notes_of(o);
  return out;
}

std::int64_t amount(const bj::object& o, const char* name) {
  auto out = integer(o, name);
  if (!out) throw nonsense{std::string{name} + " is missing"};
  return *out;
}

reversal refund_of(const bj::object& o) {
  expect(o, "refund");
  auto status = text(o, "status");
  return {.id = required(o, "id"),
          .amount = amount(o, "amount"),
          .stands = status == "succeeded" || status == "pending",
          .created = required_instant(o, "created")};
}

/// From its first day until it is won, the bank has the money; an inquiry (warning_…) takes none.
reversal dispute_of(const bj::object& o) {
  expect(o, "dispute");
  auto status = text(o, "status");
  return {.id = required(o, "id"),
          .amount = amount(o, "amount"),
          .stands = status == "needs_response" || status == "under_review" || status == "lost",
          .created = required_instant(o, "created")};
}

invoice_line line_of(const bj::object& o) {
  invoice_line out;
  out.description = text(o, "description");
  out.amount = integer(o, "amount").value_or(0);
  out.quantity = number(o, "quantity");
  if (const auto* period = object(o, "period")) {
    out.period_start = instant(*period, "start");
    out.period_end = instant(*period, "end");
  }
  return out;
}

std::string subscription_of_invoice(const bj::object& o) {
  if (auto old_place = reference(o, "subscription"); !old_place.empty()) return old_place;
  const auto* parent = object(o, "parent");
  const auto* details = parent ? object(*parent, "subscription_details") : nullptr;
  return details ? reference(*details, "subscription") : std::string{};
}

invoice invoice_of(const bj::object& o) {
  expect(o, "invoice");
  invoice out;
  out.id = text(o, "id"); // a preview has none
  out.number = text(o, "number");
  out.customer = reference(o, "customer");
  out.subscription = subscription_of_invoice(o);
  out.status = text(o, "status");
  out.amount_paid = amount(o, "amount_paid");
  out.amount_due = amount(o, "amount_due");
  out.total = amount(o, "total");
  out.currency = required(o, "currency");
  out.created = required_instant(o, "created");
  out.due_date = instant(o, "due_date");
  out.hosted_invoice_url = text(o, "hosted_invoice_url");
  out.invoice_pdf = text(o, "invoice_pdf");
  out.auto_advance = truth(o, "auto_advance");
  out.lines = inner_list(o, "lines", line_of);
  return out;
}

bill bill_of(const bj::object& o) {
  bill out{invoice_of(o), text(o, "description"), integer(o, "attempt_count").value_or(0), {}};
  if (const auto* at = object(o, "status_transitions")) out.paid_at = instant(*at, "paid_at");
  return out;
}

payment_method method_of(const bj::object& o) {
  expect(o, "payment_method");
  payment_method out;
  out.id = required(o, "id");
  out.type = required(o, "type");
  out.customer = reference(o, "customer");
  if (const auto* c = object(o, "card"))
    out.card = card{.brand = text(*c, "brand"),
                    .last4 = text(*c, "last4"),
                    .exp_month = integer(*c, "exp_month").value_or(0),
                    .exp_year = integer(*c, "exp_year").value_or(0)};
  out.created = required_instant(o, "created");
  return out;
}

price price_of(const bj::object& o) {
  expect(o, "price");
  price out;
  out.id = required(o, "id");
  out.product = reference(o, "product");
  out.active = truth(o, "active");
  out.currency = required(o, "currency");
  out.unit_amount = number(o, "unit_amount_decimal");
  if (!out.unit_amount) out.unit_amount = number(o, "unit_amount");
  if (const auto* recurring = object(o, "recurring")) {
    out.interval = text(*recurring, "interval");
    out.meter = text(*recurring, "meter");
  }
  return out;
}

meter meter_of(const bj::object& o) {
  expect(o, "billing.meter");
  return {.id = required(o, "id"),
          .event_name = required(o, "event_name"),
          .display_name = text(o, "display_name"),
          .status = text(o, "status")};
}

meter_event meter_event_of(const bj::object& o) {
  expect(o, "billing.meter_event");
  return {.event_name = required(o, "event_name"),
          .identifier = required(o, "identifier"),
          .timestamp = required_instant(o, "timestamp")};
}

meter_summary summary_of(const bj::object& o) {
  expect(o, "billing.meter_event_summary");
  auto value = number(o, "aggregated_value");
  if (!value) throw nonsense{"aggregated_value is missing"};
  return {.id = required(o, "id"),
          .meter = text(o, "meter"),
          .aggregated_value = *value,
          .start_time = required_instant(o, "start_time"),
          .end_time = required_instant(o, "end_time")};
}

std::string json_of(const bj::object& o) { return bj::serialize(o); }

/// Of the object of an event, of which there are hundreds of types: empty where there is no id.
std::string id_at(const bj::object& o, const char* name) {
  const auto* value = o.if_contains(name);
  if (const auto* expanded = value ? value->if_object() : nullptr)
    value = expanded->if_contains("id");
  const auto* s = value ? value->if_string() : nullptr;
  return s ? text_of(*s) : std::string{};
}

/// A customer is its own; a detached payment method was somebody's.
std::string customer_of_event(const bj::object& about, const bj::object* previous) {
  if (id_at(about, "object") == "customer") return id_at(about, "id");
  auto out = id_at(about, "customer");
  return out.empty() && previous ? id_at(*previous, "customer") : out;
}

event event_of(const bj::object& o) {
  expect(o, "event");
  event out;
  out.id = required(o, "id");
  out.type = required(o, "type");
  out.created = required_instant(o, "created");
  out.livemode = truth(o, "livemode");
  out.api_version = text(o, "api_version");
  const auto* data = object(o, "data");
  const auto* about = data ? object(*data, "object") : nullptr;
  if (!about) throw nonsense{"data.object is missing"};
  out.object_id = id_at(*about, "id");
  out.object = json_of(*about);
  const auto* previous = object(*data, "previous_attributes");
  if (previous) out.previous_attributes = json_of(*previous);
  out.customer = customer_of_event(*about, previous);
  out.payment_intent = id_at(*about, "payment_intent");
  return out;
}

event listed_event_of(const bj::object& o) {
  auto out = event_of(o);
  out.json = json_of(o);
  return out;
}

/// What cannot be read of a list of events is left out: one of them must not stop all.
list<event> events_of(const bj::object& o) {
  expect(o, "list");
  const auto* data = member(o, "data");
  const auto* items = data ? data->if_array() : nullptr;
  if (!items) throw nonsense{"data is no array"};
  list<event> out{{}, truth(o, "has_more")};
  for (const auto& item : *items) {
    try {
      const auto* one = item.if_object();
      if (!one) throw nonsense{"no object"};
      out.data.push_back(listed_event_of(*one));
    } catch (const nonsense& n) {
      log::warn("Stripe listed an event that cannot be read", {{"why", n.why}});
    }
  }
  return out;
}

// -- documents -----------------------------------------------------------------------------------

template <class T>
result<T> document(std::string_view json, T (*read)(const bj::object&)) {
  auto wrong = [](const std::string& why) {
    return fault{errc::upstream_failed, "Stripe answered in an unknown form", {}, "Stripe: " + why};
  };
  auto parsed = json::parse(json);
  const auto* o = parsed ? parsed->if_object() : nullptr;
  if (!o) return wrong("no JSON object");
  try {
    return read(*o);
  } catch (const nonsense& n) {
    return wrong(n.why);
  }
}

template <class T, T (*read)(const bj::object&)>
list<T> list_of(const bj::object& o) {
  expect(o, "list");
  const auto* data = member(o, "data");
  if (!data) throw nonsense{"data is missing"};
  return {each(*data, read), truth(o, "has_more")};
}

} // namespace

result<customer> read_customer(std::string_view json) { return document(json, customer_of); }
result<subscription> read_subscription(std::string_view json) {
  return document(json, subscription_of);
}
result<checkout_session> read_checkout(std::string_view json) {
  return document(json, checkout_of);
}
result<invoice> read_invoice(std::string_view json) { return document(json, invoice_of); }
result<bill> read_bill(std::string_view json) { return document(json, bill_of); }
result<payment_method> read_payment_method(std::string_view json) {
  return document(json, method_of);
}
result<price> read_price(std::string_view json) { return document(json, price_of); }
result<meter_event> read_meter_event(std::string_view json) {
  return document(json, meter_event_of);
}
result<event> read_event(std::string_view json) { return document(json, event_of); }

result<list<checkout_session>> read_checkouts(std::string_view json) {
  return document(json, list_of<checkout_session, checkout_of>);
}
result<list<reversal>> read_refunds(std::string_view json) {
  return document(json, list_of<reversal, refund_of>);
}
result<list<reversal>> read_disputes(std::string_view json) {
  return document(json, list_of<reversal, dispute_of>);
}
result<list<customer>> read_customers(std::string_view json) {
  return document(json, list_of<customer, customer_of>);
}
result<list<subscription>> read_subscriptions(std::string_view json) {
  return document(json, list_of<subscription, subscription_of>);
}
result<list<invoice>> read_invoices(std::string_view json) {
  return document(json, list_of<invoice, invoice_of>);
}
result<list<payment_method>> read_payment_methods(std::string_view json) {
  return document(json, list_of<payment_method, method_of>);
}
result<list<meter>> read_meters(std::string_view json) {
  return document(json, list_of<meter, meter_of>);
}
result<list<meter_summary>> read_meter_summaries(std::string_view json) {
  return document(json, list_of<meter_summary, summary_of>);
}
result<list<event>> read_events(std::string_view json) { return document(json, events_of); }

} // namespace binnacle::stripe
