#include "actors/mailer.hpp"

#include "actors/patient_scope.hpp"
#include "actors/upstream.hpp"
#include "config/base/json.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "integrations/mail.hpp"
#include "integrations/vault.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace binnacle {
namespace {

using integrations::http_answer;
using persistence::access;
using persistence::held_mail;
using answer = result<http_answer>;

constexpr seconds heartbeat{1};
constexpr seconds count_interval{10};
constexpr seconds storage_patience{15};

std::string context_of(const persistence::queued_mail& m) { return "mail:" + m.id; }

std::string content_of(const mail_draft& d) {
  return json::to_text(json::object{{"text", d.text}, {"html", d.html}});
}

result<mail::message> open_mail(const services& app, const persistence::queued_mail& m) {
  auto opened = app.vault->unseal(m.content_sealed, context_of(m));
  if (!opened) return opened.error();
  auto content = json::parse(opened->reveal());
  if (!content) return content.error();
  auto text_at = [&](const char* name) {
    return std::string{content->get_object().at(name).as_string()};
  };
  return mail::message{.id = m.id,
                       .from = app.config.mail.from,
                       .to = m.recipient,
                       .subject = m.subject,
                       .text = text_at("text"),
                       .html = text_at("html")};
}

// -- the sender ----------------------------------------------------------------------------------

struct sender_state {
  explicit sender_state(mail_sender_actor::pointer) {}
  integrations::http_client client{};
  static inline constexpr const char* name = "mail-sender";
};

mail_sender_actor::behavior_type sender(mail_sender_actor::stateful_pointer<sender_state> self,
                                        mail_settings how, const clock* time,
                                        std::shared_ptr<std::atomic<bool>> cancelled) {
  return {[self, how, time, cancelled](const deliver_mail& m) {
    const auto& what = *m.what;
    auto got =
        how.resend_api_key.empty()
            ? mail::send_by_smtp(what, how.smtp_url, time->now(), how.timeout, cancelled.get())
            : self->state.client.send(
                  mail::to_resend(what, how.resend_url, how.resend_api_key, how.timeout),
                  cancelled.get());
    return mail_delivery{std::make_shared<const answer>(std::move(got))};
  }};
}

// -- the mailer ----------------------------------------------------------------------------------

struct mailer_state : patient_scope<mailer_actor::base> {
  static inline constexpr const char* name = "mailer";
  explicit mailer_state(mailer_actor::pointer s) : patient_scope{s} {}
  ~mailer_state() { clear(); }

  const mail_settings& settings() const { return app->config.mail; }

  void look() {
    look_again = at_work;
    if (!at_work && settings().configured() && !breaker.is_open(self()->clock().now()))
      adopt(work());
  }

  /// Sends what is due.
  detached_frame work() {
    at_work = true;
    auto more = false;
    try {
      auto body = bind_sql(config.books.hold, app->node, settings().lease, app->time->now());
      auto held = co_await storage_call<std::optional<held_mail>>{
          *this, app->storage, storage_patience, access::append, std::move(body)};
      more = held && *held;
      if (more) co_await send(**held);
    } catch (const std::exception& e) {
      log::error("mails not sent", {{"why", e.what()}});
    }
    at_work = false;
    if (more || look_again) look();
  }

  task<done> send(held_mail m) {
    auto message = open_mail(*app, m.what);
    if (!message) {
      // Not the mail's fault: the key may come back.
      auto why = to_string(message.error());
      co_return co_await postpone(m, std::move(why), config.retry.longest);
    }
    auto began = std::chrono::steady_clock::now();
    deliver_mail order{std::make_shared<const mail::message>(std::move(*message))};
    // The sender answers by itself at its deadline; this one is for a sender that is stuck.
    auto said = co_await asking<mail_delivery, mailer_actor::base, mail_sender_actor, deliver_mail>{
        *this, self(), sender, settings().timeout + seconds{10}, std::move(order)};
    auto got = said ? *said->what : answer{fault{errc::upstream_failed, {}, {}, "no answer"}};
    auto how = integrations::classify(got);
    observe_call(transport(), name_of(how), std::chrono::steady_clock::now() - began);
    learn(how, got);
    if (got && got->status < 300) co_return co_await finish(m);
    auto delay = config.retry.delay_before(
        static_cast<int>(std::min<std::int64_t>(m.attempt + 1, std::numeric_limits<int>::max())),
        judged(got), config.random());
    if (delay) co_return co_await postpone(m, mail::reason_of(got), *delay);
    co_return co_await give_up(m, mail::reason_of(got));
  }

  std::string transport() const { return settings().resend_api_key.empty() ? "smtp" : "resend"; }

  /// A key that is refused says nothing of the mail.
  static answer judged(const answer& got) {
    if (got && (got->status == 401 || got->status == 403)) return fault{errc::upstream_failed};
    return got;
  }

  void learn(integrations::outcome how, const answer& got) {
    auto failed = how == integrations::outcome::unreachable || (got && got->status >= 500);
    if (!failed) return breaker.succeeded();
    if (breaker.failed(self()->clock().now()))
      log::warn("mail circuit opens", {{"why", mail::reason_of(got)}});
  }

