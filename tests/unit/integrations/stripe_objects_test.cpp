#include "integrations/stripe/errors.hpp"
#include "integrations/stripe/invoices.hpp"
#include "integrations/stripe/objects.hpp"

#include <gtest/gtest.h>

namespace binnacle::stripe {
namespace {

using integrations::http_answer;

// Shaped as the API of 2025-06-30 answers; shortened.
const char* const basil_subscription = R"({
  "id": "sub_1", "object": "subscription", "application": null, "cancel_at_period_end": true,
  "created": 1764500000, "customer": "cus_1", "metadata": {"userId": "usr_1"},
  "items": {"object": "list", "has_more": false, "total_count": 2, "data": [
    {"id": "si_1", "object": "subscription_item", "current_period_end": 1767225600,
     "price": {"id": "price_pro", "object": "price", "recurring": {"interval": "month"}}},
    {"id": "si_2", "object": "subscription_item", "current_period_end": 1767225700,
     "price": {"id": "price_extra", "object": "price"}}]},
  "status": "active", "trial_end": null})";

TEST(StripeSubscriptions, HaveTheirPeriodOnTheirItems) {
  auto s = read_subscription(basil_subscription);

  ASSERT_TRUE(s) << to_string(s.error());
  EXPECT_EQ(s->id, "sub_1");
  EXPECT_EQ(s->customer, "cus_1");
  EXPECT_EQ(s->status, "active");
  ASSERT_EQ(s->items.size(), 2u);
  EXPECT_EQ(s->items[0].price, "price_pro");
  EXPECT_EQ(s->current_period_end, from_unix(1767225700));
  EXPECT_TRUE(s->cancel_at_period_end);
  EXPECT_EQ(s->created, from_unix(1764500000));
  EXPECT_EQ(s->notes.at("userId"), "usr_1");
}

TEST(StripeSubscriptions, HadTheirPeriodThemselvesBefore) {
  auto s = read_subscription(R"({"id":"sub_1","object":"subscription","status":"active","created":1,
    "customer":{"id":"cus_2","object":"customer"},"current_period_end":1767225600,
    "items":{"data":[{"id":"si_1","price":{"id":"p"}}]}})");

  ASSERT_TRUE(s) << to_string(s.error());
  EXPECT_EQ(s->customer, "cus_2");
  EXPECT_EQ(s->current_period_end, from_unix(1767225600));
}

TEST(StripeCheckouts, MayComeWithTheirSubscription) {
  auto json = std::string{R"({"id":"cs_1","object":"checkout.session","mode":"subscription",
    "status":"complete","payment_status":"paid","url":null,"client_reference_id":"usr_1",
    "customer":"cus_1","customer_email":null,"customer_details":{"email":"a@b.c","address":null},
    "metadata":{"plan":"pro"},"created":1764500000,"amount_total":1900,"currency":"eur",
    "payment_intent":null,"subscription":)"} +
              basil_subscription + "}";

  auto s = read_checkout(json);

  ASSERT_TRUE(s) << to_string(s.error());
  EXPECT_EQ(s->url, "");
  EXPECT_EQ(s->client_reference_id, "usr_1");
  EXPECT_EQ(s->customer_email, "a@b.c");
  EXPECT_EQ(s->subscription_id, "sub_1");
  ASSERT_TRUE(s->subscription);
  EXPECT_EQ(s->subscription->items[0].price, "price_pro");
  EXPECT_EQ(s->amount_total, 1900);
}

TEST(StripeCheckouts, OfOnePaymentHaveNoSubscription) {
  auto s = read_checkout(R"({"id":"cs_1","object":"checkout.session","mode":"payment",
    "url":"https://checkout.stripe.com/c/pay/cs_1","subscription":null,"created":1})");

  ASSERT_TRUE(s) << to_string(s.error());
  EXPECT_EQ(s->url, "https://checkout.stripe.com/c/pay/cs_1");
  EXPECT_TRUE(s->subscription_id.empty());
  EXPECT_FALSE(s->subscription);
}

