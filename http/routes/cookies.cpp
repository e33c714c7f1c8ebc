#include "http/routes/cookies.hpp"

#include "actors/admission.hpp"

namespace binnacle::http {

std::string set_cookie(const context& ctx, std::string_view name, std::string_view value,
                       seconds life, readable by_scripts) {
  std::string out{name};
  out.append("=").append(value).append("; Path=/; SameSite=Lax; Max-Age=");
  out.append(std::to_string(life.count()));
  if (by_scripts == readable::no) out.append("; HttpOnly");
  if (is_secure(ctx.req, ctx.app.config)) out.append("; Secure");
  return out;
}

} // namespace binnacle::http
