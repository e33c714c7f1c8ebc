#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"
#include "support.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace testing;

const time_point now = from_unix(1'700'000'000);

json::object with(json::object jwk, const std::string& name, json::value value) {
  return jwk.add(name, std::move(value));
}

bool is_usable(const json::object& jwk) { return key_set::parse(jwks_of(jwk)).has_value(); }

bool verifies(const key_set& keys, const pkey_ptr& key, const std::string& kid,
              const std::string& algorithm) {
  issuer_settings issuer;
  issuer.issuer = issuer.audience = "i";
  issuer.algorithm = algorithm;
  auto input = signing_input(
      json::object{{"alg", algorithm}, {"kid", kid}},
      json::object{{"iss", "i"}, {"aud", "i"}, {"sub", "s"}, {"exp", unix_seconds(now) + 60}});
  auto signature = algorithm == "RS256" ? rs256(key, input) : es256(key, input);
  return verify_token(input + "." + to_base64url(signature), issuer, keys, now, seconds{0})
      .has_value();
}

TEST(KeySet, ReadsRsaAndP256KeysOfAJwks) {
  auto set = key_set::parse(json::to_text(json::object{
      {"keys", json::array{public_jwk(an_rsa_key(), "r"), public_jwk(a_p256_key(), "e")}}}));

  ASSERT_TRUE(set) << to_string(set.error());
  EXPECT_EQ((*set)->size(), 2u);
  EXPECT_TRUE((*set)->has("r"));
  EXPECT_FALSE((*set)->has("x"));
  EXPECT_TRUE(verifies(**set, an_rsa_key(), "r", "RS256"));
  EXPECT_TRUE(verifies(**set, a_p256_key(), "e", "ES256"));
}

TEST(KeySet, ReadsGooglesMapOfCertificatesEvenExpiredOnes) {
  certificate_wishes expired;
  expired.expired = true;
  auto set = key_set::parse(
      json::to_text(json::object{{"a", certificate(an_rsa_key())},
                                 {"b", certificate(a_p256_key())},
                                 {"c", certificate(an_rsa_key(), expired)},
                                 {"junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END"},
                                 {"number", 7}}));

  ASSERT_TRUE(set) << to_string(set.error());
  EXPECT_EQ((*set)->size(), 3u);
  EXPECT_TRUE(verifies(**set, an_rsa_key(), "a", "RS256"));
  EXPECT_TRUE(verifies(**set, a_p256_key(), "b", "ES256"));
  EXPECT_TRUE(verifies(**set, an_rsa_key(), "c", "RS256"));
}

TEST(KeySet, PassesOverKeysItMustNotVerifyWith) {
  auto good = public_jwk(an_rsa_key(), "good");
  auto n = to_base64url(std::string(256, '\xFF'));
  json::array keys{with(public_jwk(an_rsa_key(), "enc"), "use", "enc"),
                   with(public_jwk(an_rsa_key(), "ops"), "key_ops", json::array{"encrypt"}),
                   with(public_jwk(an_rsa_key(), "ops2"), "key_ops", "verify"),
                   with(public_jwk(an_rsa_key(), "pss"), "alg", "PS256"),
                   with(public_jwk(an_rsa_key(), "hs"), "alg", "HS256"),
                   with(public_jwk(a_p256_key(), "es-rs"), "alg", "RS256"),
                   public_jwk(make_rsa(1024), "short"),
                   public_jwk(an_rsa_key(), ""),
                   json::object{{"kty", "oct"}, {"kid", "oct"}, {"k", "c2VjcmV0"}},
                   json::object{{"kty", "RSA"}, {"kid", "one"}, {"n", n}, {"e", "AQ"}},
                   json::object{{"kty", "RSA"}, {"kid", "even"}, {"n", n}, {"e", "Ag"}},
                   json::object{{"kty", "RSA"}, {"kid", "no-e"}, {"n", n}},
                   json::object{{"kty", "RSA"}, {"kid", "padded"}, {"n", n + "="}, {"e", "AQAB"}},
                   json::object{{"kty", "RSA"},
                                {"kid", "zeros"},
                                {"n", to_base64url(std::string(256, '\0') + "\x03")},
                                {"e", "AQAB"}},
                   json::object{{"kty", "RSA"},
                                {"kid", "huge"},
                                {"n", to_base64url(std::string(1025, '\xFF'))},
                                {"e", "AQAB"}},
                   json::object{{"kty", "EC"},
                                {"kid", "off-curve"},
                                {"crv", "P-256"},
                                {"x", to_base64url(std::string(32, '\x01'))},
                                {"y", to_base64url(std::string(32, '\x01'))}},
                   json::object{{"kty", "EC"},
                                {"kid", "p384"},
                                {"crv", "P-384"},
                                {"x", to_base64url(std::string(48, '\x01'))},
                                {"y", to_base64url(std::string(48, '\x01'))}},
                   json::object{{"kty", "OKP"}, {"kid", "ed"}, {"crv", "Ed25519"}, {"x", "AAAA"}},
                   json::object{{"kty", 7}, {"kid", "number"}},
                   json::object{{"kid", "no-kty"}},
                   "text",
                   7,
                   nullptr,
                   json::array{},
                   good};

  auto set = key_set::parse(json::to_text(json::object{{"keys", keys}}));

  ASSERT_TRUE(set) << to_string(set.error());
  EXPECT_EQ((*set)->size(), 1u);
  EXPECT_TRUE((*set)->has("good"));
}

TEST(KeySet, AcceptsKeysThatSayTheyAreForSignatures) {
  EXPECT_TRUE(is_usable(with(public_jwk(an_rsa_key(), "k"), "use", "sig")));
  EXPECT_TRUE(is_usable(with(public_jwk(an_rsa_key(), "k"), "alg", "RS256")));
  EXPECT_TRUE(is_usable(with(public_jwk(a_p256_key(), "k"), "alg", "ES256")));
  EXPECT_TRUE(is_usable(with(public_jwk(an_rsa_key(), "k"), "key_ops", json::array{"verify"})));
}

TEST(KeySet, IgnoresThePrivatePartOfAKeyPublishedByMistake) {
  EXPECT_TRUE(is_usable(with(public_jwk(an_rsa_key(), "k"), "d", "not even base64")));
}

TEST(KeySet, RefusesADocumentWithoutAUsableKey) {
  for (auto text : {"", "null", "[]", "{}", R"({"keys":[]})", R"({"keys":{}})", R"({"a":"b"})",
                    R"({"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]})", "<html>", "{\"keys\":["}) {
    auto set = key_set::parse(text);
    ASSERT_FALSE(set) << text;
    EXPECT_EQ(set.error().code, errc::upstream_failed);
  }
}

} // namespace
} // namespace binnacle::integrations
