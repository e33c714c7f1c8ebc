/// A request on its way through the actors, and the answer on its way back.
///
/// The connection owns an `exchange` and lends it out through tickets. Whoever holds a ticket may
/// read the request and give the one answer. When the last ticket goes without an answer (an actor
/// ended, a promise was dropped, a frame was destroyed), the exchange hears of it and the client is
/// answered all the same. Nothing here knows of sockets.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "config/limits.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binnacle::integrations {
class http_stream;
class object;
} // namespace binnacle::integrations

namespace binnacle {

struct route;
struct surface;
struct session_link;
class event_stream;

enum class method : std::uint8_t { get, head, post, put, patch, delete_, options, other };
std::string_view to_string(method m);

/// Header fields the service itself reads; found in one step. All others: `request::header`.
enum class field : std::uint8_t {
  accept,
  accept_encoding,
  access_control_request_method, // Access-Control-Request-Method
  auth0_secret,                  // X-Auth0-Secret
  authorization,
  content_type,
  cookie,
  csrf_token, // X-CSRF-Token
  host,
  idempotency_key,
  if_modified_since,
  if_none_match,
  if_range,
  last_event_id,
  origin,
  range,
  referer,
  request_id, // X-Request-Id
  stripe_signature,
  forwarded_for,
  forwarded_host,
  forwarded_proto,
  traceparent,
  user_agent,
  count_
};

/// A parsed request. Views point into buffers of the exchange and live as long as it does.
struct request {
  method verb = method::get;
  std::string_view target{};
  std::string_view path{};
  std::string_view query{};
  std::array<std::string_view, static_cast<std::size_t>(field::count_)> fields{};
  std::vector<std::string> params{}; // decoded path parameters, in the order of the route's path
  std::string body{};
  std::string client_address{}; // after trusted proxies
  bool secure = false;          // the client speaks TLS to us or to a trusted proxy

  std::string_view at(field f) const { return fields[static_cast<std::size_t>(f)]; }
  /// Whether the field was sent, empty or not.
  bool has(field f) const { return at(f).data() != nullptr; }
  /// The decoded value of the first `name=` in the query; nothing when absent.
  std::optional<std::string> parameter(std::string_view name) const;
  /// The query decodes to UTF-8 without NUL.
  bool has_clean_query() const;
  /// The value of a cookie; empty when absent.
  std::string_view cookie(std::string_view name) const;
};

/// Percent-decodes; `plus` turns + into a space. Nothing for a bad escape or a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus);

/// A body that may be shared by several answers, with its strong validator.
struct shared_body {
  std::string text{};
  std::string gzip{};               // compressed form; empty when it does not pay
  std::array<char, 34> validator{}; // in the body, as sessions keep many: half a SHA-256 in hex

  /// With quotes.
  std::string_view etag() const { return {validator.data(), validator.size()}; }
};

enum class caching : std::uint8_t {
  private_revalidate, // private, no-cache: user data, revalidated by ETag
  no_store,
  never_kept,   // no-store, and what older caches understand: the contract of GET /api/billing
  public_short, // public, max-age=60
  // Of objects, whose bytes never change under their name (hub.md §8, §9).
  public_immutable,     // public, max-age=31536000, immutable
  private_immutable,    // private, max-age=31536000, immutable
  public_for_a_quarter, // public, max-age=900, immutable
};

/// A part of a stored object, sent as it is: straight from its file where it is one.
struct object_part {
  std::shared_ptr<const integrations::object> of{};
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  std::shared_ptr<integrations::http_stream> stream{}; // of its bytes, when they are not at hand
};

/// What the limiter said about a request, for the headers.
struct limit_report {
  limit_class name = limit_class::none;
  rate_limit limit{};
  std::uint32_t remaining = 0;
  std::int64_t reset_at = 0;    // unix seconds at which the whole budget is back
  std::int64_t retry_after = 0; // seconds; 0 when admitted
};

struct response {
  int status = 200;
  std::string_view content_type = "application/json; charset=utf-8"; // static text
  std::string body{};
  std::shared_ptr<const shared_body> shared{}; // used instead of `body` when set
  std::shared_ptr<event_stream> stream{};      // follows the head until either side hangs up
  object_part part{};                          // used instead of both when it is of an object
  caching cache = caching::private_revalidate;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::optional<time_point> valid_until{}; // a cached answer is not used past this
  std::optional<limit_report> limit{};
  std::string log_detail{}; // internal; for the log only
  std::chrono::microseconds database_time{0};
};

/// What the presented credential was found to be. Immutable; whether it is still good is decided by
/// the session at every request.
struct credential {
  enum class kind : std::uint8_t { own_token, external_token, cookie };
  kind what = kind::own_token;
  user_id who{};
  std::string issuer{};
  std::string subject{};            // external tokens: whom the issuer names
  std::string email{};              // external tokens: as claimed, verified or not; lower case
  std::int64_t session_version = 0; // own tokens and cookies: must equal the user's
  std::string cookie_digest{};
  time_point expires_at{};
};

class ticket;

class exchange {
public:
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  request req{};
  const route* matched = nullptr;
  bool method_known = true; // false: the path exists, the method does not: 405
  bool target_clean = true; // false: path or query is no text: 400, once access is clear
  time_point received{};
  std::string id{};                              // X-Request-Id
  std::string traceparent{};                     // to pass on; made here when the client sent none
  std::shared_ptr<const credential> presented{}; // set by identity; null: anonymous
  bool credential_rejected = false;              // by the session: treat as anonymous
  std::shared_ptr<const session_link> link{};    // the session that answers; kept by the connection
  std::optional<limit_report> limit{};           // for the error body of a refused request
  bool origin_judged = false;                    // of a surface that is read from elsewhere
  std::string shown_to{};                        // the origin whose scripts may read the answer
  user_id answered_for{};                        // for the access log

