#include "http/server.hpp"

#include "config/base/log.hpp"
#include "config/base/metrics.hpp"
#include "http/connection.hpp"
#include "http/response_writer.hpp"
#include "http/routes/table.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <map>
#include <mutex>
#include <unordered_set>

namespace binnacle::http {
namespace {

namespace net = boost::asio;
using tcp = net::ip::tcp;

constexpr milliseconds sweep_interval{250};
constexpr milliseconds accept_pause{100}; // when there are no file descriptors left

result<tcp::endpoint> parse_listen(const std::string& text) {
  auto colon = text.rfind(':');
  auto refuse = [&] { return bad_field("http.listen", "not address:port: " + text); };
  if (colon == text.npos) return refuse();
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  auto address = net::ip::make_address(host, error);
  auto port = std::atoi(text.c_str() + colon + 1);
  auto digits = text.find_first_not_of("0123456789", colon + 1) == text.npos;
  if (error || !digits || colon + 1 == text.size() || port < 0 || port > 65'535) return refuse();
  return tcp::endpoint{address, static_cast<std::uint16_t>(port)};
}

} // namespace

struct server::implementation : std::enable_shared_from_this<implementation> {
  implementation(net::io_context& io_, services& app_)
      : io{io_}, app{app_}, acceptor{net::make_strand(io_)}, sweep_timer{io_},
        pause_timer{acceptor.get_executor()}, shared{
                                                  app_, router{all_routes(), app_.config},
                                                  trusted_proxies{app_.config.http.trusted_proxies},
                                                  journal{app_.config.access_log != "off"},
                                                  [this](connection& c) { forget(c); }} {}

  void accept() {
    // Connections have no part in the acceptor's strand.
    acceptor.async_accept(
        io, [self = shared_from_this()](boost::system::error_code error, tcp::socket socket) {
          if (error == net::error::operation_aborted || !self->acceptor.is_open()) return;
          if (!error) {
            self->admit(std::move(socket));
            return self->accept();
          }
          log::warn("cannot accept", {{"why", error.message()}});
          self->pause_timer.expires_after(accept_pause);
          self->pause_timer.async_wait([self](boost::system::error_code) {
            if (self->acceptor.is_open()) self->accept();
          });
        });
  }

  void admit(tcp::socket socket) {
    boost::system::error_code error;
    auto peer = socket.remote_endpoint(error).address();
    if (error) return; // gone already
    auto& limits = app.config.http;
    std::shared_ptr<connection> made;
    {
      std::lock_guard lock{guard};
      auto& from_there = per_address[peer];
      if (connections.size() < static_cast<std::size_t>(limits.max_connections) &&
          from_there < limits.max_connections_per_address) {
        made = std::make_shared<connection>(std::move(socket), peer, shared);
        connections.insert(made.get());
        ++from_there;
        open_connections.Set(static_cast<double>(connections.size()));
      } else if (from_there == 0) {
        per_address.erase(peer);
      }
    }
    if (made) return made->start();
    refused_connections.Increment();
    auto goodbye = bare_response(503, R"({"error":"Too many connections"})", {});
    socket.non_blocking(true, error);
    socket.write_some(net::buffer(goodbye), error);
    socket.shutdown(tcp::socket::shutdown_both, error);
  }

  void forget(connection& c) {
    std::function<void(std::size_t)> done;
    {
      std::lock_guard lock{guard};
      connections.erase(&c);
      if (auto at = per_address.find(c.peer()); at != per_address.end() && --at->second == 0)
        per_address.erase(at);
      open_connections.Set(static_cast<double>(connections.size()));
      if (finished && connections.empty()) done = std::exchange(finished, nullptr);
    }
    if (done) done(cut_off_count);
  }

