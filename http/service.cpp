#include "http/service.hpp"

#include "actors/billing.hpp"
#include "actors/front_end.hpp"
#include "actors/hopsworks.hpp"
#include "actors/hopsworks_accounts.hpp"
#include "actors/http_upstream.hpp"
#include "actors/hubspot.hpp"
#include "actors/identity.hpp"
#include "actors/key_keeper.hpp"
#include "actors/known_keys.hpp"
#include "actors/login_provider.hpp"
#include "actors/mailer.hpp"
#include "actors/meter_sync.hpp"
#include "actors/notifier.hpp"
#include "actors/objects.hpp"
#include "actors/project_sync.hpp"
#include "actors/reconciler.hpp"
#include "actors/runtime/asio_scheduler.hpp"
#include "actors/stripe.hpp"
#include "actors/stripe_inbox.hpp"
#include "actors/stripe_intake.hpp"
#include "actors/supervisor.hpp"
#include "actors/team.hpp"
#include "actors/timers.hpp"
#include "actors/usage_collector.hpp"
#include "actors/window_keeper.hpp"
#include "actors/worker_pool.hpp"
#include "config/base/log.hpp"
#include "http/server.hpp"
#include "integrations/object_cache.hpp"
#include "integrations/tokens.hpp"
#include "integrations/vault.hpp"
#include "persistence/database.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <condition_variable>
#include <csignal>
#include <future>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace binnacle::http {
namespace {

namespace net = boost::asio;

constexpr seconds stop_patience{15}; // for saving windows and ending actors

persistence::database_config database_of(const settings& config, std::string name) {
  return {.url = config.database.url,
          .statement_timeout = config.database.statement_timeout,
          .connect_timeout = config.database.connect_timeout,
          .application_name = std::move(name)};
}

const sigset_t& stop_signals() {
  static const auto set = [] {
    sigset_t out;
    ::sigemptyset(&out);
    for (auto signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&out, signal);
    return out;
  }();
  return set;
}

std::string node_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return std::string{host.data()} + ":" + std::to_string(::getpid()) + ":" +
         make_ulid(std::chrono::system_clock::now()).substr(16);
}

class actor_config : public caf::actor_system_config {
public:
  explicit actor_config(net::io_context& io) {
    add_message_types<caf::id_block::binnacle>();
    add_message_types<caf::id_block::binnacle_hopsworks>();
    add_message_types<caf::id_block::binnacle_keys>();
    add_message_types<caf::id_block::binnacle_rosters>();
    set("scheduler.max-threads", std::size_t{1}); // of CAF's own scheduler, which we replace
    runtime::schedule_on(io, *this);
  }
};

} // namespace

struct service::implementation {
  explicit implementation(std::size_t threads_)
      : thread_count{threads_}, io{static_cast<int>(threads_)} {}

  void give_up(const std::string& actor) {
    log::error("the service stops: an actor could not be kept alive", {{"actor", actor}});
    end_wait(false);
  }

  void end_wait(bool by_signal) {
    std::lock_guard lock{guard};
    if (ended) return;
    ended = true;
    ended_by_signal = by_signal;
    wake.notify_all();
  }

  template <class Handle, class F>
  Handle keep_alive(std::string name, F spawn) {
    auto handle = supervise<Handle>(*system, std::move(name), std::function<Handle()>{spawn},
                                    [this](const std::string& actor) { give_up(actor); });
    guardians.push_back(caf::actor_cast<caf::actor>(handle));
    return handle;
  }

