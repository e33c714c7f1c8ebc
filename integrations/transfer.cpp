#include "integrations/transfer.hpp"

#include "config/base/text.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <pthread.h>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

constexpr std::chrono::milliseconds connect_timeout{10'000};
constexpr std::size_t largest_header_block = 256 * 1024;

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw std::runtime_error{"libcurl cannot be initialised"};
  });
}

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

std::string_view trimmed_line(std::string_view text) {
  auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

curl_blob blob_of(const std::string& text, unsigned flags) {
  return {const_cast<char*>(text.data()), text.size(), flags};
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

} // namespace

no_broken_pipe_signal::no_broken_pipe_signal() {
  sigemptyset(&pipe_);
  sigaddset(&pipe_, SIGPIPE);
  sigset_t pending;
  sigpending(&pending);
  was_pending_ = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
}

no_broken_pipe_signal::~no_broken_pipe_signal() {
  timespec none{};
  if (!was_pending_) sigtimedwait(&pipe_, nullptr, &none);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void header_lines::add(const std::string& line) {
  auto* grown = curl_slist_append(list_, line.c_str());
  if (grown == nullptr) throw std::bad_alloc{};
  list_ = grown;
}

void header_lines::clear() {
  for (auto* line = list_; line != nullptr; line = line->next)
    ::explicit_bzero(line->data, std::strlen(line->data));
  curl_slist_free_all(std::exchange(list_, nullptr));
}

transfer::transfer() {
  start_curl();
  easy_ = curl_easy_init();
  if (easy_ == nullptr) throw std::bad_alloc{};
}

transfer::~transfer() {
  forget();
  curl_easy_cleanup(easy_);
}

void transfer::forget() {
  curl_easy_reset(easy_);
  lines_.clear();
  curl_slist_free_all(std::exchange(route_, nullptr));
}

template <class T>
void transfer::set(CURLoption option, T value) {
  if (curl_easy_setopt(easy_, option, value) != CURLE_OK)
    throw std::invalid_argument{"libcurl refuses option " + std::to_string(option)};
}

void transfer::set_rules(const http_call& call, bool deadline) {
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_USERAGENT, "binnacle");
  auto longest = std::max(call.deadline, std::chrono::milliseconds{1}); // 0 would mean none
  if (deadline) set(CURLOPT_TIMEOUT_MS, static_cast<long>(longest.count()));
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(longest, connect_timeout).count()));
#if LIBCURL_VERSION_NUM >= 0x075700
  set(CURLOPT_QUICK_EXIT, 1L); // do not wait for a resolver that hangs
#endif
}

void transfer::set_tls(const tls_options& tls) {
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

void transfer::set_method(const http_call& call) {
  if (call.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
    return;
  }
  auto sends_body =
      !call.body.empty() || call.method == "POST" || call.method == "PUT" || call.method == "PATCH";
  if (sends_body) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
    set(CURLOPT_POSTFIELDS, call.body.data()); // not copied; outlives the transfer
  }
  set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
}

void transfer::set_signer(const aws_signer& signer) {
  if (signer.access_key_id.empty()) return;
  set(CURLOPT_AWS_SIGV4, "aws:amz:auto:s3");
  set(CURLOPT_USERNAME, signer.access_key_id.c_str());
  set(CURLOPT_PASSWORD, signer.secret_access_key.reveal().c_str());
}

/// The URL as libcurl shall see it. With a server name of its own (a kubeconfig's tls-server-name)
/// the URL carries that name, for SNI and verification, while the connection goes to the real host,
/// which also stays in the Host header.
void transfer::set_target(CURLU* url, const tls_options& tls) {
  auto host = part_of(url, CURLUPART_HOST);
  auto port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!tls.server_name.empty() && part_of(url, CURLUPART_SCHEME) == "https") {
    auto given_port = part_of(url, CURLUPART_PORT);
    lines_.add("Host: " + host + (given_port.empty() ? "" : ":" + given_port));
    if (curl_url_set(url, CURLUPART_HOST, tls.server_name.c_str(), 0) != CURLUE_OK)
      throw std::invalid_argument{"the TLS server name is no host name"};
    route_ = curl_slist_append(nullptr,
                               (tls.server_name + ":" + port + ":" + host + ":" + port).c_str());
    set(CURLOPT_CONNECT_TO, route_);
  }
  set(CURLOPT_URL, part_of(url, CURLUPART_URL).c_str()); // copied
}

