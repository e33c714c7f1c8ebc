/// A server on 127.0.0.1 that does exactly what a test tells it, byte by byte, good or bad.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace binnacle::integrations::testing {

class server_connection {
public:
  server_connection(int socket, SSL* tls) : socket_{socket}, tls_{tls} {}
  server_connection(const server_connection&) = delete;
  server_connection& operator=(const server_connection&) = delete;
  ~server_connection();

  /// Head and body of the next request; empty when the client is gone.
  std::string request();
  void send(const std::string& bytes);
  /// "HTTP/1.1 200 OK" and so on with a Content-Length.
  void answer(const std::string& status, const std::string& body, const std::string& headers = {});
  void reset(); // ends with RST instead of FIN, without a closing alert
  /// Returns when the client has closed, or the server stops.
  void wait_for_the_end(const std::atomic<bool>& stopping);
  std::string server_name() const; // from the TLS hello
  std::string client_name() const; // common name of the client's certificate

private:
  long read(char* data, std::size_t size);
  int socket_;
  SSL* tls_;
  bool abrupt_ = false;
  std::string buffer_{};
};

struct server_tls {
  std::string certificate{};
  std::string key{};
  std::string client_authority{}; // asks for a client certificate when set
};

class local_server {
public:
  using behaviour = std::function<void(server_connection&)>;
  explicit local_server(behaviour what, server_tls tls = {});
  local_server(const local_server&) = delete;
  local_server& operator=(const local_server&) = delete;
  ~local_server();

  int port() const { return port_; }
  std::string url(const std::string& path = "/") const;
  int connections() const { return connections_; }
  const std::atomic<bool>& stopping() const { return stopping_; }

private:
  void serve(int socket);
  behaviour what_;
  SSL_CTX* tls_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stopping_{false};
  std::mutex lock_{};
  std::set<int> sockets_{}; // of connections that are served
  std::vector<std::thread> workers_{};
  std::thread acceptor_{};
};

} // namespace binnacle::integrations::testing
