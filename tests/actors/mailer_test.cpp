#include "actors/mailer.hpp"

#include "deterministic_system.hpp"
#include "integrations/mail.hpp"
#include "integrations/vault.hpp"

#include <algorithm>
#include <deque>

namespace binnacle {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;
using persistence::held_mail;
using testing::fake_database;

/// An outbox in memory, and a transport that the test answers for.
class mailer_test : public testing::deterministic_system {
protected:
  struct entry {
    persistence::queued_mail what{};
    std::string state = "waiting";
    std::int64_t attempts = 0;
    time_point due{};
    std::string why{};
  };
  struct sent_mail {
    mail::message what{};
    caf::typed_response_promise<mail_delivery> reply{};
  };
  using answering_sender = mail_sender_actor::extend<caf::reacts_to<caf::tick_atom>>;
  struct sender_state {
    explicit sender_state(answering_sender::pointer) {}
  };

  /// Keeps every mail until the test answers it: a promise is kept by the actor that made it.
  static answering_sender::behavior_type
  sender(answering_sender::stateful_pointer<sender_state> self, mailer_test* test) {
    return {[self, test](const deliver_mail& m) -> caf::result<mail_delivery> {
              test->sent.push_back({*m.what, self->make_response_promise<mail_delivery>()});
              auto reply = test->sent.back().reply;
              if (test->at_once) reply.deliver(delivery(*test->at_once));
              return reply;
            },
            [test](caf::tick_atom) { test->sent.back().reply.deliver(delivery(status(200))); }};
  }
  /// The last one was sent.
  void confirm() { tell(transport, caf::tick_atom_v); }
  static mail_delivery delivery(result<http_answer> how) {
    return {std::make_shared<const result<http_answer>>(std::move(how))};
  }
  static http_answer status(int code, const std::string& retry_after = {}) {
    http_answer out{.status = code, .headers = {}, .body = "{}"};
    if (!retry_after.empty()) out.headers.emplace_back("retry-after", retry_after);
    return out;
  }

  void SetUp() override {
    app.time = &time;
    app.node = "node";
    app.config.mail.resend_api_key = secret{"re_key"};
    app.vault = *integrations::vault::open(secret{std::string(64, 'a')}, {});
    app.storage =
        owned(testing::spawn_fake_storage<std::optional<held_mail>, done, persistence::mail_counts>(
            system, db));
  }
  void TearDown() override {
    sent.clear();
    transport = nullptr;
    deterministic_system::TearDown();
  }

  mail_books books() {
    using tx = persistence::transaction;
    mail_books out;
    out.hold = [this](tx&, const std::string& holder, milliseconds lease,
                      time_point now) -> result<std::optional<held_mail>> {
      ++looks;
      for (auto& e : outbox) {
        if (e.state != "waiting" || e.due > now) continue;
        e.due = now + lease;
        return std::optional{held_mail{e.what, ++e.attempts, holder}};
      }
      return std::optional<held_mail>{};
    };
    out.finish = [this](tx&, const held_mail& m, time_point) { return settle(m, "sent", {}, {}); };
    out.postpone = [this](tx&, const held_mail& m, const std::string& why, time_point again) {
      return settle(m, "waiting", why, again);
    };
    out.fail = [this](tx&, const held_mail& m, const std::string& why, time_point) {
      return settle(m, "failed", why, {});
    };
    out.count = [](tx&) -> result<persistence::mail_counts> { return persistence::mail_counts{}; };
    return out;
  }
  result<done> settle(const held_mail& m, std::string state, std::string why, time_point due) {
    auto& e = *std::ranges::find(outbox, m.what.id, [](const entry& x) { return x.what.id; });
    e = {e.what, std::move(state), e.attempts, due, std::move(why)};
    return done{};
  }

  mailer_actor start() {
    mailer_config config;
    config.books = books();
    config.spawn_sender = [this](mailer_actor::pointer) {
      transport = owned(system.spawn(&mailer_test::sender, this));
      return transport;
    };
    config.random = [] { return 0.5; };
    auto out = owned(spawn_mailer(system, app, std::move(config)));
    run();
    return out;
  }
  entry& queue(const std::string& recipient) {
    mail_draft draft{.cause = recipient,
                     .kind = "greeting",
                     .recipient = recipient,
                     .subject = "Hello",
                     .text = "Hello " + recipient,
                     .html = "<p>Hello</p>",
                     .link = {}};
    outbox.push_back({.what = seal_mail(app, draft, time.now()), .due = time.now()});
    return outbox.back();
  }

  fake_database db{};
  services app{};
  answering_sender transport{};
  std::deque<entry> outbox{};
  std::vector<sent_mail> sent{};
  std::optional<result<http_answer>> at_once{status(200)}; // else the test answers
  int looks = 0;
};

TEST_F(mailer_test, SendsAtOnceWhatIsAnnounced) {
  auto actor = start();
  auto& mail = queue("ann@example.com");

  tell(actor, mail_queued{});

  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].what.id, mail.what.id);
  EXPECT_EQ(sent[0].what.to, "ann@example.com");
  EXPECT_EQ(sent[0].what.text, "Hello ann@example.com");
  EXPECT_EQ(mail.state, "sent");
}

