#include "http/routes/operations/handlers.hpp"
#include "integrations/tokens.hpp"

namespace binnacle::http {

task<result<response>> get_jwks(context& ctx) {
  response out;
  out.body = ctx.app.signer->jwks();
  out.cache = caching::public_short;
  co_return out;
}

} // namespace binnacle::http