  void sweep() {
    std::lock_guard lock{guard};
    if (over) return;
    sweep_timer.expires_after(sweep_interval);
    sweep_timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error) return;
      self->check_deadlines();
      self->sweep();
    });
  }

  void check_deadlines() {
    // A connection cannot be destroyed while it is locked here, but one whose last reference is
    // going is about to wait for `guard` in forget(): lock() finds those expired.
    std::vector<std::shared_ptr<connection>> alive;
    auto now = std::chrono::steady_clock::now();
    auto is_draining = app.draining.load();
    auto too_late = false;
    {
      std::lock_guard lock{guard};
      alive.reserve(connections.size());
      for (auto* c : connections)
        if (auto held = c->weak_from_this().lock()) alive.push_back(std::move(held));
      too_late = drain_deadline && now >= *drain_deadline;
      if (too_late && cut_off_count == 0) cut_off_count = alive.size();
    }
    for (auto& c : alive) too_late ? c->cut_off() : c->check_deadline(now, is_draining);
  }

  /// A sweep that runs just now must not set the timer again: the io_context would never be out of
  /// work.
  void end_sweeps() {
    std::lock_guard lock{guard};
    over = true;
    sweep_timer.cancel();
  }

  void drain(std::function<void(std::size_t)> when_finished) {
    boost::system::error_code error;
    // What the kernel has accepted for us already is not turned away.
    acceptor.cancel(error);
    acceptor.non_blocking(true, error);
    for (;;) {
      tcp::socket socket{io};
      acceptor.accept(socket, error);
      if (error) break;
      admit(std::move(socket));
    }
    acceptor.close(error);
    {
      std::lock_guard lock{guard};
      drain_deadline = std::chrono::steady_clock::now() + app.config.http.drain_timeout;
      if (!connections.empty()) finished = std::exchange(when_finished, nullptr);
    }
    if (when_finished) return when_finished(0);
    check_deadlines(); // who has been idle for long goes at once
  }

  net::io_context& io;
  services& app;
  tcp::acceptor acceptor; // with a strand: a drain must not meet an accept that is being handled
  net::steady_timer sweep_timer;
  net::steady_timer pause_timer; // on the same
  environment_of_connections shared;

  std::mutex guard{};
  std::unordered_set<connection*> connections{};
  std::map<net::ip::address, std::int64_t> per_address{};
  std::function<void(std::size_t)> finished{};
  std::optional<std::chrono::steady_clock::time_point> drain_deadline{};
  std::size_t cut_off_count = 0;
  bool over = false;
  prometheus::Gauge& open_connections =
      metrics::gauge("binnacle_http_connections", "Open client connections");
  prometheus::Counter& refused_connections =
      metrics::counter("binnacle_http_connections_refused_total", "Connections over the cap");
};

server::server(net::io_context& io, services& app)
    : inside_{std::make_shared<implementation>(io, app)} {}

server::~server() {
  boost::system::error_code ignored;
  inside_->acceptor.close(ignored);
  inside_->end_sweeps();
  inside_->pause_timer.cancel();
}

result<done> server::listen() {
  auto where = parse_listen(inside_->app.config.http.listen);
  if (!where) return where.error();
  auto& a = inside_->acceptor;
  boost::system::error_code error;
  a.open(where->protocol(), error);
  if (!error) a.set_option(tcp::acceptor::reuse_address{true}, error);
  if (!error) a.bind(*where, error);
  if (!error) a.listen(net::socket_base::max_listen_connections, error);
  if (error)
    return fault{errc::unavailable,
                 "cannot listen on " + inside_->app.config.http.listen + ": " + error.message()};
  inside_->accept();
  inside_->sweep();
  return done{};
}

std::uint16_t server::port() const { return inside_->acceptor.local_endpoint().port(); }

void server::drain(std::function<void(std::size_t)> finished) {
  net::post(inside_->acceptor.get_executor(),
            [inside = inside_, finished = std::move(finished)]() mutable {
              inside->drain(std::move(finished));
            });
}

} // namespace binnacle::http
