#include "actors/session.hpp"

#include "actors/admission.hpp"
#include "actors/async.hpp"
#include "actors/body.hpp"
#include "actors/context.hpp"
#include "actors/event_stream.hpp"
#include "actors/idempotency.hpp"
#include "actors/known_keys.hpp"
#include "actors/mailboxes.hpp"
#include "actors/rejections.hpp"
#include "actors/route.hpp"
#include "actors/sliding_window.hpp"
#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "persistence/rate_windows.hpp"

#include <algorithm>
#include <array>
#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <charconv>

namespace binnacle {
namespace {

constexpr std::size_t topics = persistence::topic_count;
/// Answers kept per session; a dashboard asks for a handful of summaries.
constexpr std::size_t most_cached = 16;
/// Windows at least this long are saved while in use too, so that a crash does not hand out a
/// fresh login budget. Shorter ones are over before a restart is.
constexpr seconds worth_saving{300};
constexpr seconds save_interval{10};
/// While its user changes faster than it can be read, a session takes what it has read last.
constexpr int most_reloads = 4;
/// Listeners whose user could not be read are examined again after this.
constexpr seconds examine_again{1};

struct session_metrics {
  prometheus::Gauge& sessions = metrics::gauge("binnacle_sessions", "Resident sessions");
  prometheus::Counter& hits =
      metrics::counter("binnacle_cache_lookups_total", "Summary cache", {{"result", "hit"}});
  prometheus::Counter& misses =
      metrics::counter("binnacle_cache_lookups_total", "Summary cache", {{"result", "miss"}});

  static session_metrics& get() {
    static session_metrics instance;
    return instance;
  }
};

/// What a session must load before it can decide anything.
struct opening {
  std::optional<persistence::principal_record> principal{};
  std::string windows{};
};

result<opening> load_opening(persistence::transaction& tx, const user_id& who,
                             const std::string& key, bool with_windows, time_point now) {
  opening out;
  if (!who.empty()) {
    auto principal = persistence::load_principal(tx, who, now);
    if (!principal) return principal.error();
    out.principal = std::move(*principal);
  }
  if (with_windows) {
    auto windows = persistence::load_rate_window(tx, key, now);
    if (!windows) return windows.error();
    out.windows = std::move(*windows);
  }
  return out;
}

/// Whom the session serves, as the database has it; of the record what a session needs.
struct principal {
  struct login {
    std::array<char, 32> digest{}; // of the cookie
    time_point expires_at{};
  };
  persistence::user who{};     // without the password's hash
  std::vector<login> logins{}; // those that its session_version has not ended

  explicit principal(persistence::principal_record&& from) : who{std::move(from.who)} {
    std::string{}.swap(who.password_hash); // frees it, which assigning an empty one would not
    logins.reserve(from.sessions.size());
    for (auto& l : from.sessions) {
      login kept{.expires_at = l.expires_at};
      if (l.session_version != who.session_version || l.digest.size() != kept.digest.size())
        continue;
      std::ranges::copy(l.digest, kept.digest.begin());
      logins.push_back(kept);
    }
  }
};

/// A kept answer.
struct summary {
  const route* of = nullptr;
  std::string query{};
  std::shared_ptr<const shared_body> body{};
  caching cache = caching::private_revalidate;
  time_point valid_until = time_point::max();
};

/// Who listens to what changes (GET /api/events). Few sessions have one.
struct audience {
  std::string epoch{};                         // event ids of another session are not these
  std::uint64_t last = 0;                      // number of the last event
  std::array<std::uint64_t, topics> changed{}; // number of the last event of each topic
  std::vector<std::weak_ptr<event_stream>> listeners{};

  std::string id() const { return epoch + '.' + std::to_string(last); }
  /// The number in an id of this epoch.
  std::optional<std::uint64_t> number_in(std::string_view given) const {
    if (!given.starts_with(epoch) || !given.substr(epoch.size()).starts_with('.')) return {};
    given.remove_prefix(epoch.size() + 1);
    std::uint64_t out = 0;
    auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), out);
    if (error != std::errc{} || end != given.data() + given.size() || out > last) return {};
    return out;
  }
  std::vector<std::shared_ptr<event_stream>> present() {
    std::vector<std::shared_ptr<event_stream>> out;
    std::erase_if(listeners, [&](auto& each) {
      auto held = each.lock();
      if (!held || held->ended()) return true;
      out.push_back(std::move(held));
      return false;
    });
    return out;
  }
};

