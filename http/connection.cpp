#include "http/connection.hpp"

#include "actors/mailboxes.hpp"
#include "actors/runtime/asio_scheduler.hpp"
#include "config/base/log.hpp"
#include "config/base/secret.hpp"
#include "http/response_writer.hpp"
#include "http/surfaces.hpp"
#include "integrations/http_stream.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <caf/send.hpp>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace binnacle::http {
namespace {

namespace net = boost::asio;
using steady = std::chrono::steady_clock;

/// Of all connections together.
constexpr std::uint64_t most_uploading = 256 * 1'048'576;
constexpr std::size_t small_buffer = 4'096;
constexpr int most_resubmissions = 3;
/// After an early error the client may still be sending; its bytes are dropped for a while, since
/// closing at once would reset the connection and may lose our answer (RFC 9112 §9.6). Most clients
/// read it only when they have sent all.
constexpr milliseconds linger_time{30'000};
constexpr milliseconds linger_pause{2'000}; // between two arrivals
constexpr std::uint64_t linger_bytes = 268'435'456;
constexpr std::size_t linger_chunk = 1'048'576;
constexpr milliseconds body_grace{5'000};
constexpr std::string_view continue_100 = "HTTP/1.1 100 Continue\r\n\r\n";

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == ':';
  });
}

/// version 00: "00-<32 hex>-<16 hex>-<2 hex>", neither id all zero (W3C Trace Context §3.2).
bool is_traceparent(std::string_view t) {
  if (t.size() != 55 || !t.starts_with("00-") || t[35] != '-' || t[52] != '-') return false;
  auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  auto trace = t.substr(3, 32), span = t.substr(36, 16), flags = t.substr(53, 2);
  return std::ranges::all_of(trace, is_hex) && std::ranges::all_of(span, is_hex) &&
         std::ranges::all_of(flags, is_hex) && trace.find_first_not_of('0') != trace.npos &&
         span.find_first_not_of('0') != span.npos;
}

/// The same trace with a span of our own.
std::string child_of(std::string_view traceparent, std::string_view seed) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out{traceparent};
  auto bits = std::hash<std::string_view>{}(seed) | 1;
  for (std::size_t i = 0; i < 16; ++i, bits >>= 4) out[36 + i] = hex[bits & 15];
  return out;
}

} // namespace

/// The exchange of a connection. While it is lent out it keeps the connection alive.
class connection::own_exchange final : public exchange {
public:
  std::shared_ptr<connection> owner{};
  std::string head{}; // what the views of `req` point into
  int resubmissions = 0;

  using exchange::lent_out;
  using exchange::release;
  using exchange::reset;

private:
  void on_answer() override { owner->on_answer(); }
  void on_dropped() override {
    // Not begun: its session ended before it looked at it. Begun: it was lost on the way.
    if (!begun() && resubmissions++ < most_resubmissions) return owner->resubmit(*this);
    auto lost = internal_fault("the request was dropped without an answer");
    if (!begun()) lost = {errc::unavailable, {}, {}, "no session took the request"};
    auto& face = matched ? *matched->face : operations;
    auto out = face.render(lost, *this);
    out.log_detail = to_string(lost);
    answer(std::move(out));
  }
};

connection::connection(socket_type socket, net::ip::address peer,
                       environment_of_connections& shared)
    : socket_{std::move(socket)}, peer_{std::move(peer)}, shared_{shared},
      limits_{shared.app.config.http}, in_(small_buffer), x_{new own_exchange} {
  boost::system::error_code ignored;
  socket_.set_option(net::ip::tcp::no_delay{true}, ignored);
  socket_.non_blocking(true, ignored);
}

connection::~connection() {
  end_upload();
  shared_.forget(*this);
  x_->release();
}

void connection::start() {
  enter(phase::idle, limits_.header_timeout);
  read_more();
}

void connection::enter(phase p, milliseconds patience) {
  std::lock_guard lock{guard_};
  phase_ = p;
  entered_ = steady::now();
  deadline_ = entered_ + patience;
}

// -- reading --------------------------------------------------------------------------------------

void connection::run() {
  for (;;) {
    switch (parse()) {
    case progress::need_more:
      return read_more();
    case progress::failed:
      break; // answered, with an error
    case progress::complete:
      serve();
      break;
    }
    // Answered on the spot, or by an actor while we were still here?
    auto expected = turn::dispatching;
    if (turn_.compare_exchange_strong(expected, turn::waiting, std::memory_order_acq_rel)) return;
    if (!send()) return;
    on_sent();
    if (!keep_alive_) return;
  }
}

