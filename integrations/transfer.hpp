/// One libcurl transfer: a call made ready, and what comes back of it. What http_client and
/// http_stream share; the only headers of libcurl outside of .cpp files.
#pragma once

#include "integrations/http_client.hpp"

#include <csignal>
#include <curl/curl.h>
#include <functional>
#include <optional>
#include <string_view>

namespace binnacle::integrations {

/// Keeps SIGPIPE from this thread while libcurl works: OpenSSL writes with write(2), and with
/// CURLOPT_NOSIGNAL libcurl leaves the signal to its user.
class no_broken_pipe_signal {
public:
  no_broken_pipe_signal();
  no_broken_pipe_signal(const no_broken_pipe_signal&) = delete;
  no_broken_pipe_signal& operator=(const no_broken_pipe_signal&) = delete;
  ~no_broken_pipe_signal();

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
  ~header_lines() { clear(); }
  void add(const std::string& line);
  void clear();
  curl_slist* get() const { return list_; }

private:
  curl_slist* list_ = nullptr;
};

/// A handle, for one call after the other. Used by one thread at a time.
class transfer {
public:
  enum class taken : std::uint8_t {
    all,
    later, // nothing of it: the transfer pauses; it is offered again once it goes on
    never, // the transfer ends
  };
  /// Who takes what arrives.
  class taker {
  public:
    /// The head is whole and final, so status and headers can be asked for.
    virtual void take_head() {}
    virtual taken take_body(std::string_view bytes) = 0;

  protected:
    ~taker() = default;
  };

  transfer();
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;
  ~transfer();

  /// Makes the handle ready; why it cannot, if so. Call and taker outlive the transfer. Without
  /// `deadline` it may take for ever, once it is connected.
  std::optional<fault> prepare(const http_call& call, bool deadline, taker& to);
  /// What libcurl's verdict about it means: the answer, but for its body, or why there is none.
  result<http_answer> conclude(CURLcode verdict);
  /// Of a head that has been taken.
  http_answer head() const;
  fault failed(const std::string& why) const;
  /// Nothing of the call stays behind in the handle; connections and DNS answers do.
  void forget();

  CURL* handle() const { return easy_; }

private:
  template <class T>
  void set(CURLoption option, T value);
  void set_rules(const http_call&, bool deadline);
  void set_tls(const tls_options&);
  void set_method(const http_call&);
  void set_signer(const aws_signer&);
  void set_target(CURLU*, const tls_options&);
  void add_headers(const http_call&);
  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self);

  CURL* easy_ = nullptr;
  header_lines lines_{};
  curl_slist* route_ = nullptr;
  char reason_[CURL_ERROR_SIZE] = "";
  std::string where_{};
  taker* to_ = nullptr;
  std::vector<std::pair<std::string, std::string>> headers_{};
  std::size_t header_bytes_ = 0;
  bool head_is_whole_ = false; // libcurl takes a head that breaks off for a whole one
};

} // namespace binnacle::integrations