struct session_state : actor_scope<session_actor::base> {
  static inline constexpr const char* name = "session";

  explicit session_state(session_actor::pointer s) : actor_scope{s} {
    session_metrics::get().sessions.Increment();
  }
  ~session_state() {
    clear(); // frames first: they refer to the members below
    if (ears)
      for (auto& each : ears->present()) each->end();
    session_metrics::get().sessions.Decrement();
  }

  // -- requests -----------------------------------------------------------------------------------

  void serve(ticket t) {
    mailboxes::sessions().Decrement();
    t->begin();
    auto now = app->time->now();
    is->last_use.store(static_cast<std::uint32_t>(unix_seconds(now)), std::memory_order_relaxed);
    ending = false;
    distrust_after_a_gap();
    if (loaded) return admit(std::move(t), now);
    wait_for_load(std::move(t));
  }

  void wait_for_load(ticket t) {
    waiting.push_back(std::move(t));
    if (!loading) {
      loading = true;
      adopt(load());
    }
  }

  /// While nobody listens for changes, what was loaded or cached may be stale at any moment.
  void distrust_after_a_gap() {
    auto newest = app->change_generation.load(std::memory_order_acquire);
    auto listening = app->listening.load(std::memory_order_acquire);
    if (listening && generation == newest) return;
    generation = newest;
    summaries.clear();
    ++versions_of_everything;
    if (ears)
      for (auto& each : persistence::everything_of({})) tell_listeners(each.what);
    if (!is->user().empty()) loaded = false;
  }

  detached_frame load() {
    result<opening> found{fault{errc::unavailable}};
    try {
      auto began = versions[static_cast<std::size_t>(persistence::topic::identity)];
      auto began_at = app->time->now();
      kept_windows kept;
      auto first = !opened;
      if (first && app->windows_unsaved.load(std::memory_order_acquire) > 0) {
        // Named, not written inside the co_await: g++ 12 would destroy its string twice.
        recall_windows question{is->key};
        auto recalled =
            co_await asking<kept_windows, session_actor::base, window_keeper_actor, recall_windows>{
                *this, self(), app->window_keeper, app->config.http.request_timeout,
                std::move(question)};
        if (recalled) kept = std::move(*recalled);
      }
      auto body = bind_sql(load_opening, user_id{std::string{is->user()}}, is->key,
                           first && !kept.found, app->time->now());
      found = co_await storage_call<opening>{*this, app->storage, app->config.http.request_timeout,
                                             persistence::access::read, std::move(body)};
      if (found) {
        if (first) restore_windows(kept.found ? kept.state : found->windows);
        opened = true;
        if (found->principal) {
          known = std::make_shared<const principal>(std::move(*found->principal));
        } else {
          known.reset();
        }
        // Changed while we read: what we have may be the old row.
        loaded = began == versions[static_cast<std::size_t>(persistence::topic::identity)];
        loaded_as_of = began_at;
      }
    } catch (const std::exception& e) {
      found = internal_fault(e.what());
    }
    if (found && !loaded && ++reloads < most_reloads) {
      adopt(load());
      co_return;
    }
    reloads = 0;
    loading = false;
    auto served = std::exchange(waiting, {});
    auto now = app->time->now();
    if (ears) examine_listeners(found.has_value(), now);
    for (auto& t : served) {
      if (found)
        admit(std::move(t), now);
      else
        finish(*t, t->matched->face->render(found.error(), *t));
    }
  }

