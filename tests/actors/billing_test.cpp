#include "actors/billing.hpp"

#include "deterministic_system.hpp"
#include "integrations/stripe/calls.hpp"

#include <algorithm>
#include <deque>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using testing::fake_database;

struct sent_call {
  stripe::call what{};
  caf::typed_response_promise<stripe_answer> reply{};
};

struct fake_stripe_state {
  explicit fake_stripe_state(stripe_actor::pointer) {}
};

class billing_test : public testing::deterministic_system {
protected:
  /// Keeps every call until the test answers it: a promise is kept by the actor that made it.
  static stripe_actor::behavior_type
  fake_stripe(stripe_actor::stateful_pointer<fake_stripe_state> self, billing_test* test) {
    return {[self, test](const call_stripe& c) -> caf::result<stripe_answer> {
              test->sent.push_back({*c.what, self->make_response_promise<stripe_answer>()});
              return test->sent.back().reply;
            },
            [](const stripe_call_due&) {},
            [test](caf::tick_atom) {
              auto next = std::move(test->answers.front());
              test->answers.pop_front();
              test->sent.at(next.first)
                  .reply.deliver(
                      stripe_answer{std::make_shared<const result<http_answer>>(next.second)});
            }};
  }
  void reply(std::size_t which, result<http_answer> with) {
    answers.emplace_back(which, std::move(with));
    tell(app.stripe, caf::tick_atom_v);
  }
  static http_answer object(std::string body) {
    return {.status = 200, .headers = {}, .body = std::move(body)};
  }
  static http_answer customer(const std::string& id) {
    return object(R"({"object":"customer","id":")" + id + "\"}");
  }
  static std::string subscription(const std::string& id, const std::string& status) {
    return R"({"object":"subscription","id":")" + id + R"(","customer":"cus_1","status":")" +
           status + R"(","created":1773144000,"items":{"object":"list","data":[]}})";
  }
  static http_answer listed(std::initializer_list<std::string> some) {
    std::string data;
    for (const auto& s : some) data.append(data.empty() ? "" : ",").append(s);
    return object(R"({"object":"list","has_more":false,"data":[)" + data + "]}");
  }

  billing_books functions() {
    using tx = persistence::transaction;
    billing_books out;
    out.find = [this](tx&, const user_id& who, time_point) -> result<billing_record> {
      if (unknown) return fault{errc::not_found, "User not found", {}, {}};
      billing_record found;
      found.who = {.id = who, .email = "ana@example.com", .name = "Ana", .account_owner = owner};
      if (!link.empty()) found.customer = persistence::stripe_customer{.who = who, .id = link};
      found.usage = billing;
      found.prices = prices;
      found.as_of = database_time;
      found.former_customers = former;
      return found;
    };
    out.link = [this](tx&, const user_id& who, const std::string& id,
                      time_point) -> result<persistence::stripe_customer> {
      if (link.empty()) link = id;
      return persistence::stripe_customer{.who = who, .id = link};
    };
    out.adopt = [this](tx&, const user_id&, const std::vector<stripe::subscription>& found,
                       const catalogue&, time_point as_of, time_point) -> result<adopted> {
      adopted known;
      stored_as_of.push_back(as_of);
      for (const auto& s : found) {
        stored.push_back(s);
        ++known.usage_subscriptions;
        if (s.status == "active")
          known.usage = persistence::subscription{.id = s.id, .kind = "usage", .status = s.status};
      }
      return known;
    };
    return out;
  }

  void SetUp() override {
    app.time = &time;
    app.storage =
        owned(testing::spawn_fake_storage<billing_record, persistence::stripe_customer, adopted>(
            system, db));
    app.stripe = owned(system.spawn(fake_stripe, this));
    billing_config config;
    config.books = functions();
    actor = owned(spawn_billing(system, app, std::move(config)));
  }
  void TearDown() override {
    sent.clear();
    deterministic_system::TearDown();
  }

  auto customer_for(const char* who) { return start(actor, ensure_customer{{who}}); }
  auto subscription_for(const char* who) { return start(actor, ensure_subscription{{who}}); }
  template <class Asked>
  std::string id_of(Asked& asked) {
    auto got = reply_of<customer_account>(asked);
    return got ? got->id : "fault: " + to_string(to_fault(got.error()));
  }
  template <class Asked>
  std::string state_of(Asked& asked) {
    auto got = reply_of<subscription_state>(asked);
    return got ? got->id + " " + got->status : "fault: " + to_string(to_fault(got.error()));
  }
  std::string parameter(std::size_t which, std::string_view name) const {
    for (const auto& [key, text] : sent.at(which).what.parameters.fields())
      if (key == name) return text;
    return {};
  }

  fake_database db{};
  services app{};
  billing_actor actor{};
  std::vector<sent_call> sent{};
  std::deque<std::pair<std::size_t, result<http_answer>>> answers{};
  bool unknown = false;
  user_id owner{};
  std::string link{};
  std::optional<persistence::subscription> billing{};
  std::vector<std::string> prices{"price_a", "price_b"};
  std::int64_t former = 0;
  std::vector<stripe::subscription> stored{};
  time_point database_time = *parse_iso("2026-03-10T11:59:30Z"); // behind this node's clock
  std::vector<time_point> stored_as_of{};
};

