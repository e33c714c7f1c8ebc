/// The listener and its connections.
#pragma once

#include "actors/services.hpp"
#include "config/base/errors.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>

namespace binnacle::http {

class server {
public:
  /// `app` must outlive the server.
  server(boost::asio::io_context& io, services& app);
  ~server();

  /// Binds and listens; unavailable with the reason when that fails.
  result<done> listen();
  /// The port it listens on (useful after listening on port 0).
  std::uint16_t port() const;

  /// Graceful stop: takes what waits in the accept queue, accepts no more, answers what is in
  /// flight with Connection: close, closes idle connections after a second of silence. Returns at
  /// once; `finished` is called when the last connection is gone or `drain_timeout` has passed
  /// (the rest is closed then).
  void drain(std::function<void(std::size_t cut_off)> finished);

private:
  struct implementation;
  std::shared_ptr<implementation> inside_;
};

} // namespace binnacle::http
