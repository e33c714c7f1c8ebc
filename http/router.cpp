#include "http/router.hpp"

#include "config/base/text.hpp"
#include "config/base/utf8.hpp"
#include "http/surfaces.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1); // the slash
    auto slash = path.find('/');
    out.push_back(path.substr(0, slash));
    path.remove_prefix(slash == path.npos ? path.size() : slash);
  }
  return out;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

bool takes_rest(std::string_view segment) { return segment.ends_with("...}"); }

bool is_clean_parameter(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  return !has_control_characters(text) && text.find_first_of("/\\") == text.npos && is_utf8(text);
}

/// Paths of a surface that has no route of that name (yet): a 404 is in its dialect all the same.
struct prefix {
  std::string_view path;
  const surface* face;
};
const std::array prefixes{
    prefix{"/api/assinante", &assinante},
    prefix{"/api/admin/assinante", &assinante_admin},
    prefix{"/api/auth/login", &gateway},
    prefix{"/api/auth/logout", &gateway},
    prefix{"/api/auth/me", &gateway},
    prefix{"/api/auth/change", &gateway},
    prefix{"/api/setup", &gateway},
    prefix{"/api/providers", &gateway},
    prefix{"/api/custom-providers", &gateway},
    prefix{"/api/config-", &gateway},
    prefix{"/api/containers", &gateway},
    prefix{"/api/management", &gateway},
    prefix{"/api/quota", &gateway},
    prefix{"/api/dashboard", &hub},
    prefix{"/api/newsletter", &hub},
    prefix{"/api/user/avatar", &hub},
    prefix{"/api/csrf", &hub},
    prefix{"/r2", &hub},
    prefix{"/dashboard", &developer},
    prefix{"/auth", &developer},
    prefix{"/api", &platform},
};

} // namespace

router::router(std::span<const route> routes, const settings& config) {
  for (auto& r : routes) {
    auto segments = split_path(r.path);
    if (std::ranges::none_of(segments, is_parameter)) {
      literals_[r.path].methods.push_back(&r);
      continue;
    }
    auto same = std::ranges::find_if(
        patterns_, [&](const entry& e) { return e.methods.front()->path == r.path; });
    if (same != patterns_.end())
      same->methods.push_back(&r);
    else
      patterns_.push_back({{&r}, segments, takes_rest(segments.back())});
  }
  auto add_host = [&](const std::string& host, const surface& face) {
    if (!host.empty()) hosts_.emplace_back(host, &face);
  };
  add_host(config.host_hub, hub);
  add_host(config.host_assinante, assinante);
  add_host(config.host_gateway, gateway);
  add_host(config.host_platform, platform);
  add_host(config.host_developer, developer);
}

const surface* router::surface_of_host(std::string_view host) const {
  for (auto& [name, face] : hosts_)
    if (host == name || (host.starts_with(name) && host.substr(name.size()).starts_with(':')))
      return face;
  return nullptr;
}

const surface* router::surface_of_path(std::string_view path) const {
  for (auto& p : prefixes)
    if (path.starts_with(p.path)) return p.face;
  return &operations;
}

void router::choose(const entry& at, method verb, const surface* only, match& out) const {
  auto wanted = verb == method::head ? method::get : verb;
  unsigned seen = 0;
  for (auto* r : at.methods) {
    if (only && r->face != only && !r->face->of_all_surfaces) continue;
    // What two surfaces claim is the first one's, but on the other one's host.
    auto bit = 1u << static_cast<unsigned>(r->verb);
    if (seen & bit) continue;
    seen |= bit;
    out.to = r;
    out.face = r->face;
    out.what = match::outcome::wrong_method;
    if (r->verb == wanted) {
      out.what = match::outcome::found;
      return;
    }
  }
  if (out.what == match::outcome::wrong_method) out.allow = allow_header(at.methods, only);
}

match router::find(method verb, std::string_view path, std::string_view host) const {
  match out;
  auto* only = hosts_.empty() ? nullptr : surface_of_host(host);
  if (auto literal = literals_.find(path); literal != literals_.end())
    choose(literal->second, verb, only, out);
  if (out.what == match::outcome::not_found && !patterns_.empty() && path.starts_with('/')) {
    auto given = split_path(path);
    for (auto& p : patterns_) {
      auto size = p.segments.size();
      if (p.takes_rest ? given.size() < size : given.size() != size) continue;
      auto fits = std::equal(
          p.segments.begin(), p.segments.end(), given.begin(),
          [](auto pattern, auto segment) { return is_parameter(pattern) || pattern == segment; });
      if (!fits) continue;
      choose(p, verb, only, out);
      if (out.what == match::outcome::not_found) continue;
      for (std::size_t i = 0; i < given.size(); ++i) {
        auto of_rest = p.takes_rest && i + 1 >= size;
        if (!of_rest && !is_parameter(p.segments[i])) continue;
        auto decoded = percent_decode(given[i], false);
        if (!decoded || !is_clean_parameter(*decoded) ||
            (of_rest && (*decoded == "." || *decoded == ".."))) {
          out.what = match::outcome::bad_parameter;
          out.params.resize(std::ranges::count_if(p.segments, is_parameter)); // nobody reads them
          break;
        }
        if (i < size)
          out.params.push_back(std::move(*decoded));
        else
          out.params.back().append("/").append(*decoded);
      }
      break;
    }
  }
  if (!out.face) out.face = only ? only : surface_of_path(path);
  return out;
}

std::string allow_header(const std::vector<const route*>& methods, const surface* only) {
  std::vector<std::string_view> names{"OPTIONS"};
  for (auto* r : methods) {
    if (only && r->face != only) continue;
    names.push_back(to_string(r->verb));
    if (r->verb == method::get) names.emplace_back("HEAD");
  }
  std::ranges::sort(names);
  auto [same, end] = std::ranges::unique(names);
  names.erase(same, end);
  std::string out;
  for (auto n : names) out.append(out.empty() ? "" : ", ").append(n);
  return out;
}

} // namespace binnacle::http
