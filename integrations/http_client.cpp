#include "integrations/http_client.hpp"

#include "integrations/transfer.hpp"

#include <optional>

namespace binnacle::integrations {
namespace {

constexpr int cancel_poll_ms = 50;

struct body_of_answer final : transfer::taker {
  explicit body_of_answer(std::size_t most_) : most{most_} {}
  transfer::taken take_body(std::string_view bytes) override {
    too_large = bytes.size() > most - text.size();
    if (too_large) return transfer::taken::never;
    text.append(bytes);
    return transfer::taken::all;
  }
  const std::size_t most;
  std::string text{};
  bool too_large = false;
};

} // namespace

std::string http_answer::header(std::string_view name) const {
  for (const auto& [have, text] : headers)
    if (have == name) return text;
  return {};
}

/// A multi handle with one transfer rather than curl_easy_perform: the latter looks at a
/// cancellation only once a second.
struct http_client::implementation {
  transfer one{};
  CURLM* multi = curl_multi_init();

  implementation() {
    if (multi == nullptr) throw std::bad_alloc{};
  }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;
  ~implementation() {
    no_broken_pipe_signal guard; // closing a TLS connection writes
    curl_multi_cleanup(multi);
  }

  /// Runs the transfer; libcurl's verdict, or nothing when cancelled.
  std::optional<CURLcode> run(const std::atomic<bool>* cancel) {
    if (curl_multi_add_handle(multi, one.handle()) != CURLM_OK) return CURLE_FAILED_INIT;
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
    curl_multi_remove_handle(multi, one.handle());
    return out;
  }

  result<http_answer> send(const http_call& call, const std::atomic<bool>* cancel) {
    struct clean_up {
      transfer& of;
      ~clean_up() { of.forget(); }
    } at_the_end{one};
    body_of_answer body{call.max_body};
    if (auto problem = one.prepare(call, true, body)) return *problem;
    auto verdict = run(cancel);
    if (!verdict) return one.failed("cancelled");
    if (body.too_large)
      return one.failed("the answer is larger than " + std::to_string(call.max_body) + " bytes");
    auto answer = one.conclude(*verdict);
    if (answer) answer->body = std::move(body.text);
    return answer;
  }
};

http_client::http_client() : inside_{std::make_unique<implementation>()} {}
http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;

result<http_answer> http_client::send(const http_call& call, const std::atomic<bool>* cancel) {
  no_broken_pipe_signal guard;
  return inside_->send(call, cancel);
}

} // namespace binnacle::integrations
