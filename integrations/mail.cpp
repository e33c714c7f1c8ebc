#include "integrations/mail.hpp"

#include "config/base/json.hpp"
#include "config/base/utf8.hpp"
#include "integrations/encoding.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstring>
#include <curl/curl.h>
#include <memory>
#include <mutex>

namespace binnacle::mail {
namespace {

using integrations::http_answer;

constexpr std::size_t longest_reason = 300;

// -- messages ------------------------------------------------------------------------------------

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; }) &&
         text.find("=?") == text.npos;
}

/// The end of the longest whole characters of `text` that take at most `most` bytes.
std::size_t whole_characters(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text.size();
  auto end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end > 0 ? end : most;
}

/// As encoded words (RFC 2047), a line each, unless it is printable ASCII.
std::string header_text(std::string_view text) {
  constexpr std::size_t bytes_per_word =
      39; // with "Subject: " before it, a line of 73: 76 are allowed
  if (is_plain(text)) return std::string{text};
  std::string out;
  while (!text.empty()) {
    auto size = whole_characters(text, bytes_per_word);
    out.append(out.empty() ? "" : "\r\n ").append("=?UTF-8?B?");
    out.append(integrations::to_base64(text.substr(0, size))).append("?=");
    text.remove_prefix(size);
  }
  return out;
}

std::string body_lines(std::string_view text) {
  constexpr std::size_t longest_line = 76;
  auto encoded = integrations::to_base64(text);
  std::string out;
  for (std::size_t at = 0; at < encoded.size(); at += longest_line)
    out.append(encoded, at, longest_line).append("\r\n");
  return out;
}

