#include "config/base/json.hpp"

#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace {

using namespace binnacle;

TEST(Json, WritesPlainDecimalsAndLeavesSlashesAndUmlautsAlone) {
  json::object o{{"hours", *decimal::parse("42.75")}, {"path", "/a/ü"}, {"n", 1}, {"b", true}};
  EXPECT_EQ(json::to_text(std::move(o)), R"({"hours":42.75,"path":"/a/ü","n":1,"b":true})");
}

TEST(Json, EscapesWhatMustBeEscaped) {
  EXPECT_EQ(json::to_text(json::value{"\"\\\n\x01"}), R"("\"\\\n\u0001")");
}

TEST(Json, ReplacesInvalidUtf8) {
  EXPECT_EQ(json::to_text(json::value{std::string{"a\xC0\xAF"}}), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(json::to_text(json::value{std::string{"\xED\xA0\x80"}}),
            "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(Json, RefusesMalformedDocuments) {
  for (auto* text : {"", "{", "{}x", "{'a':1}", "[1,]", "\"\xC0\xAF\"", "nul"})
    EXPECT_FALSE(json::parse(text)) << text;
}

TEST(Json, RefusesANameGivenTwice) {
  EXPECT_FALSE(json::parse(R"({"amount":1,"amount":2})"));
  EXPECT_FALSE(json::parse(R"({"a":{"b":1,"b":2}})"));
  EXPECT_TRUE(json::parse(R"([{"a":1},{"a":2}])"));
}

TEST(Json, LimitsDepth) {
  std::string deep(json::max_depth, '[');
  EXPECT_TRUE(json::parse(deep + std::string(json::max_depth, ']')));
  deep.push_back('[');
  EXPECT_FALSE(json::parse(deep + std::string(json::max_depth + 1, ']')));
}

} // namespace
