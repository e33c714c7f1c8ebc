// The plain Beast peer: what a careful programmer gets from Boost.Beast for one fixed answer, and
// nothing more.
//
// Two threads run one io_context; each connection has a strand, a deadline and limits on what it
// reads. The answer is prepared once per connection and only its Date changes, so the cost measured
// is Beast's own parsing, serialising and socket work. Everything a service adds (tokens, limits,
// sessions, logs) is left out on purpose.
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
using tcp = net::ip::tcp;
using namespace std::chrono_literals;

namespace {

// Naming the executor's type spares every handler the type erasure of any_io_executor.
using strand = net::strand<net::io_context::executor_type>;
using socket_type = net::basic_stream_socket<tcp, strand>;
using timer_type = net::basic_waitable_timer<std::chrono::steady_clock,
                                             net::wait_traits<std::chrono::steady_clock>, strand>;

constexpr auto idle_limit = 60s;
constexpr std::uint32_t header_limit = 16 * 1024;
constexpr std::uint64_t body_limit = 64 * 1024;

/// What is answered: read once at start, the same for every connection.
struct answer {
  std::string target = "/api/usage";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The IMF-fixdate of this second, formatted once per second and thread.
std::string_view http_date() {
  thread_local std::time_t formatted = 0;
  thread_local std::string text;
  auto now = std::time(nullptr);
  if (now != formatted) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    char buffer[40];
    auto size = std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    text.assign(buffer, size);
    formatted = now;
  }
  return text;
}

/// One connection: read a request, write the answer, again. Lives as long as an operation is
/// pending.
class connection : public std::enable_shared_from_this<connection> {
public:
  connection(socket_type&& socket, const answer& what)
      : socket_{std::move(socket)}, deadline_timer_{socket_.get_executor()}, what_{what} {
    buffer_.max_size(header_limit + body_limit);
    found_ = prepare(http::status::ok, what.body);
    for (const auto& [name, value] : what.headers) found_.set(name, value);
    missing_ = prepare(http::status::not_found, R"({"error":"Not found"})");
  }

  void start() {
    net::dispatch(socket_.get_executor(), [self = shared_from_this()] {
      beast::error_code ignored;
      self->socket_.set_option(tcp::no_delay{true}, ignored);
      self->extend_deadline();
      self->watch_deadline();
      self->read();
    });
  }

private:
  using response = http::response<http::string_body>;

  static response prepare(http::status status, std::string body) {
    response result{status, 11};
    result.set(http::field::content_type, "application/json");
    result.body() = std::move(body);
    result.prepare_payload();
    return result;
  }

  void extend_deadline() { deadline_ = std::chrono::steady_clock::now() + idle_limit; }

  // One timer wait per idle period instead of one per request: it looks at the deadline when it
  // fires and sleeps on.
  void watch_deadline() {
    deadline_timer_.expires_at(deadline_);
    deadline_timer_.async_wait([weak = weak_from_this()](beast::error_code error) {
      auto self = weak.lock();
      if (!self || error) return;
      if (std::chrono::steady_clock::now() >= self->deadline_)
        self->close();
      else
        self->watch_deadline();
    });
  }

  void read() {
    // A parser serves one message only; a used one would take the next request for an empty
    // message.
    parser_.emplace();
    parser_->header_limit(header_limit);
    parser_->body_limit(body_limit);
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

  void on_read(beast::error_code error) {
    if (error) return close();
    extend_deadline();
    const auto& request = parser_->get();
    auto known = request.method() == http::verb::get && request.target() == what_.target;
    auto& reply = known ? found_ : missing_;
    reply.set(http::field::date, http_date());
    reply.keep_alive(request.keep_alive());
    serializer_.emplace(reply);
    http::async_write(socket_, *serializer_,
                      [self = shared_from_this(), last = reply.need_eof() || !reply.keep_alive()](
                          beast::error_code write_error, std::size_t) {
                        if (write_error || last)
                          self->close();
                        else
                          self->read();
                      });
  }

  void close() {
    beast::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
    deadline_timer_.cancel();
  }

  socket_type socket_;
  timer_type deadline_timer_;
  std::chrono::steady_clock::time_point deadline_;
  const answer& what_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  response found_;
  response missing_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

class listener : public std::enable_shared_from_this<listener> {
public:
  listener(net::io_context& io, const tcp::endpoint& endpoint, const answer& what)
      : io_{io}, acceptor_{net::make_strand(io)}, what_{what} {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(net::socket_base::reuse_address{true});
    acceptor_.bind(endpoint);
    acceptor_.listen(4096);
  }

  void accept() {
    acceptor_.async_accept(
        net::make_strand(io_.get_executor()),
        [self = shared_from_this()](beast::error_code error, socket_type socket) {
          if (error == net::error::operation_aborted) return;
          if (!error) std::make_shared<connection>(std::move(socket), self->what_)->start();
          self->accept();
        });
  }

private:
  net::io_context& io_;
  tcp::acceptor acceptor_;
  const answer& what_;
};

std::string read_file(const char* path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw std::runtime_error{std::string{"cannot read "} + path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Lines "Name: value", as they are to appear in the answer.
std::vector<std::pair<std::string, std::string>> read_headers(const char* path) {
  std::ifstream file{path};
  std::vector<std::pair<std::string, std::string>> result;
  for (std::string line; std::getline(file, line);)
    if (auto colon = line.find(": "); colon != std::string::npos)
      result.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  return result;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: binnacle_bench_beast PORT BODY_FILE HEADERS_FILE\n";
    return EXIT_FAILURE;
  }
  try {
    answer what;
    what.body = read_file(argv[2]);
    what.headers = read_headers(argv[3]);

    constexpr int threads = 2;
    net::io_context io{threads};
    net::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&io](beast::error_code, int) { io.stop(); });

    auto port = static_cast<unsigned short>(std::stoi(argv[1]));
    auto address = net::ip::address_v4::loopback();
    std::make_shared<listener>(io, tcp::endpoint{address, port}, what)->accept();

    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back([&io] { io.run(); });
    io.run();
  } catch (const std::exception& failure) {
    std::cerr << "binnacle_bench_beast: " << failure.what() << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