  /// Later ones use earlier ones; they are ended in reverse.
  void spawn_actors(const service_options& options) {
    auto& s = *system;
    auto& a = app;
    app.storage = keep_alive<pool_actor>("storage", [&s, &a] {
      pool_config pool;
      pool.name = "storage";
      pool.workers = static_cast<std::size_t>(a.config.database.connections);
      pool.queue = static_cast<std::size_t>(a.config.database.queue);
      pool.make_tools = [&a] {
        worker_tools tools;
        tools.db = std::make_unique<persistence::database>(database_of(a.config, "binnacle"));
        tools.database_up = &a.database_up;
        return tools;
      };
      return spawn_worker_pool(s, std::move(pool));
    });
    app.compute = keep_alive<pool_actor>("compute", [this, &s] {
      pool_config pool;
      pool.name = "compute";
      pool.workers = std::max<std::size_t>(1, thread_count);
      pool.queue = 256;
      return spawn_worker_pool(s, std::move(pool));
    });
    app.pictures = keep_alive<pool_actor>("pictures", [&s] {
      pool_config pool;
      pool.name = "pictures";
      pool.workers = 1;
      pool.queue = 16;
      return spawn_worker_pool(s, std::move(pool));
    });
    app.objects =
        keep_alive<pool_actor>("objects", [&s, &a] { return spawn_object_workers(s, a); });
    app.window_keeper = keep_alive<window_keeper_actor>(
        "window-keeper", [&s, &a] { return spawn_window_keeper(s, a); });
    std::vector<key_fetcher_actor> fetchers;
    for (std::size_t i = 0; i < app.config.identity.issuers.size(); ++i)
      fetchers.push_back(keep_alive<key_fetcher_actor>(
          "key-fetcher", [&s, &a] { return spawn_key_fetcher(s, a); }));
    app.identity = keep_alive<identity_actor>(
        "identity", [&s, &a, fetchers] { return spawn_identity(s, a, fetchers); });
    app.hopsworks =
        keep_alive<hopsworks_actor>("hopsworks", [&s, &a] { return spawn_hopsworks(s, a); });
    app.project_sync = keep_alive<project_sync_actor>(
        "project-sync", [&s, &a] { return spawn_project_sync(s, a); });
    app.hopsworks_accounts = keep_alive<hopsworks_accounts_actor>(
        "hopsworks-accounts", [&s, &a, works = options.timers] {
          hopsworks_accounts_config accounts;
          accounts.works_outbox = works;
          return spawn_hopsworks_accounts(s, a, std::move(accounts));
        });
    if (app.config.identity.provider_logins()) {
      auto calls = keep_alive<upstream_actor>("login-calls", [&s] {
        upstream_config provider;
        provider.name = "login";
        return spawn_upstream(s, std::move(provider));
      });
      app.login_provider = keep_alive<login_provider_actor>(
          "login-provider", [&s, &a, calls] { return spawn_login_provider(s, a, calls); });
    }
    app.hubspot = keep_alive<upstream_actor>(
        "hubspot", [&s, &a] { return spawn_upstream(s, hubspot_config_of(a.config.hubspot)); });
    app.usage_collector = keep_alive<usage_collector_actor>(
        "usage-collector", [&s, &a, progress = options.on_progress] {
          collector_config collector;
          collector.on_progress = progress;
          return spawn_usage_collector(s, a, std::move(collector));
        });
    app.stripe = keep_alive<stripe_actor>(
        "stripe", [&s, &a] { return spawn_stripe(s, stripe_config_of(a.config.stripe)); });
    app.meter_sync =
        keep_alive<meter_sync_actor>("meter-sync", [&s, &a, progress = options.on_progress] {
          meter_sync_config sync;
          sync.on_progress = progress;
          return spawn_meter_sync(s, a, std::move(sync));
        });
    app.billing = keep_alive<billing_actor>("billing", [&s, &a] { return spawn_billing(s, a); });
    app.stripe_intake = keep_alive<stripe_intake_actor>(
        "stripe-intake", [&s, &a] { return spawn_stripe_intake(s, a); });
    app.reconciler =
        keep_alive<reconciler_actor>("reconciler", [&s, &a] { return spawn_reconciler(s, a); });
    app.key_keeper =
        keep_alive<key_keeper_actor>("key-keeper", [&s, &a] { return spawn_key_keeper(s, a); });
    app.rosters = keep_alive<rosters_actor>("rosters", [&s, &a] { return spawn_rosters(s, a); });
    app.team = keep_alive<team_actor>("team", [&s, &a] { return spawn_team(s, a); });
    // Not behind a guardian: it holds the sessions, and without it nothing is served.
    app.front_end = spawn_front_end(s, a);
    keep_alive<notifier_actor>("notifier", [&s, &a] {
      return spawn_notifier(s, a, database_of(a.config, "binnacle listener"));
    });
    if (options.timers)
      app.stripe_inbox = keep_alive<stripe_inbox_actor>(
          "stripe-inbox", [&s, &a] { return spawn_stripe_inbox(s, a); });
    if (options.timers)
      app.mailer = keep_alive<mailer_actor>("mailer", [&s, &a] { return spawn_mailer(s, a); });
    if (options.timers) keep_alive<timers_actor>("timers", [&s, &a] { return spawn_timers(s, a); });
  }

  void end_actors() {
    app.object_store->cancel();
    {
      caf::scoped_actor me{*system};
      me->request(app.front_end, stop_patience, drain{})
          .receive([](const drained&) {},
                   [](const caf::error& e) {
                     log::warn("sessions did not end", {{"why", caf::to_string(e)}});
                   });
      me->request(app.window_keeper, stop_patience, flush_windows{})
          .receive(
              [](const flushed& f) {
                if (!f.saved) log::warn("rate-limit windows were not saved");
              },
              [](const caf::error& e) {
                log::warn("rate-limit windows were not saved", {{"why", caf::to_string(e)}});
              });
      me->request(app.key_keeper, stop_patience, flush_key_uses{})
          .receive(
              [](const key_uses_flushed& f) {
                if (!f.saved) log::warn("uses of API keys were not saved");
              },
              [](const caf::error& e) {
                log::warn("uses of API keys were not saved", {{"why", caf::to_string(e)}});
              });
      me->send_exit(app.front_end, caf::exit_reason::user_shutdown);
      me->wait_for(app.front_end);
      for (auto it = guardians.rbegin(); it != guardians.rend(); ++it) {
        me->send_exit(*it, caf::exit_reason::user_shutdown);
        me->wait_for(*it);
      }
    } // a scoped_actor counts as running: it must be gone before the wait below
    guardians.clear();
    app.storage = nullptr;
    app.compute = nullptr;
    app.objects = nullptr;
    app.window_keeper = nullptr;
    app.identity = nullptr;
    app.usage_collector = nullptr;
    app.billing = nullptr;
    app.stripe = nullptr;
    app.meter_sync = nullptr;
    app.stripe_intake = nullptr;
    app.stripe_inbox = nullptr;
    app.reconciler = nullptr;
    app.hopsworks = nullptr;
    app.hopsworks_accounts = nullptr;
    app.project_sync = nullptr;
    app.mailer = nullptr;
    app.team = nullptr;
    app.key_keeper = nullptr;
    app.rosters = nullptr;
    app.login_provider = nullptr;
    app.hubspot = nullptr;
    app.front_end = nullptr;
    system->await_all_actors_done();
    runtime::forget_logger(io, thread_count);
    system.reset(); // while the io_context still runs: its scheduler needs live threads
  }

