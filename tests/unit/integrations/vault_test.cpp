#include "integrations/vault.hpp"
#include "support.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

namespace binnacle::integrations {
namespace {

using namespace testing;

std::shared_ptr<const vault> a_vault(char digit = 'a') {
  return *vault::open(secret{std::string(64, digit)}, "");
}

RC_GTEST_PROP(Vault, OpensWhatItSealed, (const std::string& text, const std::string& context)) {
  auto v = a_vault();
  auto opened = v->unseal(v->seal(secret{text}, context), context);
  RC_ASSERT(opened.has_value());
  RC_ASSERT(opened->reveal() == text);
}

RC_GTEST_PROP(Vault, RefusesASealedTextWithAnyByteChanged, ()) {
  static const auto v = a_vault();
  static const auto sealed = v->seal(secret{"a token"}, "kubeconfig:clu_1");
  auto at = *rc::gen::inRange<std::size_t>(0, sealed.size());
  auto flip = *rc::gen::inRange(1, 256);
  auto changed = sealed;
  changed[at] = static_cast<char>(changed[at] ^ flip);
  RC_ASSERT(!v->unseal(changed, "kubeconfig:clu_1").has_value());
}

TEST(Vault, SealsTheSameTextDifferentlyEachTimeAndShowsNothingOfIt) {
  auto v = a_vault();
  auto one = v->seal(secret{"visible?"}, "c"), two = v->seal(secret{"visible?"}, "c");
  EXPECT_NE(one, two);
  EXPECT_TRUE(one.starts_with("v1:"));
  EXPECT_EQ(one.find("visible"), std::string::npos);
}

TEST(Vault, DoesNotOpenUnderAnotherContext) {
  auto v = a_vault();
  auto opened = v->unseal(v->seal(secret{"x"}, "kubeconfig:clu_1"), "kubeconfig:clu_2");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, errc::internal);
  EXPECT_NE(opened.error().text.find("another record"), std::string::npos);
}

TEST(Vault, SaysThatATextWasSealedWithAnotherKey) {
  auto opened = a_vault('b')->unseal(a_vault('a')->seal(secret{"x"}, "c"), "c");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, errc::internal);
  EXPECT_NE(opened.error().text.find("another key"), std::string::npos);
}

TEST(Vault, RefusesWhatIsNoSealedText) {
  auto v = a_vault();
  for (auto text : {"", "v1", "v1:", "v1::", "v1:abc", "v1:abc:AAAA", "v2:a:b", "plain", "v1:a:!"})
    EXPECT_FALSE(v->unseal(text, "c")) << text;
}

TEST(Vault, FingerprintsTellTextsKeysAndContextsApart) {
  auto first = *vault::open(secret{std::string(64, '1')}, ""),
       second = *vault::open(secret{std::string(64, '2')}, "");

  EXPECT_EQ(first->fingerprint("a", "c"), first->fingerprint("a", "c"));
  EXPECT_EQ(first->fingerprint("a", "c").size(), 32U);
  EXPECT_NE(first->fingerprint("a", "c"), first->fingerprint("b", "c"));
  EXPECT_NE(first->fingerprint("a", "c"), first->fingerprint("a", "d"));
  EXPECT_NE(first->fingerprint("a", "c"), second->fingerprint("a", "c"));
}

TEST(Vault, MakesItsKeyFileOnceForItsOwnerOnly) {
  temporary_folder folder;
  auto file = folder.file("secrets/vault.key");
  auto first = *vault::open({}, file), second = *vault::open({}, file);

  struct stat about {};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(second->unseal(first->seal(secret{"x"}, "c"), "c")->reveal(), "x");
  EXPECT_EQ(read_file(file).size(), 65u);
}

TEST(Vault, PrefersTheGivenKeyAndMakesNoFileThen) {
  temporary_folder folder;
  ASSERT_TRUE(vault::open(secret{std::string(64, '0')}, folder.file("key")));
  struct stat about {};
  EXPECT_NE(::stat(folder.file("key").c_str(), &about), 0);
}

TEST(Vault, RefusesAKeyThatIsNot64HexDigits) {
  temporary_folder folder;
  for (const auto& key : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g')}) {
    auto v = vault::open(secret{key}, "");
    ASSERT_FALSE(v) << key;
    EXPECT_EQ(to_string(v.error()).find(key), std::string::npos) << "the key is not shown";
    write_file(folder.file("key"), key);
    EXPECT_FALSE(vault::open({}, folder.file("key"))) << key;
  }
}

} // namespace
} // namespace binnacle::integrations
