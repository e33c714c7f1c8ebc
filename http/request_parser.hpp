/// Parses one request, strictly. On top of what Beast 1.81's parser refuses it closes what that
/// parser lets through (RFC 9112 §3.2, §5.2, §6.1, §6.3): see `finish_head`.
#pragma once

#include "actors/exchange.hpp"
#include "config/settings.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::http {

/// Why a request cannot be served; the connection is closed after the answer.
struct refusal {
  int status = 0; // 0: none
  std::string_view text{};
};

class request_parser final : public boost::beast::http::basic_parser<true> {
public:
  /// `buffer` is used again for the head, whatever is in it.
  request_parser(const http_settings& limits, std::string buffer);

  /// Set when the head or body broke a rule; the parse then ended with an error.
  const refusal& refused() const { return refused_; }
  /// Fills `out` with views into `head`, which takes over this parser's buffer: a request may be
  /// looked at for longer than its connection lives. Once, when the head is done or refused.
  void describe(request& out, std::string& head);
  bool knows_target() const { return target_.size > 0; }
  bool is_http_1_0() const { return version_ < 11; }
  /// An HTTP/1.0 client does not understand a 100 (RFC 9110 §10.1.1).
  bool expects_continue() const { return expects_continue_ && version_ >= 11; }
  bool has_body() const { return chunked() || content_length().value_or(0) > 0; }
  std::uint64_t body_bytes() const { return body_bytes_; }
  void limit_body(std::uint64_t bytes) { body_limit_ = bytes; }
  std::string take_body() { return std::move(body_); }

private:
  using error_code = boost::beast::error_code;
  using text = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, text method, text target, int version,
                       error_code&) override;
  void on_response_impl(int, text, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field, text name, text value, error_code&) override;
  void on_header_impl(error_code&) override;
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override;
  std::size_t on_body_impl(text, error_code&) override;
  void on_chunk_header_impl(std::uint64_t, text, error_code&) override;
  std::size_t on_chunk_body_impl(std::uint64_t remain, text, error_code&) override;
  void on_finish_impl(error_code&) override {}

  void refuse(int status, std::string_view why, error_code& error);

  struct span {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
  };
  span store(text t);
  std::string_view view(span s) const { return std::string_view{head_}.substr(s.at, s.size); }

  const http_settings& limits_;
  std::string head_{}; // request target and the values of fields we read
  span target_{};
  std::array<span, static_cast<std::size_t>(field::count_)> fields_{};
  method verb_ = method::other;
  std::string body_{};
  std::uint64_t body_limit_ = 0;
  std::uint64_t body_bytes_ = 0;
  int field_count_ = 0;
  std::int64_t head_bytes_ = 0;
  int hosts_ = 0;
  int transfer_encodings_ = 0;
  int content_lengths_ = 0;
  bool plain_chunked_ = false;
  bool head_done_ = false;
  bool expects_continue_ = false;
  int version_ = 11;
  refusal refused_{};
};

} // namespace binnacle::http
