#include "http/object_reply.hpp"

#include "actors/body.hpp"
#include "config/base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace binnacle::http {
namespace {

constexpr std::string_view download = "application/octet-stream";

/// The content type to send; static text, as responses want it.
std::string_view shown_type(std::string_view stored) {
  static constexpr std::array safe{std::string_view{"image/webp"}, std::string_view{"image/png"},
                                   std::string_view{"image/jpeg"}, std::string_view{"image/gif"},
                                   std::string_view{"image/avif"}, std::string_view{"video/mp4"},
                                   std::string_view{"video/webm"}};
  auto bare = trimmed(stored.substr(0, stored.find(';')));
  auto found = std::ranges::find(safe, bare);
  return found == safe.end() ? download : *found;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return n;
}

/// If-Range names the object as it is, strongly (§13.1.5). A date, of whole seconds, does not.
bool range_applies(const request& req, const std::string& etag) {
  if (req.verb != method::get || !req.has(field::range)) return false;
  return !req.has(field::if_range) || trimmed(req.at(field::if_range)) == etag;
}

/// The date only counts when there is no ETag to compare (§13.1.3). Names never get other bytes, so
/// that whoever has the object has seen exactly the date that we send.
bool has_it(const request& req, const integrations::object_facts& facts) {
  if (req.has(field::if_none_match)) return matches(req.at(field::if_none_match), facts.etag);
  return req.has(field::if_modified_since) && !facts.modified.empty() &&
         trimmed(req.at(field::if_modified_since)) == facts.modified;
}

} // namespace

byte_range read_range(std::string_view range, std::uint64_t size) {
  using enum byte_range::kind;
  byte_range all{whole, 0, size};
  constexpr std::string_view unit = "bytes=";
  if (!range.starts_with(unit)) return all;
  range = trimmed(range.substr(unit.size()));
  auto dash = range.find('-');
  if (dash == range.npos || range.find(',') != range.npos) return all;
  auto first = number(range.substr(0, dash)), last = number(range.substr(dash + 1));
  if (dash == 0) { // the last so many
    if (!last) return all;
    if (*last == 0 || size == 0) return {unsatisfiable, 0, 0};
    auto length = std::min(*last, size);
    return {part, size - length, length};
  }
  if (!first || (!last && dash + 1 != range.size()) || (last && *last < *first)) return all;
  if (*first >= size) return {unsatisfiable, 0, 0};
  auto end = last ? std::min(*last, size - 1) : size - 1;
  return {part, *first, end - *first + 1};
}

response object_reply(const request& req, std::shared_ptr<const integrations::object> what,
                      caching cache) {
  response out;
  out.cache = cache;
  const auto& facts = what->facts();
  out.content_type = shown_type(facts.content_type);
  out.headers.reserve(4);
  out.headers.emplace_back("ETag", facts.etag);
  if (!facts.modified.empty()) out.headers.emplace_back("Last-Modified", facts.modified);
  if (has_it(req, facts)) {
    out.status = 304;
    return out;
  }
  out.headers.emplace_back("Accept-Ranges", "bytes");
  if (out.content_type == download) out.headers.emplace_back("Content-Disposition", "attachment");
  auto size = what->size();
  auto range = range_applies(req, facts.etag) ? read_range(req.at(field::range), size)
                                              : byte_range{byte_range::kind::whole, 0, size};
  if (range.what == byte_range::kind::unsatisfiable) {
    out = plain_text(416, "Range not satisfiable");
    out.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
    return out;
  }
  if (range.what == byte_range::kind::part) {
    out.status = 206;
    out.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.begin) + "-" +
                                                  std::to_string(range.begin + range.size - 1) +
                                                  "/" + std::to_string(size));
  }
  out.part = {std::move(what), range.begin, range.size};
  return out;
}

response plain_text(int status, std::string_view text) {
  response out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = text;
  out.cache = caching::no_store;
  return out;
}

} // namespace binnacle::http
