#include "http/routes/dialect.hpp"
#include "http/surfaces.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

/// Sentences of a family of routes; an empty one is the general one. platform.md §1.
struct family {
  std::string_view path; // with a slash at its end: all paths below it
  std::string_view unauthenticated;
  std::string_view forbidden;
  std::string_view internal;
};
constexpr std::array families{
    family{"/api/user/", "Not authenticated", {}, {}},
    family{"/api/usage", "Not authenticated", {}, "Failed to fetch usage data"},
    family{"/api/billing", "Not authenticated", {}, "Failed to fetch billing data"},
    family{"/api/admin/test-opencost", "Not authenticated", "Admin access required", {}},
    family{
        "/api/admin/fix-missing-subscriptions", "Not authenticated", "Admin access required", {}},
    family{"/api/admin/billing", "Not authenticated", "Admin access required", {}},
};

std::string_view default_text(errc code, std::string_view path) {
  auto of = std::ranges::find_if(families, [path](const family& f) {
    return f.path.ends_with('/') ? path.starts_with(f.path) : path == f.path;
  });
  std::string_view own;
  if (of != families.end()) {
    if (code == errc::unauthenticated) own = of->unauthenticated;
    if (code == errc::forbidden) own = of->forbidden;
    if (code == errc::internal) own = of->internal;
  }
  return own.empty() ? binnacle::describe(code).text : own;
}

response render(const fault& f, const exchange& x) {
  auto text = f.text.empty() ? default_text(f.code, x.req.path) : std::string_view{f.text};
  failure shown{binnacle::describe(f.code).status, {}, std::string{text}};
  json::object body{{"error", shown.text}};
  // The one context a client may see: which field is wrong; or, when we failed at something for an
  // admin, what to do about it (see failed_at in handlers.hpp).
  if (!f.field.empty() && shown.status == 400) body.add("details", f.field);
  if (!f.field.empty() && shown.status >= 500) body.add("message", f.field);
  if (f.code == errc::rate_limited) body.add("retryAfter", retry_after(x));
  return present(shown, body, x);
}

} // namespace

// `appSession` is the cookie of a login through the provider (login.cpp), named as Auth0's library
// names it. The cookie of local accounts is good here too.
const surface platform{.name = "platform",
                       .order = {check::limit, check::authentication, check::csrf},
                       .render = render,
                       .admin_before_method = true,
                       .session_cookie = "appSession",
                       .other_session_cookies = {"session"}};

} // namespace binnacle::http