connection::progress connection::parse() {
  if (!parser_) {
    // One empty line before a request is skipped (RFC 9112 §2.2).
    if (in_end_ - in_begin_ >= 2 && std::memcmp(in_.data() + in_begin_, "\r\n", 2) == 0)
      in_begin_ += 2;
    auto left = in_end_ - in_begin_;
    if (left == 0 || (left == 1 && in_[in_begin_] == '\r')) return progress::need_more;
    parser_.emplace(limits_, std::move(x_->head));
    head_seen_ = false;
    turn_.store(turn::dispatching, std::memory_order_relaxed);
    enter(phase::head, limits_.header_timeout);
  }
  while (!parser_->is_done()) {
    boost::system::error_code error;
    auto used = parser_->put(net::buffer(in_.data() + in_begin_, in_end_ - in_begin_), error);
    in_begin_ += used;
    if (error == boost::beast::http::error::need_more) error = {};
    if (error) {
      auto& why = parser_->refused();
      auto status = why.status;
      if (status == 0) {
        status = error == boost::beast::http::error::header_limit
                     ? (parser_->knows_target() ? 431 : 414)
                 : error == boost::beast::http::error::bad_version ? 505
                                                                   : 400;
      }
      body_unread_ = true;
      refuse({errc_of_status(status), std::string{why.text}, {}, error.message()});
      return progress::failed;
    }
    if (!head_seen_ && parser_->is_header_done()) {
      head_seen_ = true;
      on_head();
      if (x_->answered()) return progress::failed;
    }
    body_bytes_.store(parser_->body_bytes(), std::memory_order_relaxed);
    if (used == 0 && !parser_->is_done()) return progress::need_more;
  }
  return progress::complete;
}

/// The head is complete: what it asks for decides how large a body may follow.
void connection::on_head() {
  prepare();
  auto found = shared_.routes.find(x_->req.verb, x_->req.path, x_->req.at(field::host));
  x_->matched = found.to;
  x_->method_known = found.what != match::outcome::wrong_method;
  x_->target_clean = found.what != match::outcome::bad_parameter && x_->req.has_clean_query();
  x_->req.params = std::move(found.params);
  allow_ = std::move(found.allow);
  auto limit = static_cast<std::uint64_t>(limits_.max_body_bytes);
  if (found.to && found.to->max_body != 0) limit = found.to->max_body;
  parser_->limit_body(limit);
  if (parser_->content_length().value_or(0) > limit) {
    body_unread_ = true;
    return refuse({errc::payload_too_large});
  }
  if (!parser_->has_body()) return;
  if (!admit_upload(limit)) {
    body_unread_ = true;
    return refuse({errc::overloaded, "Too many uploads at once"});
  }
  body_bytes_.store(0, std::memory_order_relaxed);
  body_began_ = steady::now();
  enter(phase::body, limits_.body_timeout);
  if (parser_->expects_continue()) {
    boost::system::error_code ignored; // 25 bytes on a fresh connection: they fit, or it is gone
    socket_.write_some(net::buffer(continue_100), ignored);
  }
}

/// A body is held whole before anybody asks whose it is: those larger than usual share a budget, so
/// that strangers cannot fill the memory with them.
bool connection::admit_upload(std::uint64_t limit) {
  auto size = parser_->content_length().value_or(limit);
  if (size <= static_cast<std::uint64_t>(limits_.max_body_bytes)) return true;
  upload_ = size;
  if (shared_.uploading.fetch_add(size) + size <= most_uploading) return true;
  end_upload();
  return false;
}

void connection::end_upload() { shared_.uploading.fetch_sub(std::exchange(upload_, 0)); }

void connection::read_more() {
  if (in_begin_ == in_end_) {
    in_begin_ = in_end_ = 0;
  } else if (in_end_ == in_.size()) {
    if (in_begin_ > 0) {
      std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
      in_end_ -= in_begin_;
      in_begin_ = 0;
    } else {
      // The parser refuses a head over its limit, and takes a body as it comes: this ends.
      in_.resize(in_.size() * 2);
    }
  }
  socket_.async_read_some(
      net::buffer(in_.data() + in_end_, in_.size() - in_end_),
      [self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
        self->on_read(error, bytes);
      });
}

void connection::on_read(boost::system::error_code error, std::size_t bytes) {
  if (error) {
    // A deadline shut our reading side: say so if a request had begun. Otherwise the client left.
    if (timed_out_ && parser_) {
      body_unread_ = true;
      refuse({errc::request_timeout});
      keep_alive_ = false;
      if (send()) on_sent();
    }
    return;
  }
  in_end_ += bytes;
  run();
}

