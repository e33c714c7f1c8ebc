/// A blocking HTTP client for upstreams (libcurl). Used from detached workers only: never call it
/// on a thread that runs sockets or scheduled actors.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binnacle::integrations {

/// How to trust and be trusted. PEM texts, not file names.
struct tls_options {
  std::string ca_pem{}; // empty: the system's authorities
  std::string client_cert_pem{};
  secret client_key_pem{};
  std::string server_name{}; // empty: the URL's host
  bool insecure = false;     // no verification; only where a cluster's owner chose it
};

/// Who signs a call by AWS Signature Version 4, for S3 in the region "auto". The caller sends the
/// header x-amz-content-sha256; path and query are signed as they stand.
struct aws_signer {
  std::string access_key_id{};
  secret secret_access_key{};
};

struct http_call {
  std::string method = "GET";
  std::string url{}; // http or https only
  std::vector<std::pair<std::string, std::string>> headers{};
  secret bearer{};               // sent as Authorization: Bearer, never logged
  std::string scheme = "Bearer"; // in its place
  std::string body{};
  std::chrono::milliseconds deadline{30'000};
  std::size_t max_body = 64 * 1024 * 1024;
  tls_options tls{};
  aws_signer signer{}; // empty: nobody
};

struct http_answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers{}; // names in lower case
  std::string body{};

  /// The first header of that lower-case name; empty when absent.
  std::string header(std::string_view name) const;
};

/// What a caller may do about a call that failed or was refused.
enum class outcome : std::uint8_t {
  success,     // 2xx
  refused,     // 4xx but 408, 409 and 429: repeating it changes nothing
  throttled,   // 429, or 503 with Retry-After
  faulty,      // 408, 409, 5xx
  unreachable, // no answer: resolve, connect, TLS, reset, truncated, timed out
};

/// One handle, one connection cache; used by one thread. Redirects are not followed, proxies from
/// the environment are ignored, only http and https are spoken.
class http_client {
public:
  http_client();
  ~http_client();
  http_client(http_client&&) noexcept;
  http_client& operator=(http_client&&) noexcept;

  /// The answer, whatever its status; upstream_failed when there was none (detail says why, with
  /// no secret in it). `cancel`, when given, ends the call within 100 ms of becoming true.
  result<http_answer> send(const http_call& call, const std::atomic<bool>* cancel = nullptr);

private:
  struct implementation;
  std::unique_ptr<implementation> inside_;
};

outcome classify(const result<http_answer>& answer);

/// The one retry rule for upstreams: exponential back-off with full jitter, Retry-After respected
/// (seconds or HTTP date) up to `longest`.
struct retry_policy {
  int attempts = 4; // calls in all
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds longest{30'000};

  /// How long to wait before attempt number `next` (2 is the first repetition); nothing when the
  /// outcome is not worth repeating or the attempts are used up. `random` in [0, 1).
  std::optional<std::chrono::milliseconds> delay_before(int next, const result<http_answer>& last,
                                                        double random) const;
};

} // namespace binnacle::integrations
