#include "integrations/http_client.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <curl/curl.h>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

constexpr std::chrono::milliseconds connect_timeout{10'000};
constexpr int cancel_poll_ms = 50;
constexpr std::size_t largest_header_block = 256 * 1024;

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw std::runtime_error{"libcurl cannot be initialised"};
  });
}

/// Keeps SIGPIPE from this thread while libcurl works: OpenSSL writes with write(2), and with
/// CURLOPT_NOSIGNAL libcurl leaves the signal to its user.
class no_broken_pipe_signal {
public:
  no_broken_pipe_signal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  no_broken_pipe_signal(const no_broken_pipe_signal&) = delete;
  no_broken_pipe_signal& operator=(const no_broken_pipe_signal&) = delete;
  ~no_broken_pipe_signal() {
    timespec none{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

/// A list of header lines. They are wiped when it goes: one of them may hold the bearer token.
class header_lines {
public:
  header_lines() = default;
  header_lines(const header_lines&) = delete;
  header_lines& operator=(const header_lines&) = delete;
  ~header_lines() {
    for (auto* line = list_; line != nullptr; line = line->next)
      ::explicit_bzero(line->data, std::strlen(line->data));
    curl_slist_free_all(list_);
  }
  void add(const std::string& line) {
    auto* grown = curl_slist_append(list_, line.c_str());
    if (grown == nullptr) throw std::bad_alloc{};
    list_ = grown;
  }
  curl_slist* get() const { return list_; }

private:
  curl_slist* list_ = nullptr;
};

struct free_url {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using url_ptr = std::unique_ptr<CURLU, free_url>;

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out{text};
  curl_free(text);
  return out;
}

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view{"\r\n\0", 3}) != text.npos;
}

bool is_token(std::string_view text) {
  constexpr std::string_view allowed =
      "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return !text.empty() && text.find_first_not_of(allowed) == text.npos;
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// What libcurl's callbacks fill.
struct reception {
  http_answer answer{};
  std::size_t max_body = 0;
  std::size_t header_bytes = 0;
  bool head_is_whole = false; // libcurl takes a head that breaks off for a whole one
  bool too_large = false;
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& r = *static_cast<reception*>(user);
  if (size > r.max_body - r.answer.body.size()) {
    r.too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  r.answer.body.append(data, size);
  return size;
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& r = *static_cast<reception*>(user);
  std::string_view line{data, size};
  r.header_bytes += size;
  if (r.header_bytes > largest_header_block) {
    r.too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  // A status line starts a new block: what came before belonged to a 1xx answer.
  if (line.starts_with("HTTP/")) {
    r.answer.headers.clear();
    r.head_is_whole = false;
  }
  if (r.head_is_whole) return size; // trailers
  r.head_is_whole = trimmed(line).empty();
  auto colon = line.find(':');
  if (colon != line.npos)
    r.answer.headers.emplace_back(lower_case(trimmed(line.substr(0, colon))),
                                  std::string{trimmed(line.substr(colon + 1))});
  return size;
}

curl_blob blob_of(const std::string& text, unsigned flags) {
  return {const_cast<char*>(text.data()), text.size(), flags};
}

} // namespace

std::string http_answer::header(std::string_view name) const {
  for (const auto& [have, text] : headers)
    if (have == name) return text;
  return {};
}

/// A multi handle with one transfer rather than curl_easy_perform: the latter looks at a
/// cancellation only once a second.
struct http_client::implementation {
  CURLM* multi = nullptr;
  CURL* easy = nullptr;

  implementation() {
    start_curl();
    multi = curl_multi_init();
    easy = curl_easy_init();
    if (multi == nullptr || easy == nullptr) throw std::bad_alloc{};
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  ~implementation() {
    no_broken_pipe_signal guard; // closing a TLS connection writes
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }

  template <class T>
  void set(CURLoption option, T value) {
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
      throw std::invalid_argument{"libcurl refuses option " + std::to_string(option)};
  }

  void set_rules(const http_call& call) {
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_USERAGENT, "binnacle");
    auto deadline = std::max(call.deadline, std::chrono::milliseconds{1}); // 0 would mean none
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(deadline.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(deadline, connect_timeout).count()));
#if LIBCURL_VERSION_NUM >= 0x075700
    set(CURLOPT_QUICK_EXIT, 1L); // do not wait for a resolver that hangs
#endif
  }

  void set_tls(const tls_options& tls) {
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, tls.insecure ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, tls.insecure ? 0L : 2L);
    if (!tls.ca_pem.empty()) {
      auto blob = blob_of(tls.ca_pem, CURL_BLOB_COPY);
      set(CURLOPT_CAINFO_BLOB, &blob);
      set(CURLOPT_CAPATH, nullptr);
    }
    if (!tls.client_cert_pem.empty()) {
      auto certificate = blob_of(tls.client_cert_pem, CURL_BLOB_COPY);
      auto key = blob_of(tls.client_key_pem.reveal(), CURL_BLOB_NOCOPY); // outlives the transfer
      set(CURLOPT_SSLCERTTYPE, "PEM");
      set(CURLOPT_SSLKEYTYPE, "PEM");
      set(CURLOPT_SSLCERT_BLOB, &certificate);
      set(CURLOPT_SSLKEY_BLOB, &key);
    }
  }

  void set_method(const http_call& call) {
    if (call.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
      return;
    }
    auto sends_body = !call.body.empty() || call.method == "POST" || call.method == "PUT" ||
                      call.method == "PATCH";
    if (sends_body) {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
      set(CURLOPT_POSTFIELDS, call.body.data()); // not copied; outlives the transfer
    }
    set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
  }

  void set_signer(const aws_signer& signer) {
    if (signer.access_key_id.empty()) return;
    set(CURLOPT_AWS_SIGV4, "aws:amz:auto:s3");
    set(CURLOPT_USERNAME, signer.access_key_id.c_str());
    set(CURLOPT_PASSWORD, signer.secret_access_key.reveal().c_str());
  }

  /// The URL as libcurl shall see it. With a server name of its own (a kubeconfig's
  /// tls-server-name) the URL carries that name, for SNI and verification, while the connection
  /// goes to the real host, which also stays in the Host header.
  void set_target(CURLU* url, const tls_options& tls, header_lines& lines, curl_slist*& route) {
    auto host = part_of(url, CURLUPART_HOST);
    auto port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!tls.server_name.empty() && part_of(url, CURLUPART_SCHEME) == "https") {
      auto given_port = part_of(url, CURLUPART_PORT);
      lines.add("Host: " + host + (given_port.empty() ? "" : ":" + given_port));
      if (curl_url_set(url, CURLUPART_HOST, tls.server_name.c_str(), 0) != CURLUE_OK)
        throw std::invalid_argument{"the TLS server name is no host name"};
      route = curl_slist_append(nullptr,
                                (tls.server_name + ":" + port + ":" + host + ":" + port).c_str());
      set(CURLOPT_CONNECT_TO, route);
    }
    set(CURLOPT_CURLU, url);
  }