// -- serving --------------------------------------------------------------------------------------

void connection::prepare() {
  auto& x = *x_;
  auto& app = shared_.app;
  parser_->describe(x.req, x.head);
  x.received = app.time->now();
  auto given = x.req.at(field::request_id);
  x.id = is_request_id(given) ? std::string{given} : make_ulid(x.received);
  auto trace = x.req.at(field::traceparent);
  x.traceparent = is_traceparent(trace) ? child_of(trace, x.id) : std::string{};
  auto trusted = shared_.proxies.contains(peer_);
  x.req.client_address = limit_key(shared_.proxies.client(peer_, x.req.at(field::forwarded_for)));
  x.req.secure = trusted && x.req.at(field::forwarded_proto) == "https";
  if (auto host = x.req.at(field::forwarded_host); trusted && !host.empty())
    x.req.fields[static_cast<std::size_t>(field::host)] = host;
  to_http_1_0_ = parser_->is_http_1_0();
  keep_alive_ = parser_->is_header_done() && parser_->keep_alive() &&
                !app.draining.load(std::memory_order_relaxed);
}

void connection::serve() {
  auto& x = *x_;
  x.req.body = parser_->take_body();
  enter(phase::handling, limits_.request_timeout);
  if (!x.matched) {
    for (auto& direct : direct_routes()) {
      if (direct.path != x.req.path) continue;
      if (x.req.verb == method::get || x.req.verb == method::head)
        return answer_here(direct.answer(x.req, shared_.app));
      allow_ = "GET, HEAD, OPTIONS";
      if (x.req.verb != method::options) return refuse({errc::method_not_allowed});
    }
  }
  // Who may come from elsewhere is the surface's business.
  if (is_preflight(x.req) && x.matched && x.matched->face->admits_origin) return dispatch();
  if (x.req.verb == method::options && (x.matched || !allow_.empty() || x.req.path == "*")) {
    if (allow_.empty()) allow_ = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
    response out;
    out.status = 204;
    out.cache = caching::no_store;
    return answer_here(std::move(out));
  }
  if (!x.matched) return refuse({errc::not_found});
  dispatch();
}

bool connection::has_own_link() const {
  if (!link_ || link_->face != x_->matched->face) return false;
  if (ignores_credentials(x_->matched->who))
    return !link_->who && link_->address == x_->req.client_address;
  return constant_time_equal(link_->authorization, x_->req.at(field::authorization)) &&
         constant_time_equal(link_->cookie, session_cookie_of(x_->req, *link_->face)) &&
         link_->address == x_->req.client_address;
}

void connection::dispatch() {
  auto& x = *x_;
  x.owner = shared_from_this();
  x.resubmissions = 0;
  if (!has_own_link()) {
    mailboxes::front_end().Increment();
    caf::anon_send(shared_.app.front_end, incoming{ticket{x}});
    return;
  }
  x.link = link_;
  x.presented = link_->who;
  mailboxes::sessions().Increment();
  runtime::handoff run_the_session_here;
  caf::anon_send(link_->session, incoming{ticket{x}});
}

/// Its session ended before it looked at the request.
void connection::resubmit(own_exchange& x) {
  mailboxes::sessions().Decrement();
  mailboxes::front_end().Increment();
  caf::anon_send(shared_.app.front_end, incoming{ticket{x}});
}

void connection::answer_here(response r) {
  x_->owner = shared_from_this();
  x_->answer(std::move(r));
}

void connection::refuse(const fault& f) {
  auto& x = *x_;
  if (x.received == time_point{}) prepare();
  auto found = shared_.routes.find(x.req.verb, x.req.path, x.req.at(field::host));
  if (body_unread_) keep_alive_ = false;
  auto out = found.face->render(f, x);
  out.log_detail = f.detail;
  answer_here(std::move(out));
}

/// On the answering thread, which may be ours, in the middle of run(), or another.
void connection::on_answer() {
  if (turn_.exchange(turn::answered, std::memory_order_acq_rel) != turn::waiting) return;
  auto self = shared_from_this(); // the exchange lets go of us once the answer is out
  // Writing from here saves a trip through the queue. What the client has sent ahead is served
  // later, though: an actor is running here, and the next request may be for it.
  if (in_begin_ == in_end_) return continue_after_answer();
  net::post(socket_.get_executor(), [self] { self->continue_after_answer(); });
}

void connection::continue_after_answer() {
  if (!send()) return;
  on_sent();
  if (keep_alive_) run();
}

