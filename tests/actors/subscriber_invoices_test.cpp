#include "actors/subscriber_invoices.hpp"

#include "actors/event_effects.hpp"

#include <gtest/gtest.h>

namespace binnacle {
namespace {

namespace assinante = persistence::assinante;

const auto now = *parse_iso("2026-03-10T12:00:00Z");

const assinante::subscription monthly{.id = "sub_1",
                                      .who = {"usr_1"},
                                      .plan_name = "Lentes Mensais",
                                      .payment_method = "credit_card",
                                      .stripe_subscription = "sub_stripe"};

stripe::bill bill_that_is(const std::string& status) {
  stripe::bill out;
  out.id = "in_1";
  out.number = "ABC-0001";
  out.subscription = "sub_stripe";
  out.status = status;
  out.total = 8'990;
  out.currency = "brl";
  out.created = now - hours{2};
  out.lines = {{.description = "1 × Lentes"}};
  return out;
}

std::string status_of(const stripe::bill& bill) {
  auto shown = shown_to_subscriber(bill, monthly, now);
  return shown ? shown->status : "";
}

TEST(SubscriberInvoices, ShowWhatStripeHasInReaisAndItsOwnWords) {
  auto bill = bill_that_is("paid");
  bill.paid_at = now - hours{1};

  auto shown = shown_to_subscriber(bill, monthly, now);

  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->stripe_invoice, "in_1");
  EXPECT_EQ(shown->subscription, "sub_1");
  EXPECT_EQ(shown->number, "ABC-0001");
  EXPECT_EQ(shown->amount.str(), "89.9");
  EXPECT_EQ(shown->description, "1 × Lentes");
  EXPECT_EQ(shown->paid_at, now - hours{1});
  EXPECT_EQ(shown->due_date, date_of(now));
  EXPECT_EQ(shown->payment_method, "credit_card");
}

TEST(SubscriberInvoices, ShowNoDraftAndNoOtherCurrency) {
  auto dollars = bill_that_is("paid");
  dollars.currency = "usd";

  EXPECT_EQ(status_of(bill_that_is("draft")), "");
  EXPECT_EQ(status_of(dollars), "");
}

TEST(SubscriberInvoices, ArePendingUntilTheirDayIsOverOrAnAttemptHasFailed) {
  auto tried = bill_that_is("open");
  tried.attempt_count = 1;
  auto late = bill_that_is("open");
  late.due_date = now - hours{24};
  auto today = bill_that_is("open");
  today.due_date = now;

  EXPECT_EQ(status_of(bill_that_is("open")), "pending");
  EXPECT_EQ(status_of(today), "pending");
  EXPECT_EQ(status_of(tried), "overdue");
  EXPECT_EQ(status_of(late), "overdue");
}

TEST(SubscriberInvoices, AreCancelledWhenVoidAndOwedWhenUncollectible) {
  EXPECT_EQ(status_of(bill_that_is("void")), "cancelled");
  EXPECT_EQ(status_of(bill_that_is("uncollectible")), "overdue");
  EXPECT_FALSE(shown_to_subscriber(bill_that_is("void"), monthly, now)->paid_at);
}

TEST(SubscriberInvoices, AreOfNothingWhenStripeOwesMoney) {
  auto credit = bill_that_is("paid");
  credit.total = -500;

  EXPECT_TRUE(shown_to_subscriber(credit, monthly, now)->amount.is_zero());
}

TEST(SubscriberInvoices, FollowEveryEventThatChangesWhatIsOwed) {
  for (const char* type : {"finalized", "overdue", "paid", "payment_failed", "payment_succeeded",
                           "marked_uncollectible", "voided"})
    EXPECT_EQ(effect_of(std::string{"invoice."} + type), event_effect::invoice) << type;
  for (const char* type : {"created", "upcoming", "sent"})
    EXPECT_EQ(effect_of(std::string{"invoice."} + type), event_effect::none) << type;
}

} // namespace
} // namespace binnacle
