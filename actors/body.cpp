#include "actors/body.hpp"

#include "config/base/text.hpp"
#include "integrations/tokens.hpp"

#include <algorithm>
#include <zlib.h>

namespace binnacle {

std::shared_ptr<const shared_body> make_shared_body(std::string text) {
  auto out = std::make_shared<shared_body>();
  auto etag = "\"" + integrations::to_hex(integrations::sha256(text).substr(0, 16)) + "\"";
  std::ranges::copy(etag, out->validator.begin());
  if (text.size() > worth_compressing) out->gzip = gzip(text);
  text.shrink_to_fit(); // kept for as long as a session caches it
  out->text = std::move(text);
  return out;
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr int gzip_window = 15 + 16;
  if (deflateInit2(&stream, 6, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(text.size(), '\0'); // larger than that would not pay
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  auto ended = deflate(&stream, Z_FINISH);
  out.resize(ended == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

std::string gzip_etag(std::string_view etag) {
  std::string out{etag};
  if (!out.empty() && out.back() == '"') out.insert(out.size() - 1, "-gz");
  return out;
}

bool matches(std::string_view if_none_match, std::string_view etag) {
  auto compressed = gzip_etag(etag);
  while (!if_none_match.empty()) {
    auto comma = if_none_match.find(',');
    auto tag = trimmed(if_none_match.substr(0, comma));
    if_none_match.remove_prefix(comma == if_none_match.npos ? if_none_match.size() : comma + 1);
    if (tag == "*") return true;
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == compressed) return true;
  }
  return false;
}

bool accepts_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    auto comma = accept_encoding.find(',');
    auto item = accept_encoding.substr(0, comma);
    accept_encoding.remove_prefix(comma == accept_encoding.npos ? accept_encoding.size()
                                                                : comma + 1);
    auto semicolon = item.find(';');
    auto coding = trimmed(item.substr(0, semicolon));
    if (coding != "gzip" && coding != "*" && coding != "x-gzip") continue;
    auto weight = semicolon == item.npos ? std::string_view{} : trimmed(item.substr(semicolon + 1));
    bool refused = weight.starts_with("q=0") && weight.find_first_of("123456789") == weight.npos;
    return !refused;
  }
  return false;
}

} // namespace binnacle