// -- writing --------------------------------------------------------------------------------------

/// True when everything was sent at once; otherwise the write goes on and continues by itself.
bool connection::send() {
  auto& x = *x_;
  if (shared_.app.draining.load(std::memory_order_relaxed) || x.result_of().stream)
    keep_alive_ = false;
  enter(phase::writing, limits_.write_timeout);
  out_.head.clear();
  auto status = x.result_of().status;
  auto show_allow = status == 405 || (x.req.verb == method::options && status == 204);
  auto [body, from_store] = write_response(x,
                                           {.keep_alive = keep_alive_,
                                            .to_http_1_0 = to_http_1_0_,
                                            .allow = show_allow ? std::string_view{allow_} : ""},
                                           out_.head, out_.scratch);
  if (from_store)
    out_.begin(std::move(x.result_of().part));
  else
    out_.begin(body);
  return send_some();
}

bool connection::send_some() {
  switch (out_.send(socket_.native_handle())) {
  case outbound::next::done:
    return true;
  case outbound::next::lost:
    if (!out_.why_lost().empty())
      log::warn("answer cut off", {{"request", x_->id}, {"why", out_.why_lost()}});
    keep_alive_ = false;
    return true;
  case outbound::next::when_writable:
    if (out_.has_moved()) enter(phase::writing, limits_.write_timeout);
    socket_.async_wait(socket_type::wait_write,
                       [self = shared_from_this()](boost::system::error_code failed) {
                         if (!failed) return self->go_on_sending();
                         self->keep_alive_ = false;
                         self->on_sent();
                       });
    return false;
  case outbound::next::when_ready:
    wait_for_store(out_.source());
    return false;
  }
  return true;
}

void connection::wait_for_store(std::shared_ptr<integrations::http_stream> from) {
  {
    std::lock_guard lock{guard_};
    arriving_ = from;
  }
  from->when_ready([self = shared_from_this()] {
    net::post(self->socket_.get_executor(), [self] {
      {
        std::lock_guard lock{self->guard_};
        self->arriving_.reset();
      }
      self->enter(phase::writing, self->limits_.write_timeout); // it was not the client's time
      self->go_on_sending();
    });
  });
}

void connection::go_on_sending() {
  if (!send_some()) return;
  on_sent();
  if (keep_alive_) run();
}

/// The answer is out: record it and make ready for the next request, or say goodbye.
void connection::on_sent() {
  auto& x = *x_;
  // Into a request whose deadline has passed, actors may still be writing what they find out.
  auto overdue = overdue_.load(std::memory_order_relaxed);
  shared_.log.record(x, out_.sent(), overdue ? std::string_view{} : x.answered_for.value);
  // What led to a refusal is examined anew next time: the same token may be another user's by then.
  if (overdue || x.credential_rejected)
    link_.reset();
  else if (x.link && x.link->reusable)
    link_ = x.link;
  auto keep_me = x.owner;
  auto live = x.req.verb == method::get ? std::move(x.result_of().stream) : nullptr;
  parser_.reset();
  end_upload();
  if (x.lent_out()) {
    // An actor still holds a ticket: that exchange is its, with its owner; we take a new one.
    auto* fresh = new own_exchange;
    {
      std::lock_guard lock{guard_};
      std::swap(x_, fresh);
    }
    fresh->release();
  } else {
    x.owner.reset();
    x.reset();
    x.received = {};
  }
  if (out_.scratch.size() > small_buffer) out_.scratch = {};
  if (x_->head.size() > small_buffer) x_->head = {};
  if (in_.size() > 4 * small_buffer && in_begin_ == in_end_) {
    in_ = std::vector<char>(small_buffer);
    in_begin_ = in_end_ = 0;
  }
  if (keep_alive_) return enter(phase::idle, limits_.idle_timeout);
  if (live) return begin_stream(std::move(live));
  boost::system::error_code ignored;
  socket_.shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  // Closed with something unread, the kernel resets the connection and our answer may be lost.
  auto unread = body_unread_ || in_begin_ != in_end_ || socket_.available(ignored) > 0;
  if (!unread) return;
  lingered_ = 0;
  linger_until_ = steady::now() + linger_time;
  linger();
}

void connection::linger() {
  auto left = std::chrono::ceil<milliseconds>(linger_until_ - steady::now());
  enter(phase::lingering, std::min(linger_pause, left));
  socket_.async_wait(socket_type::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (!error && self->discard()) self->linger();
                     });
}