  /// Runs the transfer; libcurl's verdict, or nothing when cancelled.
  std::optional<CURLcode> run(const std::atomic<bool>* cancel) {
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) return CURLE_FAILED_INIT;
    std::optional<CURLcode> out;
    for (int running = 1;;) {
      if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) break;
      if (curl_multi_perform(multi, &running) != CURLM_OK) {
        out = CURLE_FAILED_INIT;
        break;
      }
      if (running == 0) {
        int left = 0;
        while (auto* message = curl_multi_info_read(multi, &left))
          if (message->msg == CURLMSG_DONE) out = message->data.result;
        if (!out) out = CURLE_FAILED_INIT;
        break;
      }
      curl_multi_poll(multi, nullptr, 0, cancel != nullptr ? cancel_poll_ms : 1000, nullptr);
    }
    curl_multi_remove_handle(multi, easy);
    return out;
  }

  result<http_answer> send(const http_call& call, const std::atomic<bool>* cancel);
};

namespace {

fault no_answer(const std::string& where, const std::string& why) {
  return {errc::upstream_failed, {}, {}, where + ": " + why};
}

/// Why a call cannot be made as it is; nothing when it can.
const char* problem_with(const http_call& call, CURLU* url) {
  if (curl_url_set(url, CURLUPART_URL, call.url.c_str(), 0) != CURLUE_OK) return "no valid URL";
  auto scheme = part_of(url, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "the URL is not http or https";
  if (!part_of(url, CURLUPART_USER).empty() || !part_of(url, CURLUPART_PASSWORD).empty())
    return "the URL holds credentials";
  if (!is_token(call.method)) return "no valid method";
  if (has_line_break(call.bearer.reveal())) return "the bearer token holds a line break";
  for (const auto& [name, text] : call.headers)
    if (!is_token(name) || has_line_break(text)) return "a header is not valid";
  return nullptr;
}

void add_headers(const http_call& call, header_lines& lines) {
  auto has_type = false;
  for (const auto& [name, text] : call.headers) {
    has_type = has_type || lower_case(name) == "content-type";
    lines.add(text.empty() ? name + ";" : name + ": " + text); // "name:" would remove the header
  }
  // libcurl before 8.3 signs as present what it is told to leave out; a signed call has its type,
  // and may wait a second for 100 Continue.
  if (call.signer.access_key_id.empty()) {
    if (!has_type) lines.add("Content-Type:"); // no invented form type
    lines.add("Expect:");                      // no waiting for 100 Continue
  }
  if (!call.bearer.empty()) {
    auto line = secret{"Authorization: " + call.scheme + " " + call.bearer.reveal()};
    lines.add(line.reveal());
  }
}

} // namespace

result<http_answer> http_client::implementation::send(const http_call& call,
                                                      const std::atomic<bool>* cancel) {
  url_ptr url{curl_url()};
  if (!url) throw std::bad_alloc{};
  if (const char* problem = problem_with(call, url.get())) return no_answer(call.method, problem);
  auto where = call.method + " " + part_of(url.get(), CURLUPART_HOST);

  reception received;
  received.max_body = call.max_body;
  header_lines lines;
  curl_slist* route = nullptr;
  char reason[CURL_ERROR_SIZE] = "";
  /// Nothing of this call may stay behind in the handle; connections and DNS answers do.
  struct clean_up {
    CURL* easy;
    curl_slist*& route;
    ~clean_up() {
      curl_easy_reset(easy);
      curl_slist_free_all(route);
    }
  } at_the_end{easy, route};

  try {
    set_rules(call);
    set_tls(call.tls);
    set_method(call);
    set_signer(call.signer);
    add_headers(call, lines);
    set_target(url.get(), call.tls, lines, route);
    set(CURLOPT_HTTPHEADER, lines.get());
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_WRITEFUNCTION, &take_body);
    set(CURLOPT_WRITEDATA, &received);
    set(CURLOPT_HEADERFUNCTION, &take_header);
    set(CURLOPT_HEADERDATA, &received);
  } catch (const std::invalid_argument& e) {
    return no_answer(where, e.what());
  }
  auto verdict = run(cancel);
  if (!verdict) return no_answer(where, "cancelled");
  if (received.too_large)
    return no_answer(where, "the answer is larger than " + std::to_string(call.max_body) +
                                " bytes, or its headers are too large");
  if (*verdict != CURLE_OK)
    return no_answer(where, reason[0] != '\0' ? reason : curl_easy_strerror(*verdict));
  if (!received.head_is_whole) return no_answer(where, "the answer breaks off in its headers");
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  received.answer.status = static_cast<int>(status);
  return std::move(received.answer);
}

http_client::http_client() : inside_{std::make_unique<implementation>()} {}
http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;

result<http_answer> http_client::send(const http_call& call, const std::atomic<bool>* cancel) {
  no_broken_pipe_signal guard;
  return inside_->send(call, cancel);
}

} // namespace binnacle::integrations