  void admit(ticket t, time_point now) {
    auto& x = *t;
    if (x.matched->face->admits_origin && !x.origin_judged && x.req.has(field::origin))
      return adopt(judge_origin(std::move(t)));
    if (!is->user().empty() && !is_good(x.presented.get(), now)) {
      if (may_be_newer(x, now)) {
        loaded = false;
        return wait_for_load(std::move(t));
      }
      x.credential_rejected = true;
      mailboxes::front_end().Increment();
      self()->send(app->front_end, incoming{std::move(t)});
      return;
    }
    auto& face = *x.matched->face;
    auto check_method_late = x.matched->access_first ||
                             (face.admin_before_method &&
                              (x.matched->who == access::admin || x.matched->who == access::cron));
    std::optional<limit_report> limit;
    for (auto step : face.order) {
      std::optional<fault> refused;
      switch (step) {
      case check::csrf:
        refused = check_csrf(x, app->config);
        break;
      case check::limit:
        if (!limits_forgeries_only(x.matched->who) || !x.method_known)
          refused = check_limit(x, now, limit);
        break;
      case check::authentication:
        if (!x.method_known && !check_method_late) break;
        refused = check_access(x, caller(), *app);
        break;
      }
      if (refused) return refuse(x, *refused, limit ? limit : standing_of(x, now));
    }
    if (known) x.answered_for = known->who.id;
    if (!x.method_known) return refuse(x, {errc::method_not_allowed}, limit);
    if (!x.target_clean) return refuse(x, {errc::bad_request, "Invalid path or query"}, limit);
    if (answer_from_cache(x, now, limit)) return;
    if (handling >= app->config.session.max_in_flight && !limits_forgeries_only(x.matched->who))
      return refuse(x, {errc::overloaded, "Too many requests at once"}, limit);
    adopt(drive(std::move(t), limit));
  }

  /// Before all other checks, so that a script can read why it is refused.
  detached_frame judge_origin(ticket t) {
    auto& x = *t;
    result<bool> may{fault{errc::internal}};
    try {
      context ctx{*app, *this, self(), t, {known, caller()}};
      may = co_await x.matched->face->admits_origin(ctx);
    } catch (const std::exception& e) {
      may = internal_fault(e.what());
    }
    x.origin_judged = true;
    if (!may) {
      refuse(x, may.error(), {});
      co_return;
    }
    if (*may) x.shown_to = x.req.at(field::origin);
    if (!is_preflight(x.req)) {
      admit(std::move(t), app->time->now());
    } else if (*may) {
      response out;
      out.status = 204;
      out.cache = caching::no_store;
      finish(x, std::move(out));
    } else {
      refuse(x, {errc::forbidden, "Origin not allowed"}, {});
    }
  }

  /// The authenticated user, or null.
  const persistence::user* caller() const { return known ? &known->who : nullptr; }

  bool is_good(const credential* c, time_point now) const {
    if (!c || c->who.value != is->user() || c->expires_at <= now || !known) return false;
    switch (c->what) {
    case credential::kind::external_token:
      return true;
    case credential::kind::own_token:
      return c->session_version == known->who.session_version;
    case credential::kind::cookie:
      break;
    }
    return std::ranges::any_of(known->logins, [&](const principal::login& l) {
      return l.expires_at > now &&
             constant_time_equal({l.digest.data(), l.digest.size()}, c->cookie_digest);
    });
  }

  /// A login that began on another node, or just now, may be newer than what we know: the notice of
  /// it is on its way. What was loaded after the request came knows it.
  bool may_be_newer(const exchange& x, time_point now) const {
    auto* c = x.presented.get();
    if (!c || c->who.value != is->user() || c->expires_at <= now || loaded_as_of >= x.received)
      return false;
    if (!known) return true;
    return c->what == credential::kind::cookie ? c->session_version >= known->who.session_version
                                               : c->session_version > known->who.session_version;
  }

  // -- rate limits --------------------------------------------------------------------------------

  std::optional<fault> check_limit(const exchange& x, time_point now,
                                   std::optional<limit_report>& report) {
    auto of = x.matched->limit;
    if (of == limit_class::none) return {};
    auto& limit = app->config.limits[static_cast<std::size_t>(of)];
    auto verdict = window_of(of).admit(limit, now);
    report = report_of(of, limit, verdict, now);
    note_windows(limit);
    if (verdict.admitted) return {};
    rejections(of).Increment();
    return fault{errc::rate_limited, {}, {}, {}};
  }