/// Drops what has come. False when the client has closed too, or has had its chance.
bool connection::discard() {
  // With MSG_TRUNC the kernel copies nothing (tcp(7)).
  auto some = ::recv(socket_.native_handle(), nullptr, linger_chunk, MSG_TRUNC | MSG_DONTWAIT);
  if (some < 0) return errno == EAGAIN || errno == EINTR;
  lingered_ += static_cast<std::uint64_t>(some);
  return some > 0 && lingered_ < linger_bytes;
}

// -- event streams --------------------------------------------------------------------------------

/// From now on the connection only writes what its session pushes. It lives as long as it waits for
/// the end of its socket.
void connection::begin_stream(std::shared_ptr<event_stream> live) {
  in_ = {};
  in_begin_ = in_end_ = 0;
  stream_ = std::move(live);
  enter(phase::streaming, {});
  wait_for_end();
  stream_->attach([weak = weak_from_this()] {
    if (auto self = weak.lock()) net::post(self->socket_.get_executor(), [self] { self->pump(); });
  });
}

void connection::pump() {
  switch (stream_->take(out_.head)) {
  case event_stream::next::nothing:
    return;
  case event_stream::next::bytes:
    net::async_write(socket_, net::buffer(out_.head),
                     [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                       if (error) self->stream_->end();
                       self->stream_->written();
                       self->pump();
                     });
    return;
  case event_stream::next::over:
    ::shutdown(socket_.native_handle(), SHUT_RDWR); // which ends the wait for the end
    return;
  }
}

void connection::wait_for_end() {
  socket_.async_wait(socket_type::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       std::array<char, 512> unwanted;
                       std::size_t got = 0;
                       if (!error) got = self->socket_.read_some(net::buffer(unwanted), error);
                       if (got > 0 || error == net::error::would_block) return self->wait_for_end();
                       self->stream_->end();
                     });
}

// -- deadlines ------------------------------------------------------------------------------------

void connection::check_deadline(steady::time_point now, bool draining) {
  ticket late;
  {
    std::lock_guard lock{guard_};
    auto passed = now >= deadline_;
    switch (phase_) {
    case phase::idle: {
      // While stopping, a client that has said nothing for a second will not be missed. Only the
      // reading side: a request that is arriving just now is still read, and answered.
      if (passed || (draining && now - entered_ >= seconds{1}))
        ::shutdown(socket_.native_handle(), SHUT_RD);
      return;
    }
    case phase::body: {
      auto spent = now - body_began_;
      auto received = static_cast<double>(body_bytes_.load(std::memory_order_relaxed));
      auto due =
          std::chrono::duration<double>(spent).count() * static_cast<double>(limits_.min_body_rate);
      passed = passed || (spent > body_grace && received < due);
      [[fallthrough]];
    }
    case phase::head:
      if (!passed || timed_out_) return;
      timed_out_ = true;
      ::shutdown(socket_.native_handle(), SHUT_RD); // the pending read ends; it answers 408
      return;
    case phase::lingering:
      passed = passed || draining;
      [[fallthrough]];
    case phase::writing:
      if (passed) cut_off_now();
      return;
    case phase::streaming:
      return check_stream(now, draining);
    case phase::handling:
      if (!passed || x_->answered()) return;
      late = ticket{*x_};
      break;
    }
  }
  // Nobody answered in time. The actor that still works on it keeps its ticket; we hang up after
  // this answer, so the two cannot be mixed up.
  fault f{errc::timed_out, {}, {}, "no answer within the request timeout"};
  auto& face = late->matched ? *late->matched->face : operations;
  auto out = face.render(f, *late);
  out.log_detail = to_string(f);
  keep_alive_ = false;
  overdue_ = true;
  late->answer(std::move(out));
}

/// Sees to it that a stream ends with the credential it was opened with, and that its session hears
/// of it when changes may have gone unheard.
void connection::check_stream(steady::time_point now, bool draining) {
  auto& app = shared_.app;
  if (!stream_->check(now, limits_.write_timeout)) ::shutdown(socket_.native_handle(), SHUT_RDWR);
  if (draining || stream_->who()->expires_at <= app.time->now()) return stream_->end();
  auto newest = app.change_generation.load(std::memory_order_acquire);
  if (stream_->generation.exchange(newest) == newest) return;
  caf::anon_send(stream_->session, changed{persistence::everything_of(stream_->who()->who)});
}

void connection::cut_off() {
  std::lock_guard lock{guard_};
  cut_off_now();
}

void connection::cut_off_now() {
  ::shutdown(socket_.native_handle(), SHUT_RDWR);
  if (arriving_) arriving_->end();
}

} // namespace binnacle::http
