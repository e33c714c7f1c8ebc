#include "actors/known_keys.hpp"

#include "actors/api_keys.hpp"
#include "integrations/tokens.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <set>

namespace binnacle {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2026-03-10T12:00:00Z");
const secret present{"sk_" + std::string(64, 'a')};
const secret previous{"sk_" + std::string(64, 'b')};

persistence::verifiable_key rotated_key() {
  persistence::verifiable_key out;
  out.id = "01KEY";
  out.owner = {"usr_1"};
  out.client_id = "pk_" + std::string(32, '0');
  out.digest = integrations::sha256(present.reveal());
  out.previous_digest = integrations::sha256(previous.reveal());
  out.previous_until = noon + 1h;
  out.scopes = {"orders:read", "orders:write"};
  return out;
}

TEST(KnownKeys, AreGoodWithTheirSecret) {
  known_key key{rotated_key()};

  EXPECT_TRUE(verify(key, present, noon).valid);
  EXPECT_FALSE(verify(key, present, noon).secret_until);
  EXPECT_FALSE(verify(key, secret{"sk_" + std::string(64, 'c')}, noon).valid);
  EXPECT_FALSE(verify(key, secret{}, noon).valid);
}

TEST(KnownKeys, AreGoodWithTheSecretBeforeUntilTheStatedTime) {
  known_key key{rotated_key()};

  EXPECT_TRUE(verify(key, previous, noon + 1h - 1us).valid);
  EXPECT_EQ(verify(key, previous, noon).secret_until, noon + 1h);
  EXPECT_FALSE(verify(key, previous, noon + 1h).valid);
  EXPECT_TRUE(verify(key, present, noon + 1h).valid);
}

TEST(KnownKeys, AreNotGoodWithNoDigestAtAll) {
  auto never_rotated = rotated_key();
  never_rotated.previous_digest.clear();
  never_rotated.previous_until = {};
  known_key key{never_rotated};

  EXPECT_FALSE(verify(key, previous, noon).valid);
  EXPECT_FALSE(verify(key, previous, time_point{} - 1h).valid);
}

TEST(KnownKeys, HaveEveryScopeThatIsAskedFor) {
  known_key key{rotated_key()};

  for (const auto* some : {"", " ", "orders:read", "orders:write orders:read", " orders:read  "})
    EXPECT_TRUE(has_scopes(key, some)) << some;
  for (const auto* other :
       {"orders", "orders:read admin", "ORDERS:READ", "orders:read,orders:write"})
    EXPECT_FALSE(has_scopes(key, other)) << other;
}

TEST(KnownKeys, NoteAUseOnceAMinute) {
  known_key key{rotated_key()};

  EXPECT_TRUE(key.use(noon));
  EXPECT_FALSE(key.use(noon + 59s));
  EXPECT_TRUE(key.use(noon + 60s));

  auto used = rotated_key();
  used.last_used_at = noon;
  known_key read_again{used};
  EXPECT_FALSE(read_again.use(noon + 30s)); // another node, or this one, has noted it
}

TEST(KnownKeys, AreForgottenByOwner) {
  known_keys keys;
  auto other = rotated_key();
  other.client_id = "pk_other";
  other.owner = {"usr_2"};
  keys.keep("pk_mine", std::make_shared<known_key>(rotated_key()), keys.version());
  keys.keep("pk_other", std::make_shared<known_key>(other), keys.version());

  keys.forget(std::vector<persistence::change>{{persistence::topic::usage, {"usr_1"}}});
  EXPECT_TRUE(keys.find("pk_mine"));
  keys.forget(std::vector<persistence::change>{{persistence::topic::api_keys, {"usr_1"}}});
  EXPECT_FALSE(keys.find("pk_mine"));
  EXPECT_TRUE(keys.find("pk_other"));
  keys.forget(std::vector<persistence::change>{{persistence::topic::identity, {}}});
  EXPECT_FALSE(keys.find("pk_other"));
}

TEST(KnownKeys, AreNotKeptWhenSomethingWasForgottenMeanwhile) {
  known_keys keys;
  auto version = keys.version();
  keys.forget(user_id{"usr_2"});

  keys.keep("pk_1", std::make_shared<known_key>(rotated_key()), version);
  keys.keep("pk_2", nullptr, version);

  EXPECT_FALSE(keys.find("pk_1"));
  EXPECT_FALSE(keys.find("pk_2"));
}

TEST(KnownKeys, AreBoundedAndSoAreTheNamesOfNobody) {
  known_keys keys{160};
  std::size_t known = 0, nobodys = 0;
  for (int i = 0; i < 10'000; ++i) {
    keys.keep("pk_" + std::to_string(i), std::make_shared<known_key>(rotated_key()),
              keys.version());
    keys.keep("no_" + std::to_string(i), nullptr, keys.version());
  }
  for (int i = 0; i < 10'000; ++i) {
    known += keys.find("pk_" + std::to_string(i)).has_value();
    nobodys += keys.find("no_" + std::to_string(i)).has_value();
  }
  EXPECT_LE(known, 160U);
  EXPECT_LE(nobodys, 160U);
  EXPECT_GT(known, 0U);
}

TEST(KnownKeys, AreNamedByHexDigits) {
  EXPECT_TRUE(is_client_id("pk_" + std::string(32, 'f')));
  EXPECT_FALSE(is_client_id("pk_" + std::string(32, 'F')));
  EXPECT_FALSE(is_client_id("pk_" + std::string(31, 'f')));
  EXPECT_FALSE(is_client_id("sk_" + std::string(32, 'f')));
  EXPECT_TRUE(is_client_secret(present.reveal()));
  EXPECT_FALSE(is_client_secret("sk_" + std::string(64, 'g')));
  EXPECT_FALSE(is_client_secret(""));
}

RC_GTEST_PROP(MaskedSecrets, ShowFourCharactersAndNothingElse, ()) {
  auto digits =
      *rc::gen::container<std::string>(64, rc::gen::elementOf(std::string{"0123456789abcdef"}));
  auto text = masked(digits.substr(60));

  RC_ASSERT(text == "sk_***" + digits.substr(60));
  // Whatever the secret, two with the same end look the same.
  auto other =
      *rc::gen::container<std::string>(60, rc::gen::elementOf(std::string{"0123456789abcdef"}));
  RC_ASSERT(masked((other + digits.substr(60)).substr(60)) == text);
}

RC_GTEST_PROP(Scopes, AreWordsWithoutSpacesQuotesAndBackslashes, (const std::string& text)) {
  auto good = !text.empty() && text.size() <= 64;
  for (char c : text) good = good && c > ' ' && c < 127 && c != '"' && c != '\\';
  RC_ASSERT(is_scope(text) == good);
}

} // namespace
} // namespace binnacle