  /// For a request that is refused before it counts.
  std::optional<limit_report> standing_of(const exchange& x, time_point now) {
    auto of = x.matched->limit;
    if (of == limit_class::none || limits_forgeries_only(x.matched->who)) return {};
    const auto& limit = app->config.limits[static_cast<std::size_t>(of)];
    auto said = window_of(of).peek(limit, now);
    said.admitted = true; // as far as the limit goes
    return report_of(of, limit, said, now);
  }

  sliding_window& window_of(limit_class wanted) {
    for (auto& [of, window] : windows)
      if (of == wanted) return window;
    return windows.emplace_back(wanted, sliding_window{}).second;
  }

  void note_windows(const rate_limit& limit) {
    if (save_pending || limit.window < worth_saving) return;
    save_pending = true;
    self()->delayed_send(session_actor{self()}, save_interval, changed{});
  }

  /// Text "<class key>=<window>;…" of what is not over yet.
  void keep() {
    auto now = app->time->now();
    std::string text;
    time_point expires{};
    for (auto& [of, window] : windows) {
      auto& limit = app->config.limits[static_cast<std::size_t>(of)];
      if (window.expired(limit, now)) continue;
      text.append(limit_rows[static_cast<std::size_t>(of)].key).append("=");
      window.append_to(text);
      text.append(";");
      expires = std::max(expires, window.expires_at(limit));
    }
    save_pending = false;
    if (text.empty()) return;
    auto until = std::chrono::ceil<milliseconds>(expires.time_since_epoch()).count();
    app->windows_unsaved.fetch_add(1);
    self()->send(app->window_keeper, keep_windows{is->key, std::move(text), until});
  }

  void restore_windows(std::string_view text) {
    while (!text.empty()) {
      auto end = text.find(';');
      auto item = text.substr(0, end);
      text.remove_prefix(end == text.npos ? text.size() : end + 1);
      auto equals = item.find('=');
      if (equals == item.npos) continue;
      auto row = std::ranges::find(limit_rows, item.substr(0, equals), &limit_row::key);
      if (row != limit_rows.end())
        window_of(row->name) = sliding_window::from_text(item.substr(equals + 1));
    }
  }

  // -- answers ------------------------------------------------------------------------------------

  detached_frame drive(ticket t, std::optional<limit_report> limit) {
    auto& x = *t;
    response out;
    ++handling;
    try {
      auto seen = versions;
      auto everything = versions_of_everything;
      // Shares what is known now, whatever is loaded meanwhile.
      context ctx{*app, *this, self(), t, {known, caller()}};
      auto once = has_idempotency_key(x.req) && !x.matched->only_asks;
      auto work = once ? run_once(ctx, x, std::string{is->key}) : x.matched->run(ctx);
      auto handled = co_await std::move(work);
      if (handled) {
        out = std::move(*handled);
        out.database_time = ctx.database_time();
        if (out.stream && x.req.verb == method::get) out = listen(x, std::move(out));
        if (everything == versions_of_everything) keep_summary(x, out, seen);
      } else {
        out = x.matched->face->render(handled.error(), x);
        out.log_detail = to_string(handled.error());
      }
    } catch (const std::exception& e) {
      log::error("handler failed",
                 {{"request_id", x.id}, {"path", x.req.path}, {"what", e.what()}});
      out = x.matched->face->render(internal_fault(e.what()), x);
    }
    --handling;
    if (limits_forgeries_only(x.matched->who) && is_forgery(out.status)) limit_forgeries(x, out);
    out.limit = x.limit ? x.limit : limit; // the handler's own verdict, if it gave one
    finish(x, std::move(out));
  }

  void limit_forgeries(exchange& x, response& out) {
    auto over = check_limit(x, app->time->now(), x.limit);
    if (!over) return;
    auto why = std::move(out.log_detail);
    out = x.matched->face->render(*over, x);
    out.log_detail = std::move(why);
  }

