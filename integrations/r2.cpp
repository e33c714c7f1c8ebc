#include "integrations/r2.hpp"

#include "config/base/time.hpp"
#include "config/base/utf8.hpp"
#include "integrations/tokens.hpp"

#include <charconv>
#include <curl/curl.h>

namespace binnacle::integrations::r2 {
namespace {

http_call call_of(const account& at, std::string method, const object_name& name,
                  std::string_view body) {
  http_call out;
  out.method = std::move(method);
  out.url = at.endpoint + "/" + name.bucket + "/" + name.key;
  // libcurl would sign the hash of nothing.
  out.headers.emplace_back("x-amz-content-sha256", to_hex(sha256(body)));
  out.body = body;
  out.signer = {at.access_key_id, at.secret_access_key};
  return out;
}

/// "<Error><Code>NoSuchKey</Code>…": one element of a document that is not ours to trust further.
std::string code_in(std::string_view xml) {
  constexpr std::string_view opening = "<Code>";
  auto begin = xml.find(opening);
  if (begin == xml.npos) return "no code";
  auto code = xml.substr(begin + opening.size());
  return text_of_others(code.substr(0, code.find('<')), 64);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return n;
}

fault refused(const http_answer& a) {
  return {errc::upstream_failed, {}, {}, "R2: " + std::to_string(a.status) + " " + code_in(a.body)};
}

} // namespace

account account_of(const r2_settings& s) {
  auto endpoint =
      s.endpoint.empty() ? "https://" + s.account_id + ".r2.cloudflarestorage.com" : s.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return {std::move(endpoint), s.access_key_id, s.secret_access_key};
}

http_call put_object(const account& at, const object_name& name, std::string_view bytes,
                     const std::string& content_type) {
  auto out = call_of(at, "PUT", name, bytes);
  out.headers.emplace_back("Content-Type", content_type);
  return out;
}

http_call head_object(const account& at, const object_name& name) {
  return call_of(at, "HEAD", name, {});
}

http_call get_object(const account& at, const object_name& name) {
  return call_of(at, "GET", name, {});
}

http_call get_part(const account& at, const object_name& name, const std::string& etag,
                   std::uint64_t begin, std::uint64_t size) {
  auto out = call_of(at, "GET", name, {});
  out.headers.emplace_back("If-Match", etag);
  out.headers.emplace_back("Range", "bytes=" + std::to_string(begin) + "-" +
                                        std::to_string(begin + size - 1));
  return out;
}

http_call delete_object(const account& at, const object_name& name) {
  return call_of(at, "DELETE", name, {});
}

std::optional<std::uint64_t> length_of(const http_answer& answer) {
  return number(answer.header("content-length"));
}

result<std::optional<object_facts>> read_facts(const result<http_answer>& answer) {
  if (!answer) return answer.error();
  // The answer to HEAD has no body to tell what it is that was not found.
  if (answer->status == 404 && (answer->body.empty() || code_in(answer->body) == "NoSuchKey"))
    return std::optional<object_facts>{};
  if (answer->status != 200) return refused(*answer);
  auto size = length_of(*answer);
  if (!size) return fault{errc::upstream_failed, {}, {}, "R2: no length"};
  object_facts out{answer->header("content-type"), answer->header("etag"), *size, {}};
  auto modified = curl_getdate(answer->header("last-modified").c_str(), nullptr);
  if (modified >= 0) out.modified = format_http(from_unix(modified));
  return std::optional{std::move(out)};
}

result<bool> read_part(const result<http_answer>& answer, std::uint64_t begin, std::uint64_t size) {
  if (!answer) return answer.error();
  if (answer->status == 404 || answer->status == 412) return false;
  if (answer->status != 206) return refused(*answer);
  auto expected = "bytes " + std::to_string(begin) + "-" + std::to_string(begin + size - 1) + "/";
  if (!answer->header("content-range").starts_with(expected) || length_of(*answer) != size)
    return fault{errc::upstream_failed, {}, {}, "R2: another part than was asked for"};
  return true;
}

result<done> read_done(const result<http_answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status < 200 || answer->status > 299) return refused(*answer);
  return done{};
}

} // namespace binnacle::integrations::r2
