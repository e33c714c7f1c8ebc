#include "http/routes/cookies.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/replies.hpp"
#include "integrations/tokens.hpp"

namespace binnacle::http {

/// A browser puts the token into X-CSRF-Token; the cookie comes back by itself.
task<result<response>> get_csrf(context& ctx) {
  auto token = integrations::random_token(32);
  auto life = std::chrono::floor<seconds>(ctx.app.config.identity.session_life);
  auto out = json_reply({{"csrfToken", token}}, 200, caching::no_store);
  out.headers.emplace_back("Set-Cookie", set_cookie(ctx, "csrf_token", token, life, readable::yes));
  co_return out;
}

} // namespace binnacle::http