  std::size_t stop() {
    if (std::exchange(stopped, true)) return 0;
    std::size_t cut_off = 0;
    app.draining = true;
    if (listener) {
      std::promise<std::size_t> drained_connections;
      listener->drain([&](std::size_t n) { drained_connections.set_value(n); });
      cut_off = drained_connections.get_future().get();
      listener.reset();
    }
    if (system) end_actors();
    signals.reset();
    work.reset();
    for (auto& t : threads) t.join();
    threads.clear();
    log::flush();
    return cut_off;
  }

  std::size_t thread_count;
  net::io_context io;
  std::optional<net::executor_work_guard<net::io_context::executor_type>> work{io.get_executor()};
  std::vector<std::thread> threads{};
  std::unique_ptr<actor_config> caf_config{};
  std::unique_ptr<caf::actor_system> system{};
  services app{};
  std::vector<caf::actor> guardians{};
  std::unique_ptr<server> listener{};
  std::unique_ptr<net::signal_set> signals{};
  bool stopped = false;

  std::mutex guard{};
  std::condition_variable wake{};
  bool ended = false;
  bool ended_by_signal = false;
};

void hold_stop_signals() { ::pthread_sigmask(SIG_BLOCK, &stop_signals(), nullptr); }

service::service() = default;

service::~service() {
  if (inside_) inside_->stop();
}

result<std::unique_ptr<service>> service::start(settings config, service_options options) {
  auto threads = config.http.threads > 0 ? static_cast<std::size_t>(config.http.threads)
                                         : std::max(1U, std::thread::hardware_concurrency());
  auto out = std::unique_ptr<service>{new service};
  out->inside_ = std::make_unique<implementation>(threads);
  auto& in = *out->inside_;
  in.app.config = std::move(config);
  std::vector<std::string> problems;
  in.app.offers = catalogue_of(in.app.config.stripe, &problems);
  for (const auto& problem : problems) log::warn("setting ignored", {{"what", problem}});
  in.app.time = options.time;
  in.app.node = node_name();
  auto secrets = in.app.config.data_dir + "/secrets/";
  auto signer = integrations::signing_key::open(secrets + "token-signing-key.pem");
  if (!signer) return signer.error();
  in.app.signer = std::move(*signer);
  auto vault = integrations::vault::open(in.app.config.encryption_key, secrets + "vault-key");
  if (!vault) return vault.error();
  in.app.vault = std::move(*vault);
  in.app.object_store = open_object_store(in.app.config);
  in.app.api_keys = std::make_shared<known_keys>();
  in.app.object_cache = std::make_shared<integrations::object_cache>();

  in.caf_config = std::make_unique<actor_config>(in.io);
  for (std::size_t i = 0; i < threads; ++i) in.threads.emplace_back([&in] { in.io.run(); });
  in.system = std::make_unique<caf::actor_system>(*in.caf_config);
  in.spawn_actors(options);
  // Blocked since main() began, so that one during start-up waits until here.
  in.signals = std::make_unique<net::signal_set>(in.io, SIGINT, SIGTERM, SIGHUP);
  in.signals->async_wait([&in](boost::system::error_code error, int) {
    if (error) return;
    in.end_wait(true);
    // A command waits for the actor it has asked, not for us.
    if (in.listener) return;
    caf::anon_send_exit(in.app.usage_collector, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(in.app.meter_sync, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(in.app.reconciler, caf::exit_reason::user_shutdown);
  });
  ::pthread_sigmask(SIG_UNBLOCK, &stop_signals(), nullptr);
  if (!options.listen) return out;
  in.listener = std::make_unique<server>(in.io, in.app);
  if (auto listening = in.listener->listen(); !listening) {
    in.listener.reset();
    return listening.error();
  }
  return out;
}

std::size_t service::stop() { return inside_->stop(); }

bool service::wait() {
  std::unique_lock lock{inside_->guard};
  inside_->wake.wait(lock, [this] { return inside_->ended; });
  return inside_->ended_by_signal;
}

std::uint16_t service::port() const { return inside_->listener->port(); }
services& service::app() { return inside_->app; }
caf::actor_system& service::system() { return *inside_->system; }

} // namespace binnacle::http
