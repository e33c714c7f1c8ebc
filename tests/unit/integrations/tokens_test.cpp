#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"
#include "support.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace testing;
using namespace std::chrono_literals;

const time_point now = from_unix(1'700'000'000);
constexpr auto leeway = 60s;

issuer_settings an_issuer() {
  issuer_settings out;
  out.issuer = "https://tenant.auth0.com/";
  out.audience = "https://api.example.com";
  return out;
}

json::object a_header(const std::string& kid = "k1", const std::string& alg = "RS256") {
  return {{"alg", alg}, {"typ", "JWT"}, {"kid", kid}};
}

/// The claims every valid token has, with `changes` put over them; a null takes a claim away.
json::object claims_with(const json::object& changes = {}) {
  std::vector<std::pair<std::string, json::value>> members{{"iss", "https://tenant.auth0.com/"},
                                                           {"aud", "https://api.example.com"},
                                                           {"sub", "auth0|1234"},
                                                           {"iat", unix_seconds(now) - 10},
                                                           {"exp", unix_seconds(now) + 600}};
  json::object out;
  for (const auto& [name, value] : members) {
    auto replaced = false;
    for (const auto& change : changes.members()) replaced = replaced || change.first == name;
    if (!replaced) out.add(name, value);
  }
  for (const auto& [name, value] : changes.members())
    if (json::to_text(value) != "null") out.add(name, value);
  return out;
}

std::shared_ptr<const key_set> keys() {
  static const auto set = *key_set::parse(jwks_of(public_jwk(an_rsa_key(), "k1")));
  return set;
}

std::string token_with(const json::object& changes) {
  return rs256_token(an_rsa_key(), a_header(), claims_with(changes));
}

result<token_claims> check(const std::string& token, const issuer_settings& issuer = an_issuer()) {
  return verify_token(token, issuer, *keys(), now, leeway);
}

/// The detail of the refusal, or "accepted".
std::string verdict(const std::string& token, const issuer_settings& issuer = an_issuer()) {
  auto r = check(token, issuer);
  if (r) return "accepted";
  EXPECT_EQ(r.error().code, errc::unauthenticated);
  EXPECT_EQ(r.error().message(), "Unauthorized") << "nothing of the reason is public";
  return r.error().detail;
}

TEST(Tokens, GivesTheClaimsOfAValidToken) {
  auto r = check(token_with(
      {{"email", "Ada@Example.COM"}, {"email_verified", true}, {"name", "Ada Lovelace"}}));

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->issuer, "https://tenant.auth0.com/");
  EXPECT_EQ(r->subject, "auth0|1234");
  EXPECT_EQ(r->email, "ada@example.com");
  EXPECT_TRUE(r->email_verified);
  EXPECT_EQ(r->name, "Ada Lovelace");
  EXPECT_EQ(r->expires_at, now + 600s);
  EXPECT_EQ(r->issued_at, now - 10s);
}

TEST(Tokens, AcceptsAnEs256TokenWhenTheIssuerIsPinnedToIt) {
  auto set = *key_set::parse(jwks_of(public_jwk(a_p256_key(), "e1")));
  auto input = signing_input(a_header("e1", "ES256"), claims_with());
  auto token = input + "." + to_base64url(es256(a_p256_key(), input));
  auto issuer = an_issuer();
  issuer.algorithm = "ES256";

  EXPECT_TRUE(verify_token(token, issuer, *set, now, leeway));
  EXPECT_FALSE(verify_token(token, an_issuer(), *set, now, leeway)) << "pinned to RS256";
}

TEST(Tokens, RefusesAnEs256SignatureOfAnotherLength) {
  auto set = *key_set::parse(jwks_of(public_jwk(a_p256_key(), "e1")));
  auto issuer = an_issuer();
  issuer.algorithm = "ES256";
  auto input = signing_input(a_header("e1", "ES256"), claims_with());
  auto raw = es256(a_p256_key(), input);
  auto longer = std::string(1, '\0') + raw.substr(0, 32) + std::string(1, '\0') + raw.substr(32);

  for (const auto& signature : {longer, raw.substr(0, 63), std::string(64, '\0'), std::string{}})
    EXPECT_FALSE(verify_token(input + "." + to_base64url(signature), issuer, *set, now, leeway));
}

