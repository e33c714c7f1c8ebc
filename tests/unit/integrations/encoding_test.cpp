#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <set>

namespace binnacle::integrations {
namespace {

RC_GTEST_PROP(Encoding, ReadsBackWhatItWrote, (const std::string& bytes)) {
  RC_ASSERT(from_base64(to_base64(bytes)) == bytes);
  RC_ASSERT(from_base64url(to_base64url(bytes)) == bytes);
  RC_ASSERT(from_hex(to_hex(bytes)) == bytes);
}

TEST(Encoding, KnowsTheVectorsOfRfc4648) {
  EXPECT_EQ(to_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(to_base64url("foob"), "Zm9vYg");
  EXPECT_EQ(to_base64url("\xFB\xFF"), "-_8");
  EXPECT_EQ(to_hex("\x01\xAB"), "01ab");
}

TEST(Encoding, RefusesAllButTheOneSpellingOfABase64urlText) {
  for (auto text : {"Zm9vYg==", "Zm9vYh", "Zm9v Yg", "Zm9vYg\n", "Zm9vY", "+/8", "Zm9.", "Zm\0v"})
    EXPECT_FALSE(from_base64url(text).has_value()) << text;
  EXPECT_EQ(from_base64url(""), "");
}

RC_GTEST_PROP(Encoding, HasOneSpellingForEachByteString, ()) {
  auto text = to_base64url(*rc::gen::arbitrary<std::string>());
  RC_PRE(!text.empty());
  auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  auto changed = text;
  changed[at] = static_cast<char>(changed[at] ^ *rc::gen::inRange(1, 256));
  auto bytes = from_base64url(changed);
  if (bytes) RC_ASSERT(to_base64url(*bytes) == changed);
}

TEST(Encoding, RefusesBytesPast0x7F) {
  for (int c = 0x80; c <= 0xFF; ++c) {
    std::string text(4, static_cast<char>(c));
    EXPECT_FALSE(from_base64(text) || from_base64url(text) || from_hex(text)) << c;
    text = std::string{"AAA"} + static_cast<char>(c);
    EXPECT_FALSE(from_base64(text) || from_base64url(text)) << c;
  }
}

TEST(Encoding, RefusesOddAndForeignHex) {
  for (auto text : {"0", "0g", "01 2", "0x01"}) EXPECT_FALSE(from_hex(text).has_value()) << text;
  EXPECT_EQ(from_hex("00fF"), (std::string{"\0\xFF", 2}));
}

TEST(Sha256, KnowsTheVectorOfFips180) {
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(RandomToken, IsAsLongAsAskedAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_token(32));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen.begin()->size(), 43u);
}

} // namespace
} // namespace binnacle::integrations