void transfer::add_headers(const http_call& call) {
  auto has_type = false;
  for (const auto& [name, text] : call.headers) {
    has_type = has_type || lower_case(name) == "content-type";
    lines_.add(text.empty() ? name + ";" : name + ": " + text); // "name:" would remove the header
  }
  // libcurl before 8.3 signs as present what it is told to leave out; a signed call has its type,
  // and may wait a second for 100 Continue.
  if (call.signer.access_key_id.empty()) {
    if (!has_type) lines_.add("Content-Type:"); // no invented form type
    lines_.add("Expect:");                      // no waiting for 100 Continue
  }
  if (!call.bearer.empty()) {
    auto line = secret{"Authorization: " + call.scheme + " " + call.bearer.reveal()};
    lines_.add(line.reveal());
  }
}

std::optional<fault> transfer::prepare(const http_call& call, bool deadline, taker& to) {
  url_ptr url{curl_url()};
  if (!url) throw std::bad_alloc{};
  where_ = call.method;
  to_ = &to;
  headers_.clear();
  header_bytes_ = 0;
  head_is_whole_ = false;
  reason_[0] = '\0';
  if (const char* problem = problem_with(call, url.get())) return failed(problem);
  where_ += " " + part_of(url.get(), CURLUPART_HOST);
  try {
    set_rules(call, deadline);
    set_tls(call.tls);
    set_method(call);
    set_signer(call.signer);
    add_headers(call);
    set_target(url.get(), call.tls);
    set(CURLOPT_HTTPHEADER, lines_.get());
    set(CURLOPT_ERRORBUFFER, reason_);
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, this);
  } catch (const std::invalid_argument& e) {
    return failed(e.what());
  }
  return {};
}

std::size_t transfer::on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& self = *static_cast<transfer*>(user);
  switch (self.to_->take_body({data, size})) {
  case taken::all:
    return size;
  case taken::later:
    return CURL_WRITEFUNC_PAUSE;
  case taken::never:
    break;
  }
  return CURL_WRITEFUNC_ERROR;
}

std::size_t transfer::on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& self = *static_cast<transfer*>(user);
  std::string_view line{data, size};
  self.header_bytes_ += size;
  if (self.header_bytes_ > largest_header_block) return CURL_WRITEFUNC_ERROR;
  // A status line starts a new block: what came before belonged to a 1xx answer.
  if (line.starts_with("HTTP/")) {
    self.headers_.clear();
    self.head_is_whole_ = false;
  }
  if (self.head_is_whole_) return size; // trailers
  self.head_is_whole_ = trimmed_line(line).empty();
  auto colon = line.find(':');
  if (colon != line.npos)
    self.headers_.emplace_back(lower_case(trimmed_line(line.substr(0, colon))),
                               std::string{trimmed_line(line.substr(colon + 1))});
  if (self.head_is_whole_ && self.head().status >= 200) self.to_->take_head();
  return size;
}

http_answer transfer::head() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return {static_cast<int>(status), headers_, {}};
}

fault transfer::failed(const std::string& why) const {
  return {errc::upstream_failed, {}, {}, where_ + ": " + why};
}

result<http_answer> transfer::conclude(CURLcode verdict) {
  if (header_bytes_ > largest_header_block)
    return failed("the headers of the answer are too large");
  if (verdict != CURLE_OK)
    return failed(reason_[0] != '\0' ? reason_ : curl_easy_strerror(verdict));
  if (!head_is_whole_) return failed("the answer breaks off in its headers");
  return head();
}

} // namespace binnacle::integrations
