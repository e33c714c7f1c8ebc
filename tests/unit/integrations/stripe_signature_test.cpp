#include "integrations/stripe/signature.hpp"

#include <gtest/gtest.h>
#include <string>

namespace binnacle::stripe {
namespace {

using namespace std::chrono_literals;

// Made with openssl: printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
const std::string body = R"({"id":"evt_1"})";
const std::string vector = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
const std::string other_vector =
    "1b9b40d366f38c306ec22e2026487d69242603dc720c97afa9b300f557a28316"; // with whsec_next
const std::string wrong(64, '0');
const time_point signed_at = from_unix(1'700'000'000);

verdict verify(const std::string& header, std::vector<std::string> keys = {"whsec_test"},
               time_point now = signed_at, const std::string& what = body) {
  std::vector<secret> secrets;
  for (auto& key : keys) secrets.emplace_back(std::move(key));
  return verify_signature(header, what, secrets, 300s, now);
}

TEST(StripeSignatures, AreGenuineWhenOneMatches) {
  EXPECT_EQ(verify("t=1700000000,v1=" + vector), verdict::genuine);
  EXPECT_EQ(verify("t=1700000000, v1=" + wrong + ", v1=" + vector), verdict::genuine);
  EXPECT_EQ(verify("v0=abc,v1=" + vector + ",t=1700000000,foo=bar"), verdict::genuine);
}

TEST(StripeSignatures, MayBeMadeWithEitherSecretDuringARotation) {
  auto header = "t=1700000000,v1=" + other_vector;
  EXPECT_EQ(verify(header, {"whsec_test", "whsec_next"}), verdict::genuine);
  EXPECT_EQ(verify("t=1700000000,v1=" + vector, {"whsec_test", "whsec_next"}), verdict::genuine);
  EXPECT_EQ(verify(header, {"whsec_test"}), verdict::no_match);
}

TEST(StripeSignatures, DoNotMatchAnotherBodyTimeOrSecret) {
  EXPECT_EQ(verify("t=1700000000,v1=" + vector, {"whsec_test"}, signed_at, body + " "),
            verdict::no_match);
  EXPECT_EQ(verify("t=1700000001,v1=" + vector), verdict::no_match);
  EXPECT_EQ(verify("t=1700000000,v1=" + vector, {"whsec_other"}), verdict::no_match);
  EXPECT_EQ(verify("t=1700000000,v1=" + vector.substr(1)), verdict::no_match);
}

TEST(StripeSignatures, NeedASecret) {
  EXPECT_EQ(verify("t=1700000000,v1=" + vector, {}), verdict::no_match);
  EXPECT_EQ(verify("t=1700000000,v1=" + vector, {""}), verdict::no_match);
}

TEST(StripeSignatures, SayWhatIsMissing) {
  EXPECT_EQ(verify(""), verdict::no_header);
  EXPECT_EQ(verify("v1=" + vector), verdict::no_timestamp);
  EXPECT_EQ(verify("t=soon,v1=" + vector), verdict::no_timestamp);
  EXPECT_EQ(verify("t=-5,v1=" + vector), verdict::no_timestamp);
  EXPECT_EQ(verify("t=1700000000"), verdict::no_signature);
  EXPECT_EQ(verify("t=1700000000,v0=" + vector), verdict::no_signature);
}

TEST(StripeSignatures, AreGoodForFiveMinutes) {
  auto header = "t=1700000000,v1=" + vector;
  EXPECT_EQ(verify(header, {"whsec_test"}, signed_at + 300s), verdict::genuine);
  EXPECT_EQ(verify(header, {"whsec_test"}, signed_at + 301s), verdict::too_old);
  EXPECT_EQ(verify(header, {"whsec_test"}, signed_at - 300s), verdict::genuine);
  EXPECT_EQ(verify(header, {"whsec_test"}, signed_at - 301s), verdict::in_the_future);
}

} // namespace
} // namespace binnacle::stripe
