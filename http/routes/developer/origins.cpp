#include "http/routes/developer/origins.hpp"

#include "actors/admission.hpp"
#include "config/base/text.hpp"
#include "persistence/developer_projects.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

constexpr std::size_t longest_pattern = 255;
constexpr std::string_view below = "*.";

bool is_scheme(std::string_view text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  return !text.empty() && text[0] >= 'a' && text[0] <= 'z' && std::ranges::all_of(text, fits);
}

/// A host, in brackets if it is an IPv6 address, and perhaps a port.
bool is_authority(std::string_view text) {
  if (auto colon = text.rfind(':'); colon != text.npos && !text.ends_with(']')) {
    auto port = text.substr(colon + 1);
    auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) {
    auto fits = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':'; };
    return text.size() > 4 && std::ranges::all_of(text.substr(1, text.size() - 2), fits);
  }
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return !text.empty() && !text.starts_with('.') && text.find("..") == text.npos &&
         std::ranges::all_of(text, fits);
}

/// "https://" and the rest; no scheme is empty.
std::pair<std::string_view, std::string_view> split_scheme(std::string_view text) {
  auto end = text.find("://");
  if (end == text.npos) return {{}, text};
  return {text.substr(0, end + 3), text.substr(end + 3)};
}

bool fits_one(std::string_view pattern, std::string_view origin) {
  if (pattern == "*" || pattern == origin) return true;
  auto [wanted_scheme, wanted] = split_scheme(pattern);
  auto [scheme, host] = split_scheme(origin);
  if (!wanted.starts_with(below) || (!wanted_scheme.empty() && wanted_scheme != scheme))
    return false;
  auto suffix = wanted.substr(1); // with its dot
  return host.size() > suffix.size() && host.ends_with(suffix);
}

} // namespace

std::optional<std::string> origin_pattern(std::string_view text) {
  if (text == "*") return std::string{text};
  if (text.size() > longest_pattern) return {};
  auto out = lower_case(text);
  if (out.ends_with('/')) out.pop_back(); // as it is copied from the address bar
  auto [scheme, host] = split_scheme(out);
  if (!scheme.empty() && !is_scheme(scheme.substr(0, scheme.size() - 3))) return {};
  if (host.starts_with(below))
    return is_authority(host.substr(2)) ? std::optional{out} : std::nullopt;
  if (scheme.empty() || !is_authority(host)) return {};
  return normalised_origin(out);
}

bool fits_origin(const std::vector<std::string>& patterns, std::string_view origin) {
  return patterns.empty() ||
         std::ranges::any_of(patterns, [&](const auto& p) { return fits_one(p, origin); });
}

task<result<bool>> admits_origin(context& ctx) {
  auto origin = normalised_origin(ctx.req.at(field::origin));
  if (origin.empty()) co_return false;
  if (ctx.req.params.empty() || is_own_origin(origin, ctx.req, ctx.app.config)) co_return true;
  developer_project_id project{ctx.req.params.front()};
  auto allowed = co_await ctx.read(persistence::allowed_origins_of, project);
  if (!allowed) co_return allowed.error();
  // Of one that is not there nothing is told but that.
  co_return !*allowed || fits_origin(**allowed, origin);
}

} // namespace binnacle::http
