#include "http/object_reply.hpp"

#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

using enum byte_range::kind;

std::string header(const response& r, std::string_view name) {
  for (const auto& [have, value] : r.headers)
    if (have == name) return value;
  return {};
}

std::shared_ptr<const integrations::object> of_type(std::string type, std::string bytes) {
  integrations::object_facts facts{std::move(type), "\"tag\"", 0, "Tue, 14 Nov 2023 22:13:20 GMT"};
  return std::make_shared<integrations::object>(std::move(facts), std::move(bytes));
}

class ObjectReply : public testing::Test {
protected:
  response reply() { return object_reply(req, found, caching::public_immutable); }
  void send(field f, std::string_view value) { req.fields[static_cast<std::size_t>(f)] = value; }

  request req{};
  std::shared_ptr<const integrations::object> found = of_type("image/webp", "0123456789");
};

TEST_F(ObjectReply, IsTheWholeObject) {
  auto r = reply();
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.content_type, "image/webp");
  EXPECT_EQ(r.part.size, 10U);
  EXPECT_EQ(header(r, "ETag"), "\"tag\"");
  EXPECT_EQ(header(r, "Accept-Ranges"), "bytes");
  EXPECT_EQ(header(r, "Content-Disposition"), "");
}

TEST_F(ObjectReply, IsNothingNewToWhoHasIt) {
  send(field::if_none_match, "\"other\", W/\"tag\"");
  send(field::range, "bytes=0-1");
  auto r = reply();
  EXPECT_EQ(r.status, 304);
  EXPECT_FALSE(r.part.of);
  EXPECT_EQ(header(r, "ETag"), "\"tag\"");
}

TEST_F(ObjectReply, IsNothingNewToWhoHasItsDate) {
  EXPECT_EQ(header(reply(), "Last-Modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
  send(field::if_modified_since, "Tue, 14 Nov 2023 22:13:20 GMT");
  EXPECT_EQ(reply().status, 304);
  send(field::if_none_match, "\"other\""); // counts alone
  EXPECT_EQ(reply().status, 200);
}

TEST_F(ObjectReply, IsSentAnewToWhoHasAnotherDateOrOneThatIsNone) {
  for (const auto* date : {"Tue, 14 Nov 2023 22:13:19 GMT", "yesterday", ""}) {
    send(field::if_modified_since, date);
    EXPECT_EQ(reply().status, 200) << date;
  }
}

TEST_F(ObjectReply, IsThePartThatWasAskedFor) {
  send(field::range, "bytes=2-5");
  auto r = reply();
  EXPECT_EQ(r.status, 206);
  EXPECT_EQ(r.part.begin, 2U);
  EXPECT_EQ(r.part.size, 4U);
  EXPECT_EQ(header(r, "Content-Range"), "bytes 2-5/10");
}

TEST_F(ObjectReply, NamesTheSizeWhenARangeIsBeyondIt) {
  send(field::range, "bytes=10-");
  auto r = reply();
  EXPECT_EQ(r.status, 416);
  EXPECT_EQ(header(r, "Content-Range"), "bytes */10");
}

TEST_F(ObjectReply, AnswersHeadAsIfThereWereNoRange) {
  req.verb = method::head;
  send(field::range, "bytes=2-5");
  EXPECT_EQ(reply().status, 200);
}

TEST_F(ObjectReply, IfRangeMustNameTheVeryObject) {
  send(field::range, "bytes=2-5");
  send(field::if_range, "\"tag\"");
  EXPECT_EQ(reply().status, 206);
  for (const auto* other : {"\"old\"", "W/\"tag\"", "Fri, 07 Feb 2025 03:10:02 GMT", ""}) {
    send(field::if_range, other);
    EXPECT_EQ(reply().status, 200) << other;
  }
}

TEST_F(ObjectReply, ShowsOnlyWhatCannotRunScripts) {
  for (const auto* type : {"text/html", "image/svg+xml", "application/pdf", "", "image/png/../x"}) {
    found = of_type(type, "x");
    EXPECT_EQ(reply().content_type, "application/octet-stream") << type;
    EXPECT_EQ(header(reply(), "Content-Disposition"), "attachment");
  }
  found = of_type("image/png; charset=x", "x");
  EXPECT_EQ(reply().content_type, "image/png");
}

TEST(Ranges, AreReadAsRfc9110Says) {
  EXPECT_EQ(read_range("bytes=0-0", 10), (byte_range{part, 0, 1}));
  EXPECT_EQ(read_range("bytes=3-", 10), (byte_range{part, 3, 7}));
  EXPECT_EQ(read_range("bytes=3-99", 10), (byte_range{part, 3, 7}));
  EXPECT_EQ(read_range("bytes=-3", 10), (byte_range{part, 7, 3}));
  EXPECT_EQ(read_range("bytes=-99", 10), (byte_range{part, 0, 10}));
  for (const auto* beyond : {"bytes=10-", "bytes=10-20", "bytes=-0"})
    EXPECT_EQ(read_range(beyond, 10).what, unsatisfiable) << beyond;
  EXPECT_EQ(read_range("bytes=0-", 0).what, unsatisfiable);
  for (const auto* ignored :
       {"", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "items=0-1",
        "bytes=1--2", "bytes=99999999999999999999-"})
    EXPECT_EQ(read_range(ignored, 10), (byte_range{whole, 0, 10})) << ignored;
}

} // namespace
} // namespace binnacle::http