TEST(StripeReversals, StandWhileTheMoneyIsGone) {
  auto stands = [](auto read, const std::string& object, const std::string& status) {
    auto list =
        read(R"({"object":"list","has_more":false,"data":[{"object":")" + object +
             R"(","id":"x_1","amount":700,"created":1764500001,"status":")" + status + "\"}]}");
    EXPECT_TRUE(list) << to_string(list.error());
    if (!list) return false;
    EXPECT_EQ(list->data[0].amount, 700);
    return list->data[0].stands;
  };
  for (const auto* status : {"succeeded", "pending"})
    EXPECT_TRUE(stands(read_refunds, "refund", status)) << status;
  for (const auto* status : {"failed", "canceled", "requires_action"})
    EXPECT_FALSE(stands(read_refunds, "refund", status)) << status;
  for (const auto* status : {"needs_response", "under_review", "lost"})
    EXPECT_TRUE(stands(read_disputes, "dispute", status)) << status;
  for (const auto* status : {"won", "warning_needs_response", "warning_closed"})
    EXPECT_FALSE(stands(read_disputes, "dispute", status)) << status;
}

TEST(StripeInvoices, AreReadForTheirPayer) {
  auto bill = read_bill(R"({"id":"in_1","object":"invoice","status":"paid","customer":"cus_1",
    "currency":"brl","created":1764500000,"description":"Outubro","attempt_count":2,"total":8990,
    "amount_paid":8990,"amount_due":8990,
    "status_transitions":{"finalized_at":1764500001,"paid_at":1764500002,"voided_at":null}})");
  ASSERT_TRUE(bill);
  EXPECT_EQ(bill->id, "in_1");
  EXPECT_EQ(bill->total, 8'990);
  EXPECT_EQ(bill->description, "Outubro");
  EXPECT_EQ(bill->attempt_count, 2);
  EXPECT_EQ(bill->paid_at, from_unix(1'764'500'002));
  EXPECT_FALSE(read_bill(R"({"object":"invoice","status_transitions":7})"));
}

TEST(StripeInvoices, AreReadWithLinesAndAmountsInMinorUnits) {
  auto list = read_invoices(R"({"object":"list","url":"/v1/invoices","has_more":true,"data":[
    {"id":"in_1","object":"invoice","number":"A-0001","status":"paid","customer":"cus_1",
     "amount_paid":4275,"amount_due":4275,"total":4275,"currency":"usd","created":1764500000,
     "due_date":null,"hosted_invoice_url":"https://invoice.stripe.com/i/1","invoice_pdf":"https://pdf",
     "auto_advance":false,
     "parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}},
     "lines":{"object":"list","data":[{"id":"il_1","description":"Compute","amount":4275,
       "quantity":12214,"period":{"start":1761955200,"end":1764547200}}]}},
    {"id":"in_2","object":"invoice","number":null,"status":"draft","amount_paid":0,"amount_due":-5,
     "total":-5,"currency":"usd","created":1764500001,"hosted_invoice_url":null}]})");

  ASSERT_TRUE(list) << to_string(list.error());
  EXPECT_TRUE(list->has_more);
  ASSERT_EQ(list->data.size(), 2u);
  const auto& first = list->data[0];
  EXPECT_EQ(first.number, "A-0001");
  EXPECT_EQ(first.amount_paid, 4275);
  EXPECT_EQ(first.subscription, "sub_1");
  ASSERT_EQ(first.lines.size(), 1u);
  EXPECT_EQ(first.lines[0].quantity, decimal{12214});
  EXPECT_EQ(first.lines[0].period_end, from_unix(1764547200));
  EXPECT_EQ(list->data[1].total, -5);
  EXPECT_EQ(list->data[1].number, "");
}

TEST(StripeCustomers, HaveAMethodToPayOrAreDeleted) {
  auto c = read_customer(R"({"id":"cus_1","object":"customer","email":"a@b.c","name":null,
    "default_source":null,"invoice_settings":{"default_payment_method":"pm_1","footer":null}})");
  ASSERT_TRUE(c) << to_string(c.error());
  EXPECT_EQ(c->default_payment_method, "pm_1");
  EXPECT_FALSE(c->deleted);

  auto gone = read_customer(R"({"id":"cus_1","object":"customer","deleted":true})");
  ASSERT_TRUE(gone);
  EXPECT_TRUE(gone->deleted);
}