  bool answer_from_cache(exchange& x, time_point now, const std::optional<limit_report>& limit) {
    if (!x.matched->cache.keep) return false;
    for (auto& kept : summaries) {
      if (kept.of != x.matched || kept.query != x.req.query || now >= kept.valid_until) continue;
      session_metrics::get().hits.Increment();
      response out;
      out.shared = kept.body;
      out.cache = kept.cache;
      out.limit = limit;
      finish(x, std::move(out));
      return true;
    }
    session_metrics::get().misses.Increment();
    return false;
  }

  void keep_summary(const exchange& x, response& out,
                    const std::array<std::uint32_t, topics>& seen) {
    auto rule = x.matched->cache;
    if (!rule.keep || out.status != 200 || !out.headers.empty()) return;
    out.shared = make_shared_body(std::move(out.body));
    if (!app->config.session.cache || !app->listening.load(std::memory_order_acquire)) return;
    // A commit while the handler read may have been before or after its statement.
    for (std::size_t i = 0; i < topics; ++i)
      if ((rule.topics >> i & 1) && seen[i] != versions[i]) return;
    std::erase_if(summaries,
                  [&](const summary& s) { return s.of == x.matched && s.query == x.req.query; });
    if (summaries.size() >= most_cached) summaries.erase(summaries.begin());
    summaries.push_back({x.matched, std::string{x.req.query}, out.shared, out.cache,
                         out.valid_until.value_or(time_point::max())});
  }

  void refuse(exchange& x, const fault& f, const std::optional<limit_report>& limit) {
    if (known) x.answered_for = known->who.id;
    // The dialect's 429 body needs the waiting time, so the report is there before rendering.
    x.limit = limit;
    auto out = x.matched->face->render(f, x);
    out.limit = limit;
    out.log_detail = to_string(f);
    finish(x, std::move(out));
  }

  void finish(exchange& x, response out) {
    auto kept = out.cache == caching::private_revalidate || out.cache == caching::public_short;
    auto cacheable =
        out.status == 200 && kept && (x.req.verb == method::get || x.req.verb == method::head);
    if (cacheable && !out.shared) out.shared = make_shared_body(std::move(out.body));
    if (cacheable && matches(x.req.at(field::if_none_match), out.shared->etag())) out.status = 304;
    x.answer(std::move(out));
  }

  // -- listeners ----------------------------------------------------------------------------------

  /// Tells a new listener where it stands, and what it has missed since it was here last.
  response listen(exchange& x, response out) {
    if (!ears) {
      ears = std::make_unique<audience>();
      ears->epoch = make_ulid(app->time->now());
    }
    auto most = static_cast<std::size_t>(app->config.session.max_listeners);
    if (ears->present().size() >= most)
      return x.matched->face->render({errc::overloaded, "Too many event streams"}, x);
    auto given = x.req.at(field::last_event_id);
    auto since = ears->number_in(given);
    for (std::size_t i = 0; i < topics && !given.empty(); ++i)
      if (!since || ears->changed[i] > *since)
        tell(*out.stream, static_cast<persistence::topic>(i), {}); // it may be cut off in between
    out.stream->push(to_event(ears->id(), "ready", "{}"));
    out.stream->session = session_actor{self()};
    ears->listeners.push_back(out.stream);
    return out;
  }

  void tell(event_stream& to, persistence::topic what, std::string_view id) const {
    // Clusters are the administrators' business.
    if (what == persistence::topic::clusters && !(known && known->who.is_admin)) return;
    to.push(to_event(id, persistence::name_of(what), "{}"));
  }

  /// Remembers it too, for who comes back.
  void tell_listeners(persistence::topic what) {
    ears->changed[static_cast<std::size_t>(what)] = ++ears->last;
    for (auto& each : ears->present()) tell(*each, what, ears->id());
  }

