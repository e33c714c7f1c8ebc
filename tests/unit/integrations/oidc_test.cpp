#include "integrations/oidc.hpp"

#include "config/base/time.hpp"

#include <gtest/gtest.h>

namespace binnacle::integrations {
namespace {

// As Auth0 answers; shortened.
const char* const auth0 = R"({"issuer":"https://demo.eu.auth0.com/",
  "authorization_endpoint":"https://demo.eu.auth0.com/authorize",
  "token_endpoint":"https://demo.eu.auth0.com/oauth/token",
  "jwks_uri":"https://demo.eu.auth0.com/.well-known/jwks.json",
  "userinfo_endpoint":"https://demo.eu.auth0.com/userinfo",
  "end_session_endpoint":"https://demo.eu.auth0.com/oidc/logout",
  "token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],
  "id_token_signing_alg_values_supported":["HS256","RS256"]})";

std::string without(std::string text, const std::string& part, const std::string& instead = "") {
  return text.replace(text.find(part), part.size(), instead);
}

TEST(LoginProviders, AreFoundBelowTheirIssuer) {
  EXPECT_EQ(discover("https://demo.eu.auth0.com/", seconds{5}).url,
            "https://demo.eu.auth0.com/.well-known/openid-configuration");
  EXPECT_EQ(discover("https://id.example/realms/x", seconds{5}).url,
            "https://id.example/realms/x/.well-known/openid-configuration");
}

TEST(LoginProviders, SayWhereEverythingIs) {
  auto p = read_login_provider(auth0, "https://demo.eu.auth0.com");

  ASSERT_TRUE(p) << to_string(p.error());
  EXPECT_EQ(p->issuer, "https://demo.eu.auth0.com/");
  EXPECT_EQ(p->token_endpoint, "https://demo.eu.auth0.com/oauth/token");
  EXPECT_EQ(p->userinfo_endpoint, "https://demo.eu.auth0.com/userinfo");
  EXPECT_EQ(p->end_session_endpoint, "https://demo.eu.auth0.com/oidc/logout");
  EXPECT_EQ(p->algorithm, "RS256");
  EXPECT_TRUE(p->secret_in_header);
}

TEST(LoginProviders, AreNotBelievedWhenTheyAreAnotherOrUnsafe) {
  auto read = [](const std::string& text) {
    return read_login_provider(text, "https://demo.eu.auth0.com");
  };

  EXPECT_FALSE(read("<html>"));
  EXPECT_FALSE(read("[]"));
  EXPECT_FALSE(read_login_provider(auth0, "https://evil.example"));
  EXPECT_FALSE(read(without(auth0, "\"jwks_uri\"", "\"x\"")));
  EXPECT_FALSE(read(
      without(auth0, "https://demo.eu.auth0.com/authorize", "http://demo.eu.auth0.com/authorize")));
  EXPECT_FALSE(read(without(auth0, "/oauth/token", "/oauth/to ken")));
  EXPECT_FALSE(read(without(auth0, R"(["HS256","RS256"])", R"(["HS256"])")));
}

TEST(LoginProviders, MaySignAndAuthenticateInOtherWays) {
  auto text = without(auth0, R"(["HS256","RS256"])", R"(["ES256"])");
  text = without(text, R"("client_secret_basic",)");
  text = without(text, "https://demo.eu.auth0.com/oidc/logout", "javascript:alert(1)");
  auto p = read_login_provider(text, "https://demo.eu.auth0.com/");

  ASSERT_TRUE(p) << to_string(p.error());
  EXPECT_EQ(p->algorithm, "ES256");
  EXPECT_FALSE(p->secret_in_header);
  EXPECT_EQ(p->end_session_endpoint, "");
}

TEST(Logins, SendTheHashOfTheVerifierAndNotTheVerifier) {
  login_provider p{.authorization_endpoint = "https://id.example/auth?tenant=x"};
  // The example of RFC 7636, appendix B.
  authorization_request wanted{.redirect_uri = "https://app.example/cb",
                               .state = "s",
                               .nonce = "n",
                               .verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                               .login_hint = "a+b@example.com",
                               .sign_up = true};

  EXPECT_EQ(authorization_url(p, {"client", secret{"key"}}, wanted),
            "https://id.example/auth?tenant=x&response_type=code&client_id=client"
            "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid+profile+email&state=s"
            "&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
            "&code_challenge_method=S256&login_hint=a%2Bb%40example.com&screen_hint=signup");
}

