/// Stripe's objects, as far as this service reads them, and their readers.
///
/// A reader takes the JSON text of an object, be it a reply's body or an event's `object`. Fields
/// it does not know, and nulls, are passed over; a field of a wrong type, or one missing that
/// Stripe always sends, is upstream_failed. Amounts are in minor units of the currency. A reference
/// that may be expanded is read as an id either way.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "integrations/http_client.hpp"
#include "integrations/stripe/form.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::stripe {

struct customer {
  std::string id{};
  bool deleted = false;
  std::string email{};
  std::string name{};
  std::string default_payment_method{}; // invoice_settings'
  std::string default_source{};
  metadata notes{};
};

struct subscription_item {
  std::string id{};
  std::string price{};
};
struct subscription {
  std::string id{};
  std::string customer{};
  std::string status{}; // incomplete, incomplete_expired, trialing, active, past_due, canceled, …
  std::vector<subscription_item> items{};
  /// The items' latest (since 2025-03-31), else the subscription's own.
  std::optional<time_point> current_period_end{};
  bool cancel_at_period_end = false;
  time_point created{};
  std::optional<time_point> ended_at{};
  metadata notes{};
};

struct checkout_session {
  std::string id{};
  std::string url{};            // empty once it is over
  std::string mode{};           // payment, subscription, setup
  std::string status{};         // open, complete, expired
  std::string payment_status{}; // paid, unpaid, no_payment_required
  std::string client_reference_id{};
  std::string customer{};
  std::string customer_email{}; // given by us, or else by the customer
  std::string subscription_id{};
  std::optional<stripe::subscription> subscription{}; // when it was expanded
  std::string payment_intent{};
  std::optional<std::int64_t> amount_total{};
  std::string currency{};
  time_point created{};
  metadata notes{};
};

/// A refund or a dispute of a payment.
struct reversal {
  std::string id{};
  std::int64_t amount = 0; // in minor units
  bool stands = false;     // the money has gone back, or is on its way
  time_point created{};
};

struct invoice_line {
  std::string description{};
  std::int64_t amount = 0;
  std::optional<decimal> quantity{};
  std::optional<time_point> period_start{};
  std::optional<time_point> period_end{};
};
struct invoice {
  std::string id{};
  std::string number{}; // empty while a draft
  std::string customer{};
  std::string subscription{}; // its own field, or parent.subscription_details (since 2025-03-31)
  std::string status{};       // draft, open, paid, void, uncollectible
  std::int64_t amount_paid = 0;
  std::int64_t amount_due = 0;
  std::int64_t total = 0;
  std::string currency{};
  time_point created{};
  std::optional<time_point> due_date{};
  std::string hosted_invoice_url{};
  std::string invoice_pdf{};
  bool auto_advance = false;
  std::vector<invoice_line> lines{};
};

struct card {
  std::string brand{};
  std::string last4{};
  std::int64_t exp_month = 0;
  std::int64_t exp_year = 0;
};
struct payment_method {
  std::string id{};
  std::string type{};
  std::string customer{}; // empty: detached
  std::optional<stripe::card> card{};
  time_point created{};
};

struct price {
  std::string id{};
  std::string product{};
  bool active = false;
  std::string currency{};
  std::optional<decimal> unit_amount{}; // in minor units, with fractions of them
  std::string interval{};               // day, week, month, year; empty: paid once
  std::string meter{};
};

struct meter {
  std::string id{};
  std::string event_name{};
  std::string display_name{};
  std::string status{}; // active, inactive
};
struct meter_event {
  std::string event_name{};
  std::string identifier{};
  time_point timestamp{};
};
struct meter_summary {
  std::string id{};
  std::string meter{};
  decimal aggregated_value{};
  time_point start_time{};
  time_point end_time{};
};

struct event {
  std::string id{};
  std::string type{};
  time_point created{};
  bool livemode = false;
  std::string api_version{};
  std::string object_id{};           // of the object it is about; empty: has none
  std::string customer{};            // whose object it is, or was before; empty: nobody's
  std::string payment_intent{};      // the payment that the object belongs to; empty: none
  std::string object{};              // JSON, for one of the readers
  std::string previous_attributes{}; // JSON; empty: none
  std::string json{};                // all of it, when it was read from a list
};

template <class T>
struct list {
  std::vector<T> data{};
  bool has_more = false;
};

result<customer> read_customer(std::string_view json);
result<subscription> read_subscription(std::string_view json);
result<checkout_session> read_checkout(std::string_view json);
result<invoice> read_invoice(std::string_view json);
result<payment_method> read_payment_method(std::string_view json);
result<price> read_price(std::string_view json);
result<meter_event> read_meter_event(std::string_view json);
/// Also of a webhook's raw body, once its signature has been verified.
result<event> read_event(std::string_view json);

result<list<customer>> read_customers(std::string_view json);
result<list<checkout_session>> read_checkouts(std::string_view json);
result<list<reversal>> read_refunds(std::string_view json);
result<list<reversal>> read_disputes(std::string_view json);
result<list<subscription>> read_subscriptions(std::string_view json);
result<list<invoice>> read_invoices(std::string_view json);
result<list<payment_method>> read_payment_methods(std::string_view json);
result<list<meter>> read_meters(std::string_view json);
result<list<meter_summary>> read_meter_summaries(std::string_view json);
/// Leaves out, and logs, the events that cannot be read.
result<list<event>> read_events(std::string_view json);

} // namespace binnacle::stripe