TEST(Tokens, RefusesThePublicKeyUsedAsAnHmacSecret) {
  auto input = signing_input(a_header("k1", "HS256"), claims_with());
  for (const auto& secret : {public_pem(an_rsa_key()), jwks_of(public_jwk(an_rsa_key(), "k1"))})
    EXPECT_EQ(verdict(input + "." + to_base64url(hs256(secret, input))), "token: wrong algorithm");
}

TEST(Tokens, RefusesAnIssuerThatIsPinnedToAnAlgorithmWeDoNotSupport) {
  for (auto algorithm : {"HS256", "none", "PS256", "RS512", ""}) {
    auto issuer = an_issuer();
    issuer.algorithm = algorithm;
    auto input = signing_input(a_header("k1", algorithm), claims_with());
    auto token = input + "." + to_base64url(hs256(public_pem(an_rsa_key()), input));
    EXPECT_NE(verdict(token, issuer), "accepted") << algorithm;
  }
}

TEST(Tokens, RefusesUnsignedTokens) {
  for (auto alg : {"none", "None", "NONE", ""}) {
    auto input = signing_input(a_header("k1", alg), claims_with());
    EXPECT_NE(verdict(input + "."), "accepted") << alg;
    EXPECT_NE(verdict(input), "accepted") << alg;
  }
  auto input = signing_input(a_header(), claims_with());
  EXPECT_EQ(verdict(input + "."), "token: bad signature");
}

TEST(Tokens, RefusesACriticalHeader) {
  auto header = a_header();
  header.add("crit", json::array{"exp"}).add("exp", 1);
  EXPECT_EQ(verdict(rs256_token(an_rsa_key(), header, claims_with())),
            "token: critical headers are not supported");
}

TEST(Tokens, RefusesAnUnknownOrMissingKid) {
  EXPECT_EQ(verdict(rs256_token(an_rsa_key(), a_header("k2"), claims_with())),
            "token: unknown kid");
  EXPECT_EQ(verdict(rs256_token(an_rsa_key(), {{"alg", "RS256"}}, claims_with())),
            "token: unknown kid")
      << "even when the set has only one key";
}

TEST(Tokens, RefusesAKeyOfAnotherKindThanTheAlgorithm) {
  auto set = *key_set::parse(jwks_of(public_jwk(a_p256_key(), "k1")));
  auto token = token_with({});
  auto r = verify_token(token, an_issuer(), *set, now, leeway);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().detail, "token: the key is of another kind");
}

TEST(Tokens, RefusesTheSignatureOfAnotherKey) {
  auto other = make_rsa();
  EXPECT_EQ(verdict(rs256_token(other, a_header(), claims_with())), "token: bad signature");
}

TEST(Tokens, RefusesAKeyThatTheTokenBringsAlong) {
  auto other = make_rsa();
  auto header = a_header();
  header.add("jwk", public_jwk(other, "k1")).add("jku", "https://evil.example/jwks.json");
  EXPECT_EQ(verdict(rs256_token(other, header, claims_with())), "token: bad signature");
}