  /// Gives the answer; true for the first caller, whose response counts. Thread-safe.
  bool answer(response r);
  /// Marks that an actor has begun to work on it: a dropped ticket is then an error, not a
  /// message that found its receiver gone.
  void begin() { begun_.store(true, std::memory_order_relaxed); }
  /// It goes on to another actor, which has not looked at it yet.
  void pass_on() { begun_.store(false, std::memory_order_relaxed); }
  bool begun() const { return begun_.load(std::memory_order_relaxed); }
  bool answered() const { return answered_.load(std::memory_order_acquire); }
  const response& result_of() const { return res_; }
  response& result_of() { return res_; }

protected:
  exchange() = default;
  virtual ~exchange() = default;
  /// The answer is there; called once, on the answering thread.
  virtual void on_answer() = 0;
  /// The last ticket is about to go and there is no answer: answers, or lends the exchange out
  /// anew. An answer may come from elsewhere meanwhile, but the exchange is lent out until this
  /// returns.
  virtual void on_dropped() = 0;
  /// Ready for the next request of the same connection; only while no ticket is out.
  void reset();
  bool lent_out() const { return tickets_.load(std::memory_order_acquire) != 0; }

  void retain() { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

private:
  friend class ticket;
  response res_{};
  std::atomic<bool> answered_{false};
  std::atomic<bool> begun_{false};
  std::atomic<int> tickets_{0};
  std::atomic<int> references_{1}; // the connection's
};

/// A browser asks whether a script from elsewhere may send what it wants to (Fetch §3.2, CORS).
inline bool is_preflight(const request& req) {
  return req.verb == method::options && req.has(field::origin) &&
         req.has(field::access_control_request_method);
}

/// Permission to answer one exchange. Copies are cheap.
class ticket {
public:
  ticket() = default;
  explicit ticket(exchange& x) : x_{&x} { take(); }
  ticket(const ticket& other) : x_{other.x_} {
    if (x_) take();
  }
  ticket(ticket&& other) noexcept : x_{std::exchange(other.x_, nullptr)} {}
  ticket& operator=(ticket other) noexcept {
    std::swap(x_, other.x_);
    return *this;
  }
  ~ticket() { give_back(); }

  exchange* operator->() const { return x_; }
  exchange& operator*() const { return *x_; }
  explicit operator bool() const { return x_ != nullptr; }

private:
  void take() {
    x_->retain();
    x_->tickets_.fetch_add(1, std::memory_order_relaxed);
  }
  void give_back() {
    if (!x_) return;
    // The last one still counts while it looks for the answer, and while one is made: without it
    // the connection may use the exchange anew.
    auto out = x_->tickets_.load(std::memory_order_acquire);
    do {
      for (; out == 1 && !x_->answered(); out = x_->tickets_.load(std::memory_order_acquire))
        x_->on_dropped();
    } while (!x_->tickets_.compare_exchange_weak(out, out - 1, std::memory_order_acq_rel,
                                                 std::memory_order_acquire));
    x_->release();
  }
  exchange* x_ = nullptr;
};

} // namespace binnacle