  // -- what became of one -------------------------------------------------------------------------

  task<done> finish(const held_mail& m) {
    count("sent");
    auto body = bind_sql(config.books.finish, m, app->time->now());
    co_return co_await keep(m, std::move(body));
  }
  task<done> postpone(const held_mail& m, std::string why, milliseconds delay) {
    count("postponed");
    log::warn("mail not sent",
              {{"mail", m.what.id}, {"kind", m.what.kind}, {"attempt", m.attempt}, {"why", why}});
    auto body = bind_sql(config.books.postpone, m, why, app->time->now() + delay);
    co_return co_await keep(m, std::move(body));
  }
  task<done> give_up(const held_mail& m, std::string why) {
    count("failed");
    log::error("mail given up", {{"mail", m.what.id}, {"kind", m.what.kind}, {"why", why}});
    auto body = bind_sql(config.books.fail, m, why, app->time->now());
    co_return co_await keep(m, std::move(body));
  }
  task<done> keep(const held_mail& m, sql<done> outcome) {
    auto kept = co_await stored<done>(app->storage, access::write, std::move(outcome));
    // Refused when somebody else is at it by now: then it is theirs.
    if (!kept && kept.error().code != errc::conflict)
      log::error("outcome of a mail not stored",
                 {{"mail", m.what.id}, {"why", to_string(kept.error())}});
    co_return done{};
  }

  void count(const char* outcome) {
    metrics::counter("binnacle_mail_attempts_total", "Attempts to send mails",
                     {{"outcome", outcome}})
        .Increment();
  }

  // -- every second -------------------------------------------------------------------------------

  void tick() {
    self()->delayed_send(mailer_actor{self()}, heartbeat, caf::tick_atom_v);
    wake_sleepers();
    look();
    if (auto now = self()->clock().now(); now >= next_count) {
      next_count = now + count_interval;
      adopt(show());
    }
  }

  detached_frame show() {
    try {
      auto counting = bind_sql(config.books.count);
      auto counts = co_await storage_call<persistence::mail_counts>{
          *this, app->storage, storage_patience, access::read, std::move(counting)};
      if (!counts) co_return;
      auto set = [](const char* state, std::int64_t n) {
        metrics::gauge("binnacle_mails", "Mails in the outbox", {{"state", state}})
            .Set(static_cast<double>(n));
      };
      set("waiting", counts->waiting);
      set("failed", counts->failed);
      auto now = app->time->now();
      metrics::gauge("binnacle_mail_lag_seconds", "Since the oldest mail that waits was queued")
          .Set(std::chrono::duration<double>(now - counts->oldest.value_or(now)).count());
    } catch (const std::exception& e) {
      log::warn("mails not counted", {{"why", e.what()}});
    }
  }

  services* app = nullptr;
  mailer_config config{};
  mail_sender_actor sender{};
  circuit_breaker breaker{};
  bool at_work = false;
  bool look_again = false;
  caf::actor_clock::time_point next_count{};
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

mailer_actor::behavior_type mailer(mailer_actor::stateful_pointer<mailer_state> self, services* app,
                                   mailer_config config) {
  auto& state = self->state;
  state.app = app;
  state.config = std::move(config);
  state.breaker = {state.config.tolerance, state.config.rest};
  if (!state.config.random) state.config.random = jitter();
  if (!state.config.spawn_sender)
    // Linked: a sender lost to a bug takes the mailer down, and the supervisor makes both anew.
    state.config.spawn_sender = [app, cancelled = state.cancelled](mailer_actor::pointer parent) {
      return parent->spawn<caf::detached + caf::linked>(sender, app->config.mail, app->time,
                                                        cancelled);
    };
  state.sender = state.config.spawn_sender(self);
  self->set_exit_handler([self](const caf::exit_msg& m) {
    *self->state.cancelled = true; // what is cut off is repeated under its id
    self->state.clear();
    self->quit(m.reason);
  });
  self->send(mailer_actor{self}, caf::tick_atom_v);
  return {[self](const mail_queued&) { self->state.look(); },
          [self](caf::tick_atom) { self->state.tick(); }};
}

} // namespace

persistence::queued_mail seal_mail(const services& app, const mail_draft& d, time_point now) {
  persistence::queued_mail out{.id = "mail_" + make_ulid(now),
                               .cause = d.cause,
                               .kind = d.kind,
                               .recipient = d.recipient,
                               .subject = d.subject,
                               .content_sealed = {}};
  out.content_sealed = app.vault->seal(secret{content_of(d)}, context_of(out));
  return out;
}

void announce_mail(const services& app, const mail_draft& d) {
  if (app.config.mail.configured()) {
    caf::anon_send(app.mailer, mail_queued{});
    return;
  }
  json::object fields{{"kind", d.kind}};
  if (app.config.deployment == "development") {
    fields.add("to", d.recipient);
    fields.add("link", d.link);
  }
  log::info("mail waits in the outbox: no way to send it is configured", std::move(fields));
}

mailer_actor spawn_mailer(caf::actor_system& system, services& app, mailer_config config) {
  return system.spawn(mailer, &app, std::move(config));
}

} // namespace binnacle
