/// OpenID Connect for browsers: an authorization code with PKCE, traded for an ID token. Pure
/// functions over calls and answers; who makes the calls is actors/login_provider.hpp.
/// Sources: OpenID Connect Core 1.0 §3.1 and §5.3, Discovery 1.0 §4, RP-Initiated Logout 1.0 §2;
/// RFC 6749 §4.1; RFC 7636 (PKCE); RFC 9700 (best practices).
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "integrations/http_client.hpp"
#include "integrations/tokens.hpp"

#include <string>
#include <string_view>

namespace binnacle::integrations {

/// What a provider says of itself.
struct login_provider {
  std::string issuer{}; // exact `iss` of its ID tokens
  std::string authorization_endpoint{};
  std::string token_endpoint{};
  std::string keys_url{};
  std::string userinfo_endpoint{};    // empty: none
  std::string end_session_endpoint{}; // empty: none
  std::string algorithm = "RS256";    // of its ID tokens
  bool secret_in_header = true;       // client_secret_basic, else client_secret_post
};

/// Who we are to it.
struct login_client {
  std::string id{};
  secret key{}; // empty: a public client
};

http_call discover(std::string_view issuer_url, std::chrono::milliseconds deadline);
/// upstream_failed when the document is none, names another issuer than `issuer_url` (a slash at
/// its end aside), or sends an https provider's users to anything but https.
result<login_provider> read_login_provider(std::string_view document, std::string_view issuer_url);

/// A login that begins.
struct authorization_request {
  std::string redirect_uri{};
  std::string state{};
  std::string nonce{};
  std::string verifier{};   // PKCE; only its hash is sent
  std::string login_hint{}; // empty: none
  bool sign_up = false;     // Auth0 and others show their form for new users
};
/// Where the browser is sent.
std::string authorization_url(const login_provider&, const login_client&,
                              const authorization_request&);

http_call redeem_code(const login_provider&, const login_client&, std::string_view code,
                      std::string_view redirect_uri, std::string_view verifier,
                      std::chrono::milliseconds deadline);
struct login_tokens {
  std::string id_token{};
  secret access_token{}; // empty: none
};
/// Of an answer to `redeem_code`. unauthenticated: the code is no good; upstream_failed for all
/// else, our own credentials being refused and a missing ID token included.
result<login_tokens> read_tokens(const http_answer& answer);

/// What an ID token leaves out, a provider may tell whoever has the access token.
http_call ask_userinfo(const login_provider&, const secret& access_token,
                       std::chrono::milliseconds deadline);
/// unauthenticated: it is another's than the ID token (§5.3.2); upstream_failed for all else.
result<token_claims> read_userinfo(const http_answer& answer, std::string_view subject);

/// Where the browser is sent to log out of the provider as well; it comes back to `return_to`, if
/// the provider knows that address. Only with an end_session_endpoint.
std::string end_session_url(const login_provider&, const login_client&, std::string_view return_to);

} // namespace binnacle::integrations
