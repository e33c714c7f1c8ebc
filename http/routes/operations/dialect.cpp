#include "http/routes/dialect.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

response render(const fault& f, const exchange& x) {
  failure shown{describe(f.code).status, {}, std::string{f.message()}};
  return present(shown, {{"error", shown.text}}, x);
}

} // namespace

const surface operations{.name = "operations",
                         .order = {check::limit, check::authentication, check::csrf},
                         .render = render,
                         .session_cookie = "__Host-session",
                         .other_session_cookies = {"session_id", "session", "appSession"},
                         .of_all_surfaces = true};

} // namespace binnacle::http