TEST(Tokens, ChecksTheClaims) {
  auto t = unix_seconds(now);
  struct row {
    const char* what;
    json::object changes;
    const char* verdict;
  };
  const std::vector<row> rows{
      {"other issuer", {{"iss", "https://evil.example/"}}, "token: wrong issuer"},
      {"issuer without its slash", {{"iss", "https://tenant.auth0.com"}}, "token: wrong issuer"},
      {"no issuer", {{"iss", nullptr}}, "token: wrong issuer"},
      {"issuer as a list",
       {{"iss", json::array{"https://tenant.auth0.com/"}}},
       "token: wrong issuer"},
      {"other audience", {{"aud", "https://other.example.com"}}, "token: wrong audience"},
      {"no audience", {{"aud", nullptr}}, "token: wrong audience"},
      {"audience in a list", {{"aud", json::array{"x", "https://api.example.com"}}}, "accepted"},
      {"not in the list", {{"aud", json::array{"x", 7}}}, "token: wrong audience"},
      {"empty list", {{"aud", json::array{}}}, "token: wrong audience"},
      {"a moment before the end", {{"exp", t - 59}}, "accepted"},
      {"expired", {{"exp", t - 60}}, "token: expired"},
      {"no exp", {{"exp", nullptr}}, "token: no exp"},
      {"exp as text", {{"exp", "1900000000"}}, "token: no exp"},
      {"negative exp", {{"exp", -1}}, "token: no exp"},
      {"exp with a fraction", {{"exp", *decimal::parse("1700000600.5")}}, "accepted"},
      {"exp past the year 9999", {{"exp", json::raw{"1e300"}}}, "token: no exp"},
      {"nbf within the leeway", {{"nbf", t + 60}}, "accepted"},
      {"nbf in the future", {{"nbf", t + 61}}, "token: nbf lies in the future"},
      {"nbf as text", {{"nbf", "x"}}, "token: bad or missing nbf"},
      {"iat in the future", {{"iat", t + 61}}, "token: iat lies in the future"},
      {"no iat", {{"iat", nullptr}}, "accepted"},
      {"no subject", {{"sub", nullptr}}, "token: bad subject"},
      {"empty subject", {{"sub", ""}}, "token: bad subject"},
      {"subject as a number", {{"sub", 7}}, "token: bad subject"},
      {"longest subject", {{"sub", std::string(255, 'x')}}, "accepted"},
      {"too long a subject", {{"sub", std::string(256, 'x')}}, "token: bad subject"},
      {"subject with a NUL", {{"sub", std::string{"a\0b", 3}}}, "token: bad subject"},
  };
  for (const auto& row : rows) EXPECT_EQ(verdict(token_with(row.changes)), row.verdict) << row.what;
}

TEST(Tokens, ChecksAuthTimeOnlyWhereTheIssuerNeedsIt) {
  auto firebase = an_issuer();
  firebase.require_auth_time = true;
  auto t = unix_seconds(now);

  EXPECT_EQ(verdict(token_with({}), firebase), "token: bad or missing auth_time");
  EXPECT_EQ(verdict(token_with({{"auth_time", t - 5}}), firebase), "accepted");
  EXPECT_EQ(verdict(token_with({{"auth_time", t + 61}}), firebase),
            "token: auth_time lies in the future");
  EXPECT_EQ(verdict(token_with({})), "accepted");
}

TEST(Tokens, NeverMatchesAnIssuerOrAudienceThatIsNotConfigured) {
  auto issuer = an_issuer();
  issuer.audience.clear();
  EXPECT_EQ(verdict(token_with({{"aud", ""}}), issuer), "token: wrong audience");
  issuer = an_issuer();
  issuer.issuer.clear();
  EXPECT_EQ(verdict(token_with({{"iss", ""}}), issuer), "token: wrong issuer");
}

TEST(Tokens, TakesAnEmailForVerifiedOnlyWhenTheIssuerSaysSo) {
  auto verified = [](json::value v) {
    return check(token_with({{"email", "a@b.c"}, {"email_verified", std::move(v)}}))
        ->email_verified;
  };
  EXPECT_TRUE(verified(true));
  EXPECT_TRUE(verified("true"));
  EXPECT_FALSE(verified(false));
  EXPECT_FALSE(verified("false"));
  EXPECT_FALSE(verified("TRUE"));
  EXPECT_FALSE(verified(1));
  EXPECT_FALSE(verified(nullptr));
  EXPECT_FALSE(check(token_with({{"email_verified", true}}))->email_verified) << "no e-mail at all";
}

TEST(Tokens, TakesOnlyAnAddressForAnEmail) {
  auto email = [](const char* text) { return check(token_with({{"email", text}}))->email; };
  EXPECT_EQ(email("Ada@Example.com"), "ada@example.com");
  for (const auto* none : {"", "ada", "@example.com", "ada@", " ada@example.com",
                           "ada@example.com ", "ada lovelace@example.com", "ada@example.com\n"})
    EXPECT_EQ(email(none), "") << none;
}

