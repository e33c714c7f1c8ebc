#include "local_server.hpp"

#include "integrations/pem.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace binnacle::integrations::testing {
namespace {

SSL_CTX* make_context(const server_tls& tls) {
  auto* out = SSL_CTX_new(TLS_server_method());
  auto certificate = read_certificate(tls.certificate);
  auto key = read_private_key(tls.key);
  if (SSL_CTX_use_certificate(out, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(out, key.get()) != 1)
    throw std::runtime_error{"bad server certificate"};
  if (!tls.client_authority.empty()) {
    auto authority = read_certificate(tls.client_authority);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(out), authority.get());
    SSL_CTX_set_verify(out, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return out;
}

} // namespace

server_connection::~server_connection() {
  if (tls_ != nullptr) {
    if (!abrupt_) SSL_shutdown(tls_);
    SSL_free(tls_);
  }
  ::close(socket_);
}

long server_connection::read(char* data, std::size_t size) {
  if (tls_ != nullptr) return SSL_read(tls_, data, static_cast<int>(size));
  return ::recv(socket_, data, size, 0);
}

std::string server_connection::request() {
  char chunk[4096];
  for (;;) {
    auto end = buffer_.find("\r\n\r\n");
    if (end != std::string::npos) {
      std::size_t length = 0;
      auto at = buffer_.find("Content-Length: ");
      if (at < end) length = std::stoul(buffer_.substr(at + 16));
      if (buffer_.size() >= end + 4 + length) {
        auto out = buffer_.substr(0, end + 4 + length);
        buffer_.erase(0, out.size());
        return out;
      }
    }
    auto n = read(chunk, sizeof chunk);
    if (n <= 0) return {};
    buffer_.append(chunk, static_cast<std::size_t>(n));
  }
}

void server_connection::send(const std::string& bytes) {
  if (tls_ != nullptr) {
    SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()));
    return;
  }
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    auto n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

void server_connection::answer(const std::string& status, const std::string& body,
                               const std::string& headers) {
  send("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
       headers + "\r\n" + body);
}

void server_connection::reset() {
  linger hard{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  abrupt_ = true;
}

void server_connection::wait_for_the_end(const std::atomic<bool>& stopping) {
  while (!stopping) {
    pollfd p{socket_, POLLIN, 0};
    if (::poll(&p, 1, 20) > 0) {
      char c;
      if (::recv(socket_, &c, 1, MSG_DONTWAIT) <= 0) return;
    }
  }
}

std::string server_connection::server_name() const {
  const char* name = tls_ ? SSL_get_servername(tls_, TLSEXT_NAMETYPE_host_name) : nullptr;
  return name != nullptr ? name : "";
}

std::string server_connection::client_name() const {
  x509_ptr certificate{tls_ ? SSL_get1_peer_certificate(tls_) : nullptr};
  if (!certificate) return {};
  char name[128] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  return name;
}

local_server::local_server(behaviour what, server_tls tls) : what_{std::move(what)} {
  std::signal(SIGPIPE, SIG_DFL); // the client under test must not need anything else
  if (!tls.certificate.empty()) tls_ = make_context(tls);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 16) != 0)
    throw std::runtime_error{"cannot listen"};
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread{[this] {
    while (!stopping_) {
      pollfd p{listener_, POLLIN, 0};
      if (::poll(&p, 1, 20) <= 0) continue;
      auto socket = ::accept(listener_, nullptr, nullptr);
      if (socket < 0) continue;
      ++connections_;
      workers_.emplace_back([this, socket] { serve(socket); });
    }
  }};
}

local_server::~local_server() {
  stopping_ = true;
  acceptor_.join();
  {
    std::lock_guard guard{lock_};
    for (auto socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  for (auto& worker : workers_) worker.join();
  ::close(listener_);
  SSL_CTX_free(tls_);
}

void local_server::serve(int socket) {
  sigset_t pipe; // SSL_write has no MSG_NOSIGNAL
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  struct registration {
    local_server& server;
    int socket;
    registration(local_server& s, int fd) : server{s}, socket{fd} {
      std::lock_guard guard{server.lock_};
      server.sockets_.insert(socket);
    }
    // Before the socket closes, lest its number be another's when the server stops.
    void end() {
      std::lock_guard guard{server.lock_};
      server.sockets_.erase(socket);
    }
  } registered{*this, socket};
  SSL* tls = nullptr;
  if (tls_ != nullptr) {
    tls = SSL_new(tls_);
    SSL_set_fd(tls, socket);
    if (SSL_accept(tls) != 1) {
      ERR_clear_error();
      SSL_free(tls);
      registered.end();
      ::close(socket);
      return;
    }
  }
  server_connection connection{socket, tls};
  what_(connection);
  registered.end();
}

std::string local_server::url(const std::string& path) const {
  return (tls_ != nullptr ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_) +
         path;
}

} // namespace binnacle::integrations::testing