TEST_F(billing_test, MakesACustomerWithWhatIsKnownOfTheUser) {
  auto asked = customer_for("usr_1");

  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].what.path, "/v1/customers");
  EXPECT_EQ(sent[0].what.idempotency_key, "customer:usr_1");
  EXPECT_EQ(parameter(0, "email"), "ana@example.com");
  EXPECT_EQ(parameter(0, "name"), "Ana");
  EXPECT_EQ(parameter(0, "metadata[user_id]"), "usr_1");
  reply(0, customer("cus_1"));
  EXPECT_EQ(id_of(asked), "cus_1");
  EXPECT_EQ(link, "cus_1");
}

TEST_F(billing_test, MakesAnotherCustomerAfterOneThatWasDeletedAtStripe) {
  former = 1;

  auto asked = customer_for("usr_1");

  EXPECT_EQ(sent.at(0).what.idempotency_key, "customer:usr_1:2");
  reply(0, customer("cus_2"));
  EXPECT_EQ(id_of(asked), "cus_2");
}

TEST_F(billing_test, AnswersALinkedCustomerWithoutStripe) {
  link = "cus_9";

  auto asked = customer_for("usr_1");

  EXPECT_EQ(id_of(asked), "cus_9");
  EXPECT_TRUE(sent.empty());
}

TEST_F(billing_test, MakesOneCustomerForAllWhoAskAtOnce) {
  auto first = customer_for("usr_1");
  auto second = customer_for("usr_1");
  auto other = customer_for("usr_2");

  ASSERT_EQ(sent.size(), 2U);
  reply(0, customer("cus_1"));
  EXPECT_EQ(id_of(first), "cus_1");
  EXPECT_EQ(id_of(second), "cus_1");
  link.clear();
  reply(1, customer("cus_2"));
  EXPECT_EQ(id_of(other), "cus_2");
}

TEST_F(billing_test, AnswersTheLinkThatWasFirst) {
  auto asked = customer_for("usr_1");
  link = "cus_of_another_process";

  reply(0, customer("cus_1"));

  EXPECT_EQ(id_of(asked), "cus_of_another_process");
}

TEST_F(billing_test, TellsEverybodyOfAFaultAndTriesAgainUnderTheSameKey) {
  auto first = customer_for("usr_1");
  auto second = customer_for("usr_1");
  reply(0, fault{errc::upstream_failed, {}, {}, "connection reset"});

  auto failed = reply_of<customer_account>(first);
  ASSERT_FALSE(failed);
  EXPECT_EQ(to_fault(failed.error()).code, errc::upstream_failed);
  EXPECT_FALSE(reply_of<customer_account>(second));

  auto again = customer_for("usr_1");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].what.idempotency_key, sent[0].what.idempotency_key);
  reply(1, customer("cus_1"));
  EXPECT_EQ(id_of(again), "cus_1");
}

TEST_F(billing_test, KeepsTheWordsOfAFault) {
  auto asked = customer_for("usr_1");

  reply(0, fault{errc::internal, "stripe_not_configured", {}, {}});

  auto got = reply_of<customer_account>(asked);
  ASSERT_FALSE(got);
  EXPECT_EQ(to_fault(got.error()).text, "stripe_not_configured");
}

