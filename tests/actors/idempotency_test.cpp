#include "actors/idempotency.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace binnacle {
namespace {

std::string key_of(std::string_view value) {
  auto key = parse_idempotency_key(value);
  return key ? *key : "refused: " + key.error().field;
}
constexpr auto refused = "refused: Idempotency-Key";

TEST(IdempotencyKey, IsTheSameQuotedOrBare) {
  EXPECT_EQ(key_of(R"("8e03978e-40d5-43dd-bc93-6894a57f9324")"),
            "8e03978e-40d5-43dd-bc93-6894a57f9324");
  EXPECT_EQ(key_of("8e03978e-40d5-43dd-bc93-6894a57f9324"), "8e03978e-40d5-43dd-bc93-6894a57f9324");
  EXPECT_EQ(key_of("order/7:a=b+c"), "order/7:a=b+c");
}

TEST(IdempotencyKey, MayHoldEscapesAndSpacesWhenQuoted) {
  EXPECT_EQ(key_of(R"("a \"b\" \\ c, d;e")"), R"(a "b" \ c, d;e)");
}

TEST(IdempotencyKey, IsRefusedWhenItIsNoStringAsTheDraftHasIt) {
  for (auto value :
       {"", R"("")", "\"", "a b", "a,b", "\"a\", \"b\"", "\"a\";b=1", "\"a\\x\"", "\"a\\\"", "a\"b",
        "\"a", "a\tb", "\"a\tb\"", "\"\x7f\"", "caf\xc3\xa9", "\"caf\xc3\xa9\""})
    EXPECT_EQ(key_of(value), refused) << value;
}

TEST(IdempotencyKey, HasAtMost255Characters) {
  EXPECT_EQ(key_of(std::string(255, 'k')).size(), 255U);
  EXPECT_EQ(key_of(std::string(256, 'k')), refused);
  EXPECT_EQ(key_of("\"" + std::string(255, 'k') + "\"").size(), 255U);
  EXPECT_EQ(key_of("\"" + std::string(256, 'k') + "\""), refused);
}

TEST(IdempotencyKey, CountsOnUnsafeMethodsOnly) {
  request r;
  r.fields[static_cast<std::size_t>(field::idempotency_key)] = "k";
  for (auto m : {method::post, method::put, method::patch, method::delete_}) {
    r.verb = m;
    EXPECT_TRUE(has_idempotency_key(r)) << to_string(m);
  }
  for (auto m : {method::get, method::head, method::options}) {
    r.verb = m;
    EXPECT_FALSE(has_idempotency_key(r)) << to_string(m);
  }
}

TEST(IdempotencyKey, ThatIsEmptyIsNoneThatIsAbsent) {
  request r;
  r.verb = method::post;
  EXPECT_FALSE(has_idempotency_key(r));
  r.fields[static_cast<std::size_t>(field::idempotency_key)] = "";
  EXPECT_TRUE(has_idempotency_key(r));
}

TEST(KeptAnswer, IsAnOutcomeAndNoFaultOfOursOrLackOfAccess) {
  for (auto status : {200, 201, 202, 204, 303, 400, 404, 409, 410, 422})
    EXPECT_TRUE(is_final(status));
  for (auto status : {401, 403, 408, 429, 500, 502, 503}) EXPECT_FALSE(is_final(status));
}

TEST(KeptAnswer, IsReadAsItWasWritten) {
  EXPECT_TRUE(rc::check([](const std::string& body, std::uint8_t cache, bool shared) {
    response r;
    r.status = *rc::gen::inRange(200, 500);
    r.content_type = "text/csv; charset=utf-8";
    r.cache = static_cast<caching>(cache % 4);
    r.headers = {{"Set-Cookie", "a=b: c; Path=/"}, {"Location", ""}};
    if (shared)
      r.shared = std::make_shared<const shared_body>(shared_body{.text = body});
    else
      r.body = body;

    auto read = unpack_answer(pack_answer(r));

    RC_ASSERT(read.has_value());
    RC_ASSERT(read->status == r.status);
    RC_ASSERT(read->content_type == r.content_type);
    RC_ASSERT(read->cache == r.cache);
    RC_ASSERT(read->headers == r.headers);
    RC_ASSERT(read->body == body);
  }));
}

TEST(KeptAnswer, ThatIsNoneIsRefused) {
  for (auto text : {"", "x", "200", "200 ", "200 x", "\n\nbody", "200 1 text/plain\nno colon\n\n"})
    EXPECT_FALSE(unpack_answer(text)) << text;
}

} // namespace
} // namespace binnacle