std::string part(std::string_view boundary, std::string_view type, std::string_view text) {
  std::string out{"--"};
  out.append(boundary).append("\r\nContent-Type: ").append(type);
  out.append("; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
  return out.append(body_lines(text));
}

std::string sender(std::string_view from) {
  auto open = from.find('<');
  if (open == from.npos) return std::string{address_of(from)};
  auto shown = from.substr(0, open);
  while (shown.ends_with(' ')) shown.remove_suffix(1);
  auto out = header_text(shown);
  return out.append(" <").append(address_of(from)).append(">");
}

// -- SMTP ----------------------------------------------------------------------------------------

struct end_transfer {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct free_list {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// What libcurl's callbacks use.
struct transfer {
  std::string_view unsent{};
  std::string reply{}; // the last line the server said
  const std::atomic<bool>* cancel = nullptr;
};

std::size_t give_body(char* to, std::size_t, std::size_t most, void* user) {
  auto& t = *static_cast<transfer*>(user);
  auto size = std::min(most, t.unsent.size());
  std::memcpy(to, t.unsent.data(), size);
  t.unsent.remove_prefix(size);
  return size;
}

std::size_t take_reply(char* data, std::size_t, std::size_t size, void* user) {
  static_cast<transfer*>(user)->reply.assign(data, size);
  return size;
}

int look_up(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto* cancel = static_cast<transfer*>(user)->cancel;
  return cancel != nullptr && cancel->load(std::memory_order_relaxed) ? 1 : 0;
}

fault not_sent(std::string why) { return {errc::upstream_failed, {}, {}, "SMTP: " + why}; }

} // namespace

std::string_view address_of(std::string_view from) {
  auto open = from.find('<');
  if (open == from.npos) return from;
  auto inside = from.substr(open + 1);
  return inside.substr(0, inside.find('>'));
}

integrations::http_call to_resend(const message& m, const std::string& api_url, const secret& key,
                                  milliseconds deadline) {
  json::array to{m.to};
  json::object body{{"from", m.from},
                    {"to", std::move(to)},
                    {"subject", m.subject},
                    {"text", m.text},
                    {"html", m.html}};
  integrations::http_call out;
  out.method = "POST";
  out.url = api_url + "/emails";
  out.headers = {{"Content-Type", "application/json"}, {"Idempotency-Key", m.id}};
  out.bearer = key;
  out.body = json::to_text(body);
  out.deadline = deadline;
  out.max_body = 64 * 1'024;
  return out;
}

std::string to_mime(const message& m, time_point date) {
  auto address = address_of(m.from);
  auto domain = address.substr(std::min(address.find('@') + 1, address.size()));
  auto boundary = "b-" + m.id;
  auto when = format_http(date); // RFC 5322 has a number where RFC 9110 has GMT
  when.replace(when.size() - 3, 3, "+0000");
  std::string out;
  auto header = [&](std::string_view name, std::string_view text) {
    out.append(name).append(": ").append(text).append("\r\n");
  };
  header("Date", when);
  header("From", sender(m.from));
  header("To", m.to);
  header("Subject", header_text(m.subject));
  header("Message-ID", std::string{"<"}.append(m.id).append("@").append(domain).append(">"));
  header("Auto-Submitted", "auto-generated"); // RFC 3834: no answers from robots
  header("MIME-Version", "1.0");
  header("Content-Type", "multipart/alternative; boundary=\"" + boundary + "\"");
  out.append("\r\n").append(part(boundary, "text/plain", m.text));
  out.append(part(boundary, "text/html", m.html));
  return out.append("--").append(boundary).append("--\r\n");
}

result<http_answer> send_by_smtp(const message& m, const secret& url, time_point date,
                                 milliseconds deadline, const std::atomic<bool>* cancel) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  std::unique_ptr<CURL, end_transfer> easy{curl_easy_init()};
  if (!easy) throw std::bad_alloc{};
  auto text = to_mime(m, date);
  auto from = std::string{"<"}.append(address_of(m.from)).append(">");
  std::unique_ptr<curl_slist, free_list> to{
      curl_slist_append(nullptr, std::string{"<"}.append(m.to).append(">").c_str())};
  transfer t{.unsent = text, .reply = {}, .cancel = cancel};
  char reason[CURL_ERROR_SIZE] = "";
  auto set = [&](CURLoption option, auto value) {
    return curl_easy_setopt(easy.get(), option, value) == CURLE_OK;
  };
  // A password must not be read on the way; without one, encryption is taken where it is offered.
  auto has_password = url.reveal().find('@') != std::string::npos;
  auto time = static_cast<long>(std::max(deadline, milliseconds{1}).count());
  auto ready =
      set(CURLOPT_NOSIGNAL, 1L) && set(CURLOPT_PROTOCOLS_STR, "smtp,smtps") &&
      set(CURLOPT_PROXY, "") && set(CURLOPT_URL, url.reveal().c_str()) &&
      set(CURLOPT_USE_SSL, static_cast<long>(has_password ? CURLUSESSL_ALL : CURLUSESSL_TRY)) &&
      set(CURLOPT_TIMEOUT_MS, time) && set(CURLOPT_CONNECTTIMEOUT_MS, time) &&
      set(CURLOPT_MAIL_FROM, from.c_str()) && set(CURLOPT_MAIL_RCPT, to.get()) &&
      set(CURLOPT_UPLOAD, 1L) && set(CURLOPT_READFUNCTION, &give_body) &&
      set(CURLOPT_READDATA, &t) && set(CURLOPT_HEADERFUNCTION, &take_reply) &&
      set(CURLOPT_HEADERDATA, &t) && set(CURLOPT_NOPROGRESS, 0L) &&
      set(CURLOPT_XFERINFOFUNCTION, &look_up) && set(CURLOPT_XFERINFODATA, &t) &&
      set(CURLOPT_ERRORBUFFER, reason);
  if (!ready) return not_sent("libcurl refuses the settings");
  auto verdict = curl_easy_perform(easy.get());
  if (verdict == CURLE_OK) return http_answer{.status = 200, .headers = {}, .body = t.reply};
  long code = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &code);
  if (code >= 400 && code < 500) return http_answer{.status = 503, .headers = {}, .body = t.reply};
  // A login that is refused is a fault of the settings, not of the mail.
  if (code >= 500 && code < 600 && verdict != CURLE_LOGIN_DENIED)
    return http_answer{.status = 422, .headers = {}, .body = t.reply};
  return not_sent(reason[0] != '\0' ? reason : curl_easy_strerror(verdict));
}

std::string reason_of(const result<http_answer>& got) {
  if (!got) return got.error().detail;
  std::string_view said = got->body; // a mail server's reply, or a proxy's page
  auto parsed = json::parse(got->body);
  const auto* error = parsed ? parsed->if_object() : nullptr;
  const auto* member = error ? error->if_contains("message") : nullptr;
  if (member && member->is_string())
    said = {member->get_string().data(), member->get_string().size()};
  auto why = text_of_others(said, longest_reason);
  auto out = "status " + std::to_string(got->status);
  return why.empty() ? out : out.append(": ").append(why);
}

} // namespace binnacle::mail