  /// Whoever listens with a credential that is no longer good is hung up on.
  void examine_listeners(bool found, time_point now) {
    auto present = ears->present();
    if (present.empty()) return;
    if (!found) {
      // Nobody can tell at present: asks again, so that a revocation takes effect.
      self()->delayed_send(
          session_actor{self()}, examine_again,
          changed{{{persistence::topic::identity, user_id{std::string{is->user()}}}}, true});
      return;
    }
    for (auto& each : present)
      if (!is_good(each->who(), now) || caller()->status != "active") each->end();
  }

  bool has_listeners() { return ears && !ears->present().empty(); }

  // -- changes ------------------------------------------------------------------------------------

  void on_changed(const std::vector<persistence::change>& changes) {
    if (changes.empty()) return keep(); // INTERNAL: time to save the windows
    for (auto& c : changes) {
      if (!c.who.empty() && c.who.value != is->user()) continue;
      auto index = static_cast<std::size_t>(c.what);
      ++versions[index];
      if (c.what == persistence::topic::identity && !is->user().empty()) loaded = false;
      std::erase_if(summaries, [&](const summary& s) { return s.of->cache.topics >> index & 1; });
    }
  }

  /// What is heard early, from whoever on this node made the change, comes from the database too:
  /// listeners are told once.
  void on_notified(const changed& told) {
    const auto& changes = told.what;
    on_changed(changes);
    if (!ears) return;
    for (auto& c : changes)
      if (!told.early && (c.who.empty() || c.who.value == is->user())) tell_listeners(c.what);
    if (!loaded && !loading && has_listeners()) {
      loading = true;
      adopt(load());
    }
  }

  void on_committed(const std::vector<persistence::change>& changes) override {
    on_changed(changes); // the writer's own next read must not be stale
    app->api_keys->forget(changes);
  }

  /// Idle for a while: keeps what cannot be read from the database again.
  void trim_memory() {
    if (in_flight() != 0 || !waiting.empty()) return;
    auto now = app->time->now();
    summaries.clear();
    summaries.shrink_to_fit();
    if (!is->user().empty()) {
      known.reset();
      loaded = false;
    }
    std::erase_if(windows, [&](const auto& w) {
      return w.second.expired(app->config.limits[static_cast<std::size_t>(w.first)], now);
    });
    windows.shrink_to_fit();
  }

  void end() {
    if (has_listeners() && !app->draining.load(std::memory_order_relaxed)) {
      is->last_use.store(static_cast<std::uint32_t>(unix_seconds(app->time->now())),
                         std::memory_order_relaxed);
      return;
    }
    ending = true;
    if (in_flight() == 0 && waiting.empty()) quit();
  }

  void on_idle() override {
    if (ending && waiting.empty()) quit();
  }

  void quit() {
    keep();
    self()->send(app->front_end, session_ended{is->key});
    self()->quit();
  }

  services* app = nullptr;
  std::shared_ptr<resident> is{};

  bool opened = false; // windows have been restored
  bool loaded = false; // `known` is what the database has
  bool loading = false;
  bool ending = false;
  bool save_pending = false;
  std::int64_t handling = 0; // handlers at work; the frames also count a load
  int reloads = 0;
  time_point loaded_as_of{};
  std::uint64_t generation = 0;
  std::uint32_t versions_of_everything = 0;
  std::array<std::uint32_t, topics> versions{};
  std::shared_ptr<const principal> known{};
  std::vector<ticket> waiting{};
  std::vector<std::pair<limit_class, sliding_window>> windows{};
  std::vector<summary> summaries{};
  std::unique_ptr<audience> ears{}; // from the first listener on
};

session_actor::behavior_type session(session_actor::stateful_pointer<session_state> self,
                                     services* app, std::shared_ptr<resident> is) {
  self->state.app = app;
  self->state.is = std::move(is);
  return {
      [self](incoming& x) { self->state.serve(std::move(x.what)); },
      [self](const changed& c) { self->state.on_notified(c); },
      [self](const trim&) { self->state.trim_memory(); },
      [self](const passivate&) { self->state.end(); },
  };
}

} // namespace

session_actor spawn_session(caf::actor_system& system, services& app,
                            std::shared_ptr<resident> self) {
  return system.spawn(session, &app, std::move(self));
}

} // namespace binnacle