TEST_F(billing_test, MakesNothingForATeamMemberOrForNobody) {
  owner = {"usr_owner"};
  auto member = customer_for("usr_1");
  auto subscribing = subscription_for("usr_1");
  unknown = true;
  auto nobody = customer_for("usr_2");

  EXPECT_EQ(to_fault(reply_of<customer_account>(member).error()).code, errc::forbidden);
  EXPECT_EQ(to_fault(reply_of<subscription_state>(subscribing).error()).code, errc::forbidden);
  EXPECT_EQ(to_fault(reply_of<customer_account>(nobody).error()).code, errc::not_found);
  EXPECT_TRUE(sent.empty());
}

TEST_F(billing_test, SubscribesToAllProductsAfterLookingForASubscription) {
  auto asked = subscription_for("usr_1");
  reply(0, customer("cus_1"));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].what.path, "/v1/subscriptions");
  EXPECT_EQ(sent[1].what.method, "GET");
  EXPECT_EQ(parameter(1, "status"), "all");
  reply(1, listed({}));

  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[2].what.idempotency_key, "subscription:usr_1:usage:1");
  EXPECT_EQ(parameter(2, "customer"), "cus_1");
  EXPECT_EQ(parameter(2, "items[0][price]"), "price_a");
  EXPECT_EQ(parameter(2, "items[1][price]"), "price_b");
  EXPECT_EQ(parameter(2, "metadata[kind]"), "usage");
  EXPECT_EQ(parameter(2, "metadata[user_id]"), "usr_1");
  reply(2, object(subscription("sub_1", "active")));

  EXPECT_EQ(state_of(asked), "sub_1 active");
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].id, "sub_1");
}

TEST_F(billing_test, DatesWhatStripeSaysByTheDatabasesClock) {
  link = "cus_1";
  auto asked = subscription_for("usr_1");
  reply(0, listed({subscription("sub_0", "canceled")}));
  reply(1, object(subscription("sub_1", "active")));

  EXPECT_EQ(state_of(asked), "sub_1 active");
  EXPECT_EQ(stored_as_of, (std::vector{database_time, database_time}));
}

TEST_F(billing_test, AdoptsTheSubscriptionThatStripeHas) {
  link = "cus_1";
  auto asked = subscription_for("usr_1");

  reply(0, listed({subscription("sub_0", "canceled"), subscription("sub_1", "active")}));

  EXPECT_EQ(state_of(asked), "sub_1 active");
  EXPECT_EQ(sent.size(), 1U);
  EXPECT_EQ(stored.size(), 2U);
}

TEST_F(billing_test, SubscribesAgainAfterASubscriptionHasEnded) {
  link = "cus_1";
  auto asked = subscription_for("usr_1");
  reply(0, listed({subscription("sub_0", "canceled")}));

  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].what.idempotency_key, "subscription:usr_1:usage:2");
  reply(1, object(subscription("sub_1", "active")));
  EXPECT_EQ(state_of(asked), "sub_1 active");
}

TEST_F(billing_test, AnswersAKnownSubscriptionWithoutStripe) {
  link = "cus_1";
  billing = persistence::subscription{.id = "sub_7", .kind = "usage", .status = "past_due"};

  auto asked = subscription_for("usr_1");

  EXPECT_EQ(state_of(asked), "sub_7 past_due");
  EXPECT_TRUE(sent.empty());
}

TEST_F(billing_test, SubscribesToNothingWhenNothingIsSold) {
  prices.clear();

  auto asked = subscription_for("usr_1");

  EXPECT_EQ(to_fault(reply_of<subscription_state>(asked).error()).code, errc::unprocessable);
  EXPECT_TRUE(sent.empty());
}

TEST_F(billing_test, SharesOneSubscriptionAmongAllWhoAskAtOnce) {
  link = "cus_1";
  auto first = subscription_for("usr_1");
  auto second = subscription_for("usr_1");

  reply(0, listed({}));
  reply(1, object(subscription("sub_1", "active")));

  EXPECT_EQ(sent.size(), 2U);
  EXPECT_EQ(state_of(first), "sub_1 active");
  EXPECT_EQ(state_of(second), "sub_1 active");
}

TEST_F(billing_test, AnswersWhoIsWaitingWhenItEnds) {
  auto asked = customer_for("usr_1");

  stop(actor);

  EXPECT_EQ(to_fault(reply_of<customer_account>(asked).error()).code, errc::unavailable);
}

} // namespace
} // namespace binnacle
