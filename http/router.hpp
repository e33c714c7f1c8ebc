/// Finds the route of a request. Built once; read by every thread.
#pragma once

#include "actors/route.hpp"
#include "config/settings.hpp"

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace binnacle::http {

struct match {
  enum class outcome : std::uint8_t { found, wrong_method, not_found, bad_parameter };
  outcome what = outcome::not_found;
  const route* to = nullptr;         // with wrong_method: some route of the path
  const surface* face = nullptr;     // whose dialect an error is in; never null
  std::vector<std::string> params{}; // decoded
  std::string allow{};               // with wrong_method and for OPTIONS
};

class router {
public:
  /// `routes` must outlive the router. Literal paths win over patterns.
  router(std::span<const route> routes, const settings& config);

  /// HEAD finds GET. A last segment such as {path...} takes all that is left, one segment or more,
  /// as one parameter with its slashes; each of them must be a good parameter, and neither "." nor
  /// "..". Path parameters are decoded once; one that is empty, longer than 255 bytes,
  /// not UTF-8, or contains a slash or a control character is a bad parameter.
  match find(method verb, std::string_view path, std::string_view host) const;

private:
  struct entry {
    std::vector<const route*> methods{};
    std::vector<std::string_view> segments{}; // of a pattern
    bool takes_rest = false;                  // the last one is {name...}
  };
  void choose(const entry& at, method verb, const surface* only, match& out) const;
  const surface* surface_of_path(std::string_view path) const;
  const surface* surface_of_host(std::string_view host) const;

  std::unordered_map<std::string_view, entry> literals_{};
  std::vector<entry> patterns_{};
  std::vector<std::pair<std::string, const surface*>> hosts_{};
};

/// "GET, HEAD, OPTIONS, POST" for these methods.
std::string allow_header(const std::vector<const route*>& methods, const surface* only);

} // namespace binnacle::http
