#include "http/routes/body.hpp"

#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

request with(std::string body, std::string_view type = "application/json") {
  request out;
  out.body = std::move(body);
  out.fields[static_cast<std::size_t>(field::content_type)] = type;
  return out;
}

TEST(JsonFields, TakesJsonAndNothingElse) {
  EXPECT_TRUE(json_fields::of(with("{}")));
  EXPECT_TRUE(json_fields::of(with("{}", "")));
  EXPECT_TRUE(json_fields::of(with("{}", "Application/JSON; charset=utf-8")));
  EXPECT_TRUE(json_fields::of(with("{}", "application/merge-patch+json")));
  EXPECT_EQ(json_fields::of(with("{}", "text/plain")).error().code, errc::unsupported_media_type);
  EXPECT_EQ(json_fields::of(with("a=b", "application/x-www-form-urlencoded")).error().code,
            errc::unsupported_media_type);
}

TEST(JsonFields, RefusesWhatIsNoObject) {
  EXPECT_EQ(json_fields::of(with("")).error().code, errc::bad_request);
  EXPECT_EQ(json_fields::of(with("[1]")).error().code, errc::bad_request);
  EXPECT_EQ(json_fields::of(with("{\"a\":")).error().code, errc::bad_request);
  EXPECT_EQ(json_fields::of(with("null")).error().code, errc::bad_request);
}

TEST(JsonFields, TakesNoBodyWhereItIsOptional) {
  auto body = json_fields::of_optional(with("", ""));

  ASSERT_TRUE(body);
  EXPECT_FALSE(body->maybe_text("anything"));
  EXPECT_FALSE(body->problem());
}

TEST(JsonFields, KeepsEveryProblemBehindTheFirst) {
  auto body = json_fields::of(with(R"({"a":1,"b":2,"c":"good"})"));
  for (const auto* name : {"a", "b", "c"}) body->text(name);

  ASSERT_TRUE(body->problem());
  EXPECT_EQ(body->problem()->field, "a");
  ASSERT_EQ(body->problem()->fields.size(), 2u);
  EXPECT_EQ(body->problem()->fields[1].field, "b");
  EXPECT_EQ(body->problem()->fields[1].text, "b must be a string");
}

TEST(JsonFields, NamesAllMissingFieldsAtOnce) {
  auto body = json_fields::of(with(R"({"b":"","c":null,"d":0,"e":"x"})"));

  body->require({"a", "b", "c", "d", "e"});

  ASSERT_TRUE(body->problem());
  EXPECT_EQ(body->problem()->field, "a, b, c");
  EXPECT_EQ(body->problem()->text, "Missing required fields: a, b, c");
}

TEST(JsonFields, ReadsEveryKind) {
  auto body = json_fields::of(
      with(R"({"t":"ü","n":7,"yes":true,"at":"2025-02-07T03:00:00+01:00","null":null})"));

  EXPECT_EQ(body->text("t"), "ü");
  EXPECT_EQ(body->maybe_integer("n", 0, 10), 7);
  EXPECT_TRUE(body->truth("yes", false));
  EXPECT_EQ(format_iso_s(*body->maybe_time("at")), "2025-02-07T02:00:00Z");
  EXPECT_FALSE(body->maybe_text("null"));
  EXPECT_FALSE(body->problem());
}

TEST(JsonFields, TakesAWholeNumberHoweverItIsWritten) {
  auto body = json_fields::of(with(R"({"a":100.0,"b":1e2,"c":100.5,"d":1e300})"));

  EXPECT_EQ(body->maybe_integer("a", 0, 100), 100);
  EXPECT_EQ(body->maybe_integer("b", 0, 100), 100);
  EXPECT_FALSE(body->problem());
  EXPECT_FALSE(body->maybe_integer("c", 0, 1'000));
  EXPECT_FALSE(body->maybe_integer("d", 0, std::numeric_limits<std::int64_t>::max()));
}

TEST(JsonFields, NamesAFieldOfTheWrongKind) {
  auto problem_of = [](auto read) {
    auto body = json_fields::of(with(
        R"({"t":5,"n":"7","half":0.5,"big":11,"flag":"yes","at":"tomorrow","nul":"a\u0000b"})"));
    read(*body);
    return body->problem() ? body->problem()->field : std::string{};
  };

  EXPECT_EQ(problem_of([](auto& b) { b.text("t"); }), "t");
  EXPECT_EQ(problem_of([](auto& b) { b.maybe_integer("n", 0, 10); }), "n");
  EXPECT_EQ(problem_of([](auto& b) { b.maybe_integer("half", 0, 10); }), "half");
  EXPECT_EQ(problem_of([](auto& b) { b.maybe_integer("big", 0, 10); }), "big");
  EXPECT_EQ(problem_of([](auto& b) { b.truth("flag", false); }), "flag");
  EXPECT_EQ(problem_of([](auto& b) { b.maybe_time("at"); }), "at");
  EXPECT_EQ(problem_of([](auto& b) { b.text("nul"); }), "nul");
}

TEST(JsonFields, RefusesTimesThatNoClockHolds) {
  auto body = json_fields::of(with(R"({"late":"9999-12-31T23:59:59Z"})"));

  EXPECT_FALSE(body->maybe_time("late"));
  EXPECT_TRUE(body->problem());
}

TEST(JsonFields, RefusesTextThatIsTooLong) {
  auto body = json_fields::of(with(R"({"name":"12345"})"));

  EXPECT_EQ(body->text("name", 4), "");
  EXPECT_EQ(body->problem()->text, "name is too long");
}

TEST(JsonFields, RefusesFieldsThatNobodyKnowsWhereThatMatters) {
  auto body = json_fields::of(with(R"({"known":1,"other":2})"));
  ASSERT_TRUE(body);

  body->refuse_others({"known", "other"});
  EXPECT_FALSE(body->problem());
  body->refuse_others({"known"});
  ASSERT_TRUE(body->problem());
  EXPECT_EQ(body->problem()->field, "other");
}

TEST(JsonFields, KeepsTheFirstProblem) {
  auto body = json_fields::of(with(R"({"a":1,"b":2})"));

  body->text("a");
  body->text("b");

  EXPECT_EQ(body->problem()->field, "a");
}

} // namespace
} // namespace binnacle::http