TEST(Tokens, ForSeveralAudiencesNameTheirClient) {
  auto given = [](json::object claims) {
    return is_given_to(*check(token_with(std::move(claims))), "https://api.example.com");
  };
  json::array both{"https://api.example.com", "other"}, alone{"https://api.example.com"};
  EXPECT_TRUE(given({}));
  EXPECT_TRUE(given({{"aud", alone}}));
  EXPECT_FALSE(given({{"aud", both}}));
  EXPECT_TRUE(given({{"aud", both}, {"azp", "https://api.example.com"}}));
  EXPECT_FALSE(given({{"aud", both}, {"azp", "other"}}));
  EXPECT_FALSE(given({{"azp", "other"}}));
}

TEST(Tokens, RefusesANameGivenTwice) {
  auto claims = json::to_text(claims_with());
  claims.insert(1, R"("sub":"somebody-else",)");
  auto input = signing_input(json::to_text(a_header()), claims);
  EXPECT_EQ(verdict(input + "." + to_base64url(rs256(an_rsa_key(), input))),
            "token: no compact JWS");
}

TEST(Tokens, RefusesWhatIsNoCompactJws) {
  auto good = token_with({});
  auto input = signing_input("[]", json::to_text(claims_with()));
  for (const auto& text : std::vector<std::string>{
           "", ".", "..", "...", "a.b.c", good + ".", "." + good, good + "=", " " + good,
           good + "\n", good + ".x.y", input + "." + to_base64url(rs256(an_rsa_key(), input)),
           R"({"payload":"x","signatures":[]})"}) {
    EXPECT_EQ(verdict(text), "token: no compact JWS") << text;
    EXPECT_FALSE(preview_token(text).has_value()) << text;
  }
}

TEST(Tokens, RefusesATokenLongerThan8KiB) {
  auto token = token_with({{"name", std::string(8192, 'x')}});
  EXPECT_FALSE(preview_token(token).has_value());
  EXPECT_EQ(verdict(token), "token: no compact JWS");
}

TEST(Tokens, PreviewsAlgorithmKidAndIssuer) {
  auto seen = preview_token(token_with({}));
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->algorithm, "RS256");
  EXPECT_EQ(seen->kid, "k1");
  EXPECT_EQ(seen->issuer, "https://tenant.auth0.com/");
}

RC_GTEST_PROP(Tokens, RefusesATokenWithAnyByteChanged, ()) {
  static const auto token = token_with({{"email", "a@b.c"}});
  auto at = *rc::gen::inRange<std::size_t>(0, token.size());
  auto flip = *rc::gen::inRange(1, 256);
  auto changed = token;
  changed[at] = static_cast<char>(changed[at] ^ flip);
  RC_ASSERT(!check(changed).has_value());
}

RC_GTEST_PROP(Tokens, SurvivesAnyText, (const std::string& text)) {
  RC_ASSERT(!preview_token(text).has_value());
  RC_ASSERT(!check(text).has_value());
}

RC_GTEST_PROP(Tokens, SurvivesAnyHeaderAndClaims,
              (const std::string& header, const std::string& claims)) {
  auto input = signing_input(header, claims);
  RC_ASSERT(!check(input + "." + to_base64url(rs256(an_rsa_key(), input))).has_value());
}

TEST(KeysLifetime, IsMaxAgeWithinBoundsAndAnHourOtherwise) {
  EXPECT_EQ(keys_lifetime("public, max-age=19341, must-revalidate, no-transform"), 19341s);
  EXPECT_EQ(keys_lifetime("Max-Age=\"600\""), 600s);
  EXPECT_EQ(keys_lifetime("max-age=0"), 60s);
  EXPECT_EQ(keys_lifetime("max-age=31536000"), 24h);
  EXPECT_EQ(keys_lifetime("max-age=99999999999999999999999"), 24h);
  EXPECT_EQ(keys_lifetime("s-maxage=600"), 1h);
  EXPECT_EQ(keys_lifetime("max-age=x"), 1h);
  EXPECT_EQ(keys_lifetime("max-age=-5"), 1h);
  EXPECT_EQ(keys_lifetime(",, ,"), 1h);
  EXPECT_EQ(keys_lifetime(""), 1h);
}

} // namespace
} // namespace binnacle::integrations
