/// One client connection: reads a request, has it answered, writes the answer, and so on. Requests
/// of one connection are served in order, one at a time; what a client sends ahead waits in its
/// buffer.
///
/// There is always at most one thing going on in a connection, so it needs no strand: whoever
/// finishes that thing (a read, a write, the answer of an actor) starts the next. The deadline
/// sweep of the server is the exception; `guard_` keeps it apart.
#pragma once

#include "actors/event_stream.hpp"
#include "actors/exchange.hpp"
#include "actors/services.hpp"
#include "http/client_address.hpp"
#include "http/journal.hpp"
#include "http/outbound.hpp"
#include "http/request_parser.hpp"
#include "http/router.hpp"
#include "http/routes/table.hpp"

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::http {

class connection;

/// What all connections share.
struct environment_of_connections {
  services& app;
  router routes;
  trusted_proxies proxies;
  journal log;
  /// Called by a connection when it is gone.
  std::function<void(connection&)> forget;
  /// Bytes of large bodies that are held or on their way.
  std::atomic<std::uint64_t> uploading{0};
};

class connection : public std::enable_shared_from_this<connection> {
public:
  using socket_type = boost::asio::ip::tcp::socket;

  connection(socket_type socket, boost::asio::ip::address peer, environment_of_connections& shared);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void start();
  const boost::asio::ip::address& peer() const { return peer_; }

  /// Called by the sweep, from any thread: acts when a deadline has passed. With `draining`, an
  /// idle connection ends too.
  void check_deadline(std::chrono::steady_clock::time_point now, bool draining);
  /// Ends it now, whatever it does.
  void cut_off();

private:
  class own_exchange;
  friend class own_exchange;
  enum class phase : std::uint8_t { idle, head, body, handling, writing, lingering, streaming };
  enum class progress : std::uint8_t { need_more, complete, failed };
  enum class turn : std::uint8_t { dispatching, waiting, answered };

  void run();
  progress parse();
  void on_head();
  void read_more();
  void on_read(boost::system::error_code error, std::size_t bytes);

  void prepare();
  void serve();
  void dispatch();
  void resubmit(own_exchange& x);
  void answer_here(response r);
  void refuse(const fault& f);
  void on_answer();
  void continue_after_answer();

  bool send();
  bool send_some();
  void wait_for_store(std::shared_ptr<integrations::http_stream> from);
  void go_on_sending();
  void on_sent();
  void linger();
  bool discard();
  void begin_stream(std::shared_ptr<event_stream> live);
  void pump();
  void wait_for_end();
  void check_stream(std::chrono::steady_clock::time_point now, bool draining);
  void enter(phase p, std::chrono::milliseconds patience);
  void cut_off_now();
  bool admit_upload(std::uint64_t limit);
  void end_upload();
  bool has_own_link() const;

  socket_type socket_;
  boost::asio::ip::address peer_;
  environment_of_connections& shared_;
  const http_settings& limits_;

  std::vector<char> in_{};
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::optional<request_parser> parser_{};
  bool head_seen_ = false;

  own_exchange* x_ = nullptr; // owned by reference count; see exchange
  std::shared_ptr<const session_link> link_{};
  std::string allow_{};
  std::atomic<turn> turn_{turn::dispatching};

  outbound out_{};
  std::atomic<bool> keep_alive_{true}; // the sweep may clear it
  std::atomic<bool> overdue_{false};   // the sweep has answered
  bool body_unread_ = false;
  std::uint64_t upload_ = 0; // what it counts in shared_.uploading
  bool to_http_1_0_ = false;
  std::shared_ptr<event_stream> stream_{}; // while streaming
  std::uint64_t lingered_ = 0;             // bytes dropped
  std::chrono::steady_clock::time_point linger_until_{};

  std::mutex guard_{}; // phase, deadline, x_ and arriving_ against the sweep
  phase phase_ = phase::idle;
  std::chrono::steady_clock::time_point entered_{};
  std::chrono::steady_clock::time_point deadline_{};
  std::chrono::steady_clock::time_point body_began_{};
  std::atomic<std::uint64_t> body_bytes_{0};
  bool timed_out_ = false;
  std::shared_ptr<integrations::http_stream> arriving_{}; // what the answer waits for
};

} // namespace binnacle::http