TEST(Logins, RedeemTheirCodeWithTheSecretWhereTheProviderWantsIt) {
  login_provider p{.token_endpoint = "https://id.example/token"};
  login_client client{"my client", secret{"a:b"}};

  auto basic = redeem_code(p, client, "c&d", "https://app/cb", "v", seconds{5});
  EXPECT_EQ(basic.method, "POST");
  EXPECT_EQ(basic.body, "grant_type=authorization_code&code=c%26d"
                        "&redirect_uri=https%3A%2F%2Fapp%2Fcb&code_verifier=v");
  EXPECT_EQ(basic.headers.back().second, "Basic bXkrY2xpZW50OmElM0Fi"); // my+client:a%3Ab

  p.secret_in_header = false;
  auto post = redeem_code(p, client, "c", "https://app/cb", "v", seconds{5});
  EXPECT_TRUE(post.body.ends_with("&client_id=my+client&client_secret=a%3Ab"));

  auto without_secret = redeem_code(p, {"app", {}}, "c", "https://app/cb", "v", seconds{5});
  EXPECT_TRUE(without_secret.body.ends_with("&client_id=app"));
}

TEST(Logins, TellARefusedCodeFromAProviderInTrouble) {
  auto read = [](int status, std::string body) {
    return read_tokens({.status = status, .headers = {}, .body = std::move(body)});
  };

  auto tokens = read(200, R"({"id_token":"a.b.c","access_token":"x"})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->id_token, "a.b.c");
  EXPECT_EQ(tokens->access_token.reveal(), "x");
  EXPECT_TRUE(read(200, R"({"id_token":"a.b.c"})")->access_token.empty());
  EXPECT_EQ(read(400, R"({"error":"invalid_grant"})").error().code, errc::unauthenticated);
  EXPECT_EQ(read(401, R"({"error":"invalid_client"})").error().code, errc::upstream_failed);
  EXPECT_EQ(read(500, "oops").error().code, errc::upstream_failed);
  EXPECT_EQ(read(200, R"({"access_token":"x"})").error().code, errc::upstream_failed);
}

TEST(Logins, AskWithTheAccessTokenWhatTheIdTokenLeavesOut) {
  login_provider p;
  p.userinfo_endpoint = "https://id.example/me";

  auto call = ask_userinfo(p, secret{"an access token"}, seconds{5});

  EXPECT_EQ(call.method, "GET");
  EXPECT_EQ(call.url, "https://id.example/me");
  EXPECT_EQ(call.bearer.reveal(), "an access token");
}

TEST(Logins, BelieveTheUserinfoOfTheirSubjectOnly) {
  auto read = [](int status, std::string body) {
    return read_userinfo({.status = status, .headers = {}, .body = std::move(body)}, "ann");
  };

  auto ann = read(200, R"({"sub":"ann","email":"Ann@Example.com","email_verified":true})");
  ASSERT_TRUE(ann) << to_string(ann.error());
  EXPECT_EQ(ann->email, "ann@example.com");
  EXPECT_TRUE(ann->email_verified);
  EXPECT_FALSE(read(200, R"({"sub":"ann","email":"ann@example.com"})")->email_verified);
  for (auto* of_another : {R"({"sub":"bob","email":"ann@example.com"})", R"({"email":"a@b.c"})",
                           R"({"sub":["ann"]})", R"({"sub":"ANN"})"})
    EXPECT_EQ(read(200, of_another).error().code, errc::unauthenticated) << of_another;
  for (auto* broken : {"", "[]", "a.jwt.of", "<html>"})
    EXPECT_EQ(read(200, broken).error().code, errc::upstream_failed) << broken;
  EXPECT_EQ(read(401, R"({"error":"invalid_token"})").error().code, errc::upstream_failed);
}

} // namespace
} // namespace binnacle::integrations
