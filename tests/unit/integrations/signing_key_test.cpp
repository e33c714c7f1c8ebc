#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"
#include "support.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <sys/stat.h>
#include <thread>

namespace binnacle::integrations {
namespace {

using namespace testing;
using namespace std::chrono_literals;

const time_point now = from_unix(1'700'000'000);

class SigningKey : public ::testing::Test {
protected:
  temporary_folder folder_;
  std::string file_ = folder_.file("keys/deep/signing.pem");

  std::shared_ptr<const signing_key> open() {
    auto key = signing_key::open(file_);
    if (!key) throw std::runtime_error{to_string(key.error())};
    return *key;
  }
};

token_claims some_claims() {
  token_claims out;
  out.issuer = "binnacle";
  out.subject = "usr_1";
  out.email = "ada@example.com";
  out.kind = "access";
  out.session_version = 7;
  out.issued_at = now;
  out.expires_at = now + 900s;
  return out;
}

issuer_settings ourselves() {
  issuer_settings out;
  out.issuer = out.audience = "binnacle";
  return out;
}

mode_t mode_of(const std::string& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0);
  return about.st_mode & 0777;
}

TEST_F(SigningKey, VerifiesWhatItSigned) {
  auto key = open();

  auto seen = verify_token(key->sign(some_claims()), ourselves(), *key->public_keys(), now, 0s);

  ASSERT_TRUE(seen) << to_string(seen.error());
  EXPECT_EQ(seen->subject, "usr_1");
  EXPECT_EQ(seen->email, "ada@example.com");
  EXPECT_EQ(seen->kind, "access");
  EXPECT_EQ(seen->session_version, 7);
  EXPECT_EQ(seen->issued_at, now);
  EXPECT_EQ(seen->expires_at, now + 900s);
  EXPECT_FALSE(
      verify_token(key->sign(some_claims()), ourselves(), *key->public_keys(), now + 900s, 0s));
}

TEST_F(SigningKey, SignsNoTwoTokensAlike) {
  auto key = open();
  EXPECT_NE(key->sign(some_claims()), key->sign(some_claims()));
}

TEST_F(SigningKey, MakesTheFileForItsOwnerOnlyAndUsesItAgain) {
  auto first = open();
  auto second = open();

  EXPECT_EQ(mode_of(file_), 0600u);
  EXPECT_EQ(mode_of(folder_.file("keys")), 0700u);
  EXPECT_EQ(mode_of(folder_.file("keys/deep")), 0700u);
  EXPECT_EQ(first->kid(), second->kid());
  EXPECT_TRUE(
      verify_token(first->sign(some_claims()), ourselves(), *second->public_keys(), now, 0s));
  auto files = std::distance(std::filesystem::directory_iterator{folder_.file("keys/deep")},
                             std::filesystem::directory_iterator{});
  EXPECT_EQ(files, 1) << "no temporary file stays";
}

TEST_F(SigningKey, IsOneKeyWhenManyOpenItAtOnce) {
  std::mutex lock;
  std::set<std::string> kids;
  std::vector<std::thread> openers;
  for (int i = 0; i < 8; ++i)
    openers.emplace_back([&] {
      auto key = open();
      std::lock_guard guard{lock};
      kids.insert(key->kid());
    });
  for (auto& t : openers) t.join();

  EXPECT_EQ(kids.size(), 1u);
}

TEST_F(SigningKey, HasTheThumbprintOfItsPublicKeyAsKid) {
  auto key = open();
  auto document = json::parse(key->jwks());
  ASSERT_TRUE(document);
  const auto& jwk = document->at("keys").at(0);

  EXPECT_EQ(jwk.at("kid").as_string(), key->kid());
  auto canonical = R"({"e":")" + std::string{jwk.at("e").as_string()} + R"(","kty":"RSA","n":")" +
                   std::string{jwk.at("n").as_string()} + R"("})";
  EXPECT_EQ(key->kid(), to_base64url(sha256(canonical)));
  EXPECT_EQ(document->at("keys").as_array().size(), 1u);
  for (auto name : {"d", "p", "q", "dp", "dq", "qi"})
    EXPECT_FALSE(jwk.as_object().contains(name)) << "the private part is not published";
}

TEST_F(SigningKey, IsUnderstoodByTheOpensslCommand) {
  auto key = open();
  auto token = key->sign(some_claims());
  auto dot = token.rfind('.');
  write_file(folder_.file("input"), token.substr(0, dot));
  write_file(folder_.file("signature"), *from_base64url(token.substr(dot + 1)));

  EXPECT_EQ(run("openssl pkey -in " + file_ + " -pubout -out " + folder_.file("public")), 0);
  EXPECT_EQ(run("openssl dgst -sha256 -verify " + folder_.file("public") + " -signature " +
                folder_.file("signature") + " " + folder_.file("input") + " >/dev/null"),
            0);
}

TEST_F(SigningKey, ReadsAKeyThatTheOpensslCommandMade) {
  std::filesystem::create_directories(folder_.file("keys/deep"));
  for (auto how : {"genrsa -out ", "genrsa -traditional -out "}) {
    std::filesystem::remove(file_);
    ASSERT_EQ(run(std::string{"openssl "} + how + file_ + " 2048 2>/dev/null"), 0);
    auto key = open();
    EXPECT_TRUE(verify_token(key->sign(some_claims()), ourselves(), *key->public_keys(), now, 0s));
  }
}

TEST_F(SigningKey, RefusesAFileThatHoldsNoUsableKeyAndLeavesItAlone) {
  file_ = folder_.file("signing.pem");
  for (const auto& content : {std::string{"junk"}, std::string{}, private_pem(make_p256()),
                              private_pem(make_rsa(1024)), public_pem(an_rsa_key())}) {
    write_file(file_, content);
    EXPECT_FALSE(signing_key::open(file_)) << content;
    EXPECT_EQ(read_file(file_), content);
  }
}

TEST_F(SigningKey, NamesTheFileItCannotMake) {
  write_file(folder_.file("plain"), "x");
  auto key = signing_key::open(folder_.file("plain/signing.pem"));
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().detail.find("plain/signing.pem"), std::string::npos);
  EXPECT_FALSE(signing_key::open(""));
}

TEST_F(SigningKey, MayBeUsedByManyThreadsAtOnce) {
  auto key = open();
  auto other = *key_set::parse(jwks_of(public_jwk(a_p256_key(), "e")));
  auto input = signing_input(
      json::object{{"alg", "ES256"}, {"kid", "e"}},
      json::object{{"iss", "i"}, {"aud", "i"}, {"sub", "s"}, {"exp", unix_seconds(now) + 60}});
  auto es_token = input + "." + to_base64url(es256(a_p256_key(), input));
  issuer_settings es_issuer;
  es_issuer.issuer = es_issuer.audience = "i";
  es_issuer.algorithm = "ES256";
  std::atomic<int> good{0};

  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto token = key->sign(some_claims());
        auto seen = verify_token(token, ourselves(), *key->public_keys(), now, 0s);
        if (seen && seen->subject == "usr_1") ++good;
        if (verify_token(es_token, es_issuer, *other, now, 0s)) ++good;
        token.back() = token.back() == 'A' ? 'Q' : 'A';
        if (!verify_token(token, ourselves(), *key->public_keys(), now, 0s)) ++good;
      }
    });
  for (auto& t : threads) t.join();

  EXPECT_EQ(good, 8 * 50 * 3);
}

} // namespace
} // namespace binnacle::integrations
