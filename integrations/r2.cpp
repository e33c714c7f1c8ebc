#include "integrations/r2.hpp"

#include "integrations/tokens.hpp"

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
  auto code = xml.substr(begin + opening.size(), 64);
  return std::string{code.substr(0, code.find('<'))};
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

http_call get_object(const account& at, const object_name& name, std::size_t max_bytes) {
  auto out = call_of(at, "GET", name, {});
  out.max_body = max_bytes;
  return out;
}

http_call delete_object(const account& at, const object_name& name) {
  return call_of(at, "DELETE", name, {});
}

result<std::shared_ptr<const object>> read_object(const result<http_answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status == 404 && code_in(answer->body) == "NoSuchKey")
    return std::shared_ptr<const object>{};
  if (answer->status != 200) return refused(*answer);
  return std::shared_ptr<const object>{std::make_shared<object>(
      answer->header("content-type"), answer->header("etag"), answer->body)};
}

result<done> read_done(const result<http_answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status < 200 || answer->status > 299) return refused(*answer);
  return done{};
}

} // namespace binnacle::integrations::r2