TEST(StripePaymentMethods, MayBeCards) {
  auto list = read_payment_methods(R"({"object":"list","has_more":false,"data":[
    {"id":"pm_1","object":"payment_method","type":"card","customer":"cus_1","created":5,
     "card":{"brand":"visa","last4":"4242","exp_month":12,"exp_year":2030}},
    {"id":"pm_2","object":"payment_method","type":"sepa_debit","customer":"cus_1","created":6}]})");

  ASSERT_TRUE(list) << to_string(list.error());
  ASSERT_TRUE(list->data[0].card);
  EXPECT_EQ(list->data[0].card->last4, "4242");
  EXPECT_EQ(list->data[0].card->exp_year, 2030);
  EXPECT_FALSE(list->data[1].card);
}

TEST(StripeMeters, ReportSumsWithFractions) {
  auto list = read_meter_summaries(R"({"object":"list","has_more":false,"data":[
    {"id":"mtrusg_1","object":"billing.meter_event_summary","aggregated_value":12.5,
     "start_time":1767052800,"end_time":1767139200,"meter":"mtr_1"}]})");

  ASSERT_TRUE(list) << to_string(list.error());
  EXPECT_EQ(list->data[0].aggregated_value, *decimal::parse("12.5"));
}

TEST(StripePrices, MayBeFractionsOfACent) {
  auto p = read_price(R"({"id":"price_1","object":"price","active":true,"currency":"usd",
    "product":"prod_1","unit_amount":null,"unit_amount_decimal":"0.35",
    "recurring":{"interval":"month","meter":"mtr_1","usage_type":"metered"}})");

  ASSERT_TRUE(p) << to_string(p.error());
  EXPECT_EQ(p->unit_amount, decimal::parse("0.35"));
  EXPECT_EQ(p->meter, "mtr_1");
}

TEST(StripeEvents, CarryAnObjectForAReader) {
  auto json = std::string{R"({"id":"evt_1","object":"event","api_version":"2025-06-30.basil",
    "created":1764500001,"livemode":false,"type":"customer.subscription.updated",
    "data":{"previous_attributes":{"status":"trialing"},"object":)"} +
              basil_subscription + "}}";

  auto e = read_event(json);

  ASSERT_TRUE(e) << to_string(e.error());
  EXPECT_EQ(e->id, "evt_1");
  EXPECT_EQ(e->type, "customer.subscription.updated");
  EXPECT_EQ(e->created, from_unix(1764500001));
  EXPECT_EQ(e->object_id, "sub_1");
  EXPECT_EQ(e->previous_attributes, R"({"status":"trialing"})");
  auto s = read_subscription(e->object);
  ASSERT_TRUE(s);
  EXPECT_EQ(s->current_period_end, from_unix(1767225700));
}

TEST(StripeEvents, NameThePaymentOfTheirObject) {
  auto e = read_event(R"({"id":"evt_1","object":"event","created":1764500001,"livemode":false,
    "type":"charge.dispute.created",
    "data":{"object":{"id":"du_1","object":"dispute","payment_intent":"pi_1"}}})");

  ASSERT_TRUE(e) << to_string(e.error());
  EXPECT_EQ(e->payment_intent, "pi_1");
  EXPECT_EQ(e->customer, "");
}

TEST(StripeReaders, RefuseNonsense) {
  for (auto* json :
       {"", "[]", "{", "{}", R"({"object":"customer","id":"cus_1"})",
        R"({"object":"subscription","id":7,"status":"active","created":1})",
        R"({"object":"subscription","id":"sub_1","created":1})",
        R"({"object":"subscription","id":"s","status":"active","created":-1})",
        R"({"object":"subscription","id":"s","status":"active","created":99999999999999})",
        R"({"object":"subscription","id":"s","status":"active","created":1,"items":[]})",
        R"({"object":"subscription","id":"s","status":"a","created":1,"items":{"data":{}}})"}) {
    auto got = read_subscription(json);
    ASSERT_FALSE(got) << json;
    EXPECT_EQ(got.error().code, errc::upstream_failed) << json;
  }
  EXPECT_FALSE(read_events(R"({"object":"list","has_more":false})"));
  EXPECT_FALSE(read_event(R"({"id":"evt_1","object":"event","type":"x","created":1,"data":{}})"));
  EXPECT_FALSE(read_invoices(R"({"object":"list","data":[7]})"));
}

