/// Calls to Stripe's API, as values: what is asked, under which key it is done at most once, and
/// after which other calls. Source: docs.stripe.com/api, version `api_version`.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/secret.hpp"
#include "config/base/time.hpp"
#include "integrations/http_client.hpp"
#include "integrations/stripe/form.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::stripe {

inline constexpr const char* api_version = "2025-06-30.basil";

struct call {
  std::string method = "GET";    // or POST
  std::string path{};            // /v1/…
  form parameters{};             // the query of a GET, the body of a POST
  std::string idempotency_key{}; // every POST has one; the same for every repetition
  std::string customer{}; // calls with the same one are made one after another; empty: freely
};

/// Where the API is and who asks.
struct account {
  std::string api_url = "https://api.stripe.com";
  secret key{};
};

/// The HTTP call with its headers; the key travels as the bearer token only.
integrations::http_call to_http(const call&, const account&, std::chrono::milliseconds deadline);

/// "operation:purpose"; a digest in place of a purpose that is no plain text or too long (Stripe
/// takes 255 characters).
std::string idempotency_key(std::string_view operation, std::string_view purpose);

// In every POST `purpose` names the one occasion that this is done for, such as "usr_1:2026-03" or
// a request's own Idempotency-Key. The same purpose gives the same object for at least 24 hours;
// with other parameters Stripe refuses it (idempotency_error). Optional texts are left out when
// empty.

// -- checkout ------------------------------------------------------------------------------------

struct line_item {
  std::string price{};
  std::int64_t quantity = 1; // 0: not sent, as metered prices demand
};

struct checkout_order {
  std::string mode = "payment"; // subscription, setup
  std::string success_url{};    // may hold the literal {CHECKOUT_SESSION_ID}
  std::string cancel_url{};
  std::vector<line_item> items{};
  std::string customer{};            // Stripe's id; without one:
  std::string customer_email{};      //
  std::string client_reference_id{}; // our user; also whose calls it waits for without a customer
  metadata notes{};                  // in mode subscription also those of the subscription
  std::optional<bool> allow_promotion_codes{};
  std::vector<std::string> payment_method_types{}; // mode setup demands them, or a currency
  std::string currency{};
};
call create_checkout(const checkout_order&, std::string_view purpose);
/// With its subscription expanded.
call get_checkout(std::string_view id);
/// The session, if it was one, that made this payment.
call list_checkouts(std::string_view payment_intent);
/// What went back of a payment, newest first, at most 100 of each.
call list_refunds(std::string_view payment_intent);
call list_disputes(std::string_view payment_intent);

// -- customers -----------------------------------------------------------------------------------

struct new_customer {
  std::string user{}; // ours: whose calls it waits for
  std::string email{};
  std::string name{};
  metadata notes{};
};
call create_customer(const new_customer&, std::string_view purpose);
call get_customer(std::string_view customer);
/// With exactly this address, newest first; those that were deleted are not among them.
call list_customers(std::string_view email, int limit = 10);
/// `type`: "card" or empty for all.
call list_payment_methods(std::string_view customer, std::string_view type = "card");

// -- subscriptions and invoices ------------------------------------------------------------------

struct new_subscription {
  std::string customer{};
  std::vector<std::string> prices{};
  metadata notes{};
};
call create_subscription(const new_subscription&, std::string_view purpose);
call get_subscription(std::string_view id);
/// Newest first; `status`: one of Stripe's or "all".
call list_subscriptions(std::string_view customer, std::string_view status = "all", int limit = 10,
                        std::string_view starting_after = {});
call list_invoices(std::string_view customer, int limit = 10, std::string_view starting_after = {});
call finalize_invoice(std::string_view invoice, std::string_view customer);
call get_price(std::string_view id);

// -- meters --------------------------------------------------------------------------------------

/// `identifier` (at most 100 characters) is unique for ever among ours; Stripe refuses a second one
/// within a day or more, which reads as conflict and means that it has the first. `timestamp` must
/// lie within the past 35 days and at most 5 minutes ahead.
struct meter_report {
  std::string event_name{}; // the meter's, at most 100 characters
  std::string customer{};
  decimal value{};
  std::string identifier{};
  time_point timestamp{};
};
call send_meter_event(const meter_report&);
/// What Stripe has counted for a customer in [from, to), both on whole minutes. In one sum or, on
/// whole days, `by` "day": at most 100 of them, and days without events may be left out.
call meter_event_summaries(std::string_view meter, std::string_view customer, time_point from,
                           time_point to, std::string_view by = {});
call list_meters(std::string_view status = "active", int limit = 100);

// -- events --------------------------------------------------------------------------------------

/// Newest first, of the past 30 days.
struct event_query {
  std::vector<std::string> types{};       // empty: all; Stripe takes 20 at most
  std::optional<bool> delivery_success{}; // false: what no endpoint has accepted
  std::string ending_before{};            // events newer than this one
  std::string starting_after{};           // events older than this one
  int limit = 100;
};
call list_events(const event_query&);
call get_event(std::string_view id);

} // namespace binnacle::stripe