TEST_F(mailer_test, FindsWhatAnotherHasLeftBehindWithinASecond) {
  start();
  auto& mail = queue("ann@example.com");

  advance(1s);

  EXPECT_EQ(mail.state, "sent");
}

TEST_F(mailer_test, SendsOneAfterAnother) {
  at_once.reset();
  auto actor = start();
  for (auto* name : {"a@example.com", "b@example.com", "c@example.com"}) queue(name);

  for (auto i = 0U; i < 3; ++i) {
    for (int again = 0; again < 3; ++again) tell(actor, mail_queued{});
    ASSERT_EQ(sent.size(), i + 1);
    confirm();
  }

  EXPECT_TRUE(std::ranges::all_of(outbox, [](const auto& e) { return e.state == "sent"; }));
}

TEST_F(mailer_test, RepeatsUnderTheSameIdAfterLongerAndLongerPauses) {
  at_once = fault{errc::upstream_failed, {}, {}, "reset"};
  start();
  auto& mail = queue("ann@example.com");

  for (auto pause : {2500ms, 5000ms, 10'000ms, 20'000ms}) { // half of 5 s, doubling
    auto tried = sent.size();
    while (sent.size() == tried) advance(500ms);
    EXPECT_EQ(mail.due - time.now(), pause);
    EXPECT_EQ(mail.state, "waiting");
  }
  at_once = status(200);
  pass(21s);

  EXPECT_EQ(mail.state, "sent");
  for (const auto& s : sent) EXPECT_EQ(s.what.id, mail.what.id);
}

TEST_F(mailer_test, WaitsAsLongAsItIsTold) {
  at_once = status(429, "600");
  start();
  auto& mail = queue("ann@example.com");

  advance(1s);

  EXPECT_EQ(mail.due - time.now(), 600s);
  EXPECT_NE(mail.why, "");
}

TEST_F(mailer_test, GivesUpWhatIsRefusedForWhatItIs) {
  at_once = status(422);
  start();
  auto& mail = queue("ann@example.com");

  pass(10min, 10s);

  EXPECT_EQ(mail.state, "failed");
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(mailer_test, DoesNotBlameTheMailForARefusedKey) {
  for (auto code : {401, 403}) {
    at_once = status(code);
    auto actor = start();
    auto& mail = queue(std::to_string(code) + "@example.com");

    advance(1s);

    EXPECT_EQ(mail.state, "waiting") << code;
    EXPECT_EQ(mail.attempts, 1) << code;
    stop(actor);
  }
}

TEST_F(mailer_test, TriesNothingForAMinuteAfterFiveFailuresInARow) {
  at_once = status(500);
  auto actor = start();
  for (int i = 0; i < 7; ++i) queue(std::to_string(i) + "@example.com");

  tell(actor, mail_queued{});
  EXPECT_EQ(sent.size(), 5U);
  pass(59s);
  EXPECT_EQ(sent.size(), 5U);
  at_once = status(200);
  pass(2s);

  EXPECT_TRUE(std::ranges::all_of(outbox, [](const auto& e) { return e.state == "sent"; }));
}

TEST_F(mailer_test, KeepsWhatItCannotOpen) {
  start();
  auto& mail = queue("ann@example.com");
  mail.what.content_sealed =
      (*integrations::vault::open(secret{std::string(64, 'b')}, {}))->seal(secret{"x"}, "mail");

  advance(1s);

  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(mail.state, "waiting");
  EXPECT_EQ(mail.due - time.now(), 1h);
}

TEST_F(mailer_test, StoresTheOutcomeWhenTheDatabaseIsBack) {
  at_once.reset();
  start();
  auto& mail = queue("ann@example.com");
  advance(1s);
  ASSERT_EQ(sent.size(), 1U);

  db.up = false;
  confirm();
  pass(10s);
  EXPECT_EQ(mail.state, "waiting");
  db.up = true;
  pass(3s);

  EXPECT_EQ(mail.state, "sent");
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(mailer_test, RepeatsWhenTheSenderIsStuck) {
  at_once.reset();
  start();
  auto& mail = queue("ann@example.com");
  advance(1s);
  ASSERT_EQ(sent.size(), 1U);

  pass(app.config.mail.timeout + 11s);

  EXPECT_EQ(mail.state, "waiting");
  EXPECT_EQ(mail.why, "no answer");
}

TEST_F(mailer_test, LeavesEverythingAsItIsWithoutATransport) {
  app.config.mail.resend_api_key = {};
  auto actor = start();
  queue("ann@example.com");

  tell(actor, mail_queued{});
  pass(10s);

  EXPECT_EQ(looks, 0);
}

} // namespace
} // namespace binnacle