TEST(StripeEvents, LeaveOutAListedEventThatCannotBeReadAndKeepTheRest) {
  auto event = [](const std::string& id, const std::string& object) {
    return R"({"object":"event","id":)" + id + R"(,"type":"x","created":1,"data":{"object":)" +
           object + "}}";
  };
  auto listed = read_events(
      R"({"object":"list","has_more":true,"data":[)" +
      event("\"evt_1\"", R"({"id":5,"customer":[],"payment_intent":7})") + "," + event("7", "{}") +
      ",null," + event("\"evt_2\"", R"({"id":"in_1","customer":{"id":"cus_1"}})") + "]}");

  ASSERT_TRUE(listed);
  EXPECT_TRUE(listed->has_more);
  ASSERT_EQ(listed->data.size(), 2U);
  EXPECT_EQ(listed->data[0].id, "evt_1");
  EXPECT_EQ(listed->data[0].object_id, "");
  EXPECT_EQ(listed->data[0].customer, "");
  EXPECT_EQ(listed->data[1].object_id, "in_1");
  EXPECT_EQ(listed->data[1].customer, "cus_1");
}

TEST(StripeEvents, HaveNoNulInTheirTexts) {
  EXPECT_FALSE(read_event(R"({"id":"evt_\u0000x","object":"event","type":"x","created":1,)"
                          R"("data":{"object":{}}})"));
  EXPECT_FALSE(read_event(R"({"id":"evt_1","object":"event","type":"x","created":1,)"
                          R"("data":{"object":{"id":"cus_1\u0000x"}}})"));
}

// -- refusals ------------------------------------------------------------------------------------

fault fault_of(int status, std::string body) {
  return to_fault(
      read_refusal(http_answer{.status = status, .headers = {}, .body = std::move(body)}));
}

TEST(StripeRefusals, SayWhatIsWrong) {
  auto r = read_refusal({.status = 400, .headers = {}, .body = R"({"error":{
    "code":"parameter_missing","doc_url":"https://x","message":"Missing required param: mode.",
    "param":"mode","type":"invalid_request_error"}})"});

  EXPECT_EQ(r.type, "invalid_request_error");
  EXPECT_EQ(r.code, "parameter_missing");
  EXPECT_EQ(r.param, "mode");
  auto f = to_fault(r);
  EXPECT_EQ(f.code, errc::unprocessable);
  EXPECT_EQ(f.field, "mode");
  EXPECT_NE(f.detail.find("Missing required param"), f.detail.npos);
  EXPECT_EQ(f.text.find("Missing"), f.text.npos); // public
  EXPECT_FALSE(may_have_happened(f));
}

TEST(StripeRefusals, OfAMissingObjectAreNotFound) {
  EXPECT_EQ(fault_of(404, R"({"error":{"type":"invalid_request_error","code":"resource_missing",
    "message":"No such customer: 'cus_x'","param":"id"}})")
                .code,
            errc::not_found);
  // An unknown customer among the parameters comes as 400.
  EXPECT_EQ(fault_of(400, R"({"error":{"code":"resource_missing"}})").code, errc::not_found);
  EXPECT_EQ(fault_of(404, "<html>not found</html>").code, errc::unprocessable);
}

TEST(StripeRefusals, OfASecondEventMeanThatTheFirstWasDelivered) {
  auto f = fault_of(400, R"({"error":{"type":"invalid_request_error",
    "message":"An event already exists with identifier 17:compute_credits:0."}})");
  EXPECT_EQ(f.code, errc::conflict);
  EXPECT_FALSE(may_have_happened(f));
}

TEST(StripeRefusals, LeaveItOpenWhetherItHappenedWhenStripeFailed) {
  for (auto status : {301, 408, 409, 429, 500, 502, 503})
    EXPECT_TRUE(may_have_happened(fault_of(status, "oops"))) << status;
  for (auto status : {400, 401, 402, 403, 404})
    EXPECT_FALSE(may_have_happened(fault_of(status, "oops"))) << status;
}

TEST(StripeRefusals, TellAKeyThatIsNoGood) {
  EXPECT_TRUE(rejects_key(read_refusal({.status = 401, .headers = {}, .body = "{}"})));
  EXPECT_FALSE(rejects_key(read_refusal({.status = 400, .headers = {}, .body = "{}"})));
}

} // namespace
} // namespace binnacle::stripe
