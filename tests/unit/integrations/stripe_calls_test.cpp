#include "integrations/stripe/calls.hpp"

#include <gtest/gtest.h>

namespace binnacle::stripe {
namespace {

using namespace std::chrono_literals;
using fields = std::vector<std::pair<std::string, std::string>>;

const account who{.api_url = "https://api.stripe.com/", .key = secret{"sk_test_1"}};

std::string header(const integrations::http_call& c, const std::string& name) {
  for (const auto& [have, text] : c.headers)
    if (have == name) return text;
  return "(none)";
}

TEST(StripeForm, IsUrlEncodedInTheOrderOfItsFields) {
  form f;
  f.add("line_items[0][price]", "price_1")
      .add("b", "a b&c=d+e%é")
      .add("expand[]", true)
      .add("n", -3);

  EXPECT_EQ(f.str(), "line_items%5B0%5D%5Bprice%5D=price_1&b=a+b%26c%3Dd%2Be%25%C3%A9"
                     "&expand%5B%5D=true&n=-3");
}

TEST(StripeForm, LeavesOutWhatIsNotGivenButKeepsAnEmptyText) {
  form f;
  f.add_given("a", "").add("b", "").add_all("metadata", {{"k1", "v"}, {"k0", ""}});

  EXPECT_EQ(f.fields(), (fields{{"b", ""}, {"metadata[k0]", ""}, {"metadata[k1]", "v"}}));
}

TEST(StripeForm, KeepsAForeignIdInsideItsPathSegment) {
  EXPECT_EQ(get_checkout("cs_test_a1-_.~").path, "/v1/checkout/sessions/cs_test_a1-_.~");
  EXPECT_EQ(get_checkout("../customers?x#y").path, "/v1/checkout/sessions/..%2Fcustomers%3Fx%23y");
  for (auto* nothing : {"", ".", ".."}) EXPECT_EQ(get_customer(nothing).path, "/v1/customers/-");
}

TEST(StripeCalls, CarryKeyVersionAndIdempotencyKey) {
  auto post = to_http(create_customer({.user = "usr_1", .email = "a@b.c"}, "usr_1"), who, 5s);

  EXPECT_EQ(post.method, "POST");
  EXPECT_EQ(post.url, "https://api.stripe.com/v1/customers");
  EXPECT_EQ(post.body, "email=a%40b.c");
  EXPECT_EQ(post.bearer.reveal(), "sk_test_1");
  EXPECT_EQ(post.deadline, 5s);
  EXPECT_EQ(header(post, "Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(header(post, "Stripe-Version"), "2025-06-30.basil");
  EXPECT_EQ(header(post, "Idempotency-Key"), "customer:usr_1");
  for (const auto& [name, text] : post.headers) EXPECT_EQ(text.find("sk_test"), text.npos) << name;
}

TEST(StripeCalls, PutTheParametersOfAGetIntoItsQuery) {
  auto get = to_http(get_checkout("cs_1"), who, 5s);

  EXPECT_EQ(get.method, "GET");
  EXPECT_EQ(get.url, "https://api.stripe.com/v1/checkout/sessions/cs_1?expand%5B%5D=subscription");
  EXPECT_TRUE(get.body.empty());
  EXPECT_EQ(header(get, "Idempotency-Key"), "(none)");
}

TEST(StripeCalls, KeepIdempotencyKeysWithinWhatAHeaderAndStripeTake) {
  EXPECT_EQ(idempotency_key("checkout", "usr_1:100"), "checkout:usr_1:100");
  auto long_one = idempotency_key("checkout", std::string(300, 'x'));
  EXPECT_LE(long_one.size(), 255u);
  EXPECT_NE(long_one, idempotency_key("checkout", std::string(301, 'x')));
  auto broken = idempotency_key("checkout", "a\r\nX-Evil: 1");
  EXPECT_EQ(broken.find('\n'), broken.npos);
  EXPECT_EQ(broken, idempotency_key("checkout", "a\r\nX-Evil: 1"));
}

TEST(StripeCalls, OrderACheckoutOfCredits) {
  checkout_order order;
  order.success_url = "https://app/ok?s={CHECKOUT_SESSION_ID}";
  order.cancel_url = "https://app/pricing";
  order.items = {{"price_100", 1}};
  order.customer_email = "a@b.c";
  order.client_reference_id = "usr_1";
  order.notes = {{"purpose", "credits"}, {"userId", "usr_1"}};
  order.allow_promotion_codes = false;

  auto c = create_checkout(order, "req_1");

  EXPECT_EQ(c.path, "/v1/checkout/sessions");
  EXPECT_EQ(c.customer, "usr_1");
  EXPECT_EQ(c.idempotency_key, "checkout:req_1");
  EXPECT_EQ(c.parameters.fields(),
            (fields{{"mode", "payment"},
                    {"success_url", "https://app/ok?s={CHECKOUT_SESSION_ID}"},
                    {"cancel_url", "https://app/pricing"},
                    {"line_items[0][price]", "price_100"},
                    {"line_items[0][quantity]", "1"},
                    {"customer_email", "a@b.c"},
                    {"client_reference_id", "usr_1"},
                    {"metadata[purpose]", "credits"},
                    {"metadata[userId]", "usr_1"},
                    {"allow_promotion_codes", "false"}}));
}

TEST(StripeCalls, NameTheCustomerOrTheAddressButNotBoth) {
  checkout_order order{.mode = "subscription", .success_url = "https://app"};
  order.customer = "cus_1";
  order.customer_email = "a@b.c";
  order.items = {{"price_metered", 0}};
  order.notes = {{"userId", "usr_1"}};

  auto c = create_checkout(order, "x");

  EXPECT_EQ(c.customer, "cus_1");
  EXPECT_EQ(c.parameters.fields(), (fields{{"mode", "subscription"},
                                           {"success_url", "https://app"},
                                           {"line_items[0][price]", "price_metered"},
                                           {"customer", "cus_1"},
                                           {"metadata[userId]", "usr_1"},
                                           {"subscription_data[metadata][userId]", "usr_1"}}));
}

TEST(StripeCalls, ReportAMeterValueAsPlainText) {
  auto c = send_meter_event({.event_name = "storage_online_gb",
                             .customer = "cus_1",
                             .value = *decimal::parse("0.000001"),
                             .identifier = "17:storage_online_gb:2",
                             .timestamp = from_unix(1'773'100'800)});

  EXPECT_EQ(c.path, "/v1/billing/meter_events");
  EXPECT_EQ(c.customer, "cus_1");
  EXPECT_EQ(c.idempotency_key, "meter_event:17:storage_online_gb:2");
  EXPECT_EQ(c.parameters.fields(), (fields{{"event_name", "storage_online_gb"},
                                           {"payload[stripe_customer_id]", "cus_1"},
                                           {"payload[value]", "0.000001"},
                                           {"identifier", "17:storage_online_gb:2"},
                                           {"timestamp", "1773100800"}}));
}

TEST(StripeCalls, CreateASubscriptionToSeveralPrices) {
  auto c = create_subscription({.customer = "cus_1", .prices = {"p0", "p1"}}, "cus_1:usage");

  EXPECT_EQ(c.parameters.fields(),
            (fields{{"customer", "cus_1"}, {"items[0][price]", "p0"}, {"items[1][price]", "p1"}}));
}

TEST(StripeCalls, AskForWhatIsListed) {
  auto url = [](const call& c) { return to_http(c, who, 1s).url.substr(22); };

  EXPECT_EQ(url(list_subscriptions("cus_1")),
            "/v1/subscriptions?customer=cus_1&status=all&limit=10");
  EXPECT_EQ(url(list_invoices("cus_1", 20, "in_9")),
            "/v1/invoices?customer=cus_1&limit=20&starting_after=in_9");
  EXPECT_EQ(url(list_payment_methods("cus_1")), "/v1/payment_methods?customer=cus_1&type=card");
  EXPECT_EQ(url(list_checkouts("pi_1")), "/v1/checkout/sessions?payment_intent=pi_1&limit=100");
  EXPECT_EQ(url(list_refunds("pi_1")), "/v1/refunds?payment_intent=pi_1&limit=100");
  EXPECT_EQ(url(list_disputes("pi_1")), "/v1/disputes?payment_intent=pi_1&limit=100");
  EXPECT_EQ(url(list_events(
                {.types = {"a.b", "c"}, .delivery_success = false, .ending_before = "evt_1"})),
            "/v1/events?types%5B%5D=a.b&types%5B%5D=c&delivery_success=false&ending_before=evt_1"
            "&limit=100");
  EXPECT_EQ(url(meter_event_summaries("mtr_1", "cus_1", from_unix(60), from_unix(120))),
            "/v1/billing/meters/mtr_1/event_summaries?customer=cus_1&start_time=60&end_time=120"
            "&limit=100");
  EXPECT_EQ(url(list_meters()), "/v1/billing/meters?status=active&limit=100");
  EXPECT_EQ(url(finalize_invoice("in_1", "cus_1")), "/v1/invoices/in_1/finalize");
}

} // namespace
} // namespace binnacle::stripe
