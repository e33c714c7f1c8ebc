#include "http/multipart.hpp"

#include <chrono>
#include <gtest/gtest.h>
#include <random>

namespace binnacle::http {
namespace {

using namespace std::string_literals;
constexpr auto type = "multipart/form-data; boundary=b";

std::string part(const std::string& disposition, const std::string& content) {
  return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n";
}
bool refused(const std::string& body, const std::string& of = type) {
  return !parse_form(of, body);
}

TEST(Multipart, GivesThePartsInTheirOrder) {
  auto parts =
      parse_form(type, part("name=\"csrf_token\"", "t") +
                           "--b\r\nContent-Type: image/png\r\ncontent-disposition: "
                           "FORM-DATA; name=avatar; filename=\"a.png\"\r\n\r\n\0\r\n--\r\n" +
                           "\r\n--b--\r\n"s)
          .value();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].name, "csrf_token");
  EXPECT_FALSE(parts[0].filename);
  EXPECT_EQ(parts[0].content, "t");
  EXPECT_EQ(parts[1].name, "avatar");
  EXPECT_EQ(parts[1].filename, "a.png");
  EXPECT_EQ(parts[1].content_type, "image/png");
}

TEST(Multipart, ContentMayLookLikeABoundary) {
  auto content = "\r\n-\r\n--\r\n--a\r\n\r\n--B--\r\n"s;
  EXPECT_EQ(parse_form(type, part("name=x", content) + "--b--").value()[0].content, content);
}

TEST(Multipart, ReadsNamesAsBrowsersWriteThem) {
  auto name = [](const std::string& text) {
    return parse_form(type, part("name=x; filename=" + text, "") + "--b--")
        .value()[0]
        .filename.value();
  };
  EXPECT_EQ(name("\"a%22b%0D%0Ac.png\""), "a\"b\r\nc.png");
  EXPECT_EQ(name("\"C:\\dir\\a.png\""), "C:\\dir\\a.png");
  EXPECT_EQ(name("\"a\\\"b.png\""), "a\"b.png");
  EXPECT_EQ(name("\"100%.png\""), "100%.png");
  EXPECT_EQ(name("\"größe; x.png\""), "größe; x.png");
  EXPECT_EQ(name("\"\""), "");
}

TEST(Multipart, AFormMayBeEmpty) {
  EXPECT_TRUE(parse_form(type, "--b--\r\n").value().empty());
  EXPECT_EQ(parse_form(type, part("name=x", "") + "--b--").value()[0].content, "");
}

TEST(Multipart, TakesBoundariesInQuotes) {
  auto body = "--a b?c\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n--a b?c--"s;
  EXPECT_EQ(
      parse_form("Multipart/Form-Data; charset=x; Boundary=\"a b?c\"", body).value()[0].content,
      "y");
}

TEST(Multipart, RefusesWhatIsNoWholeForm) {
  auto good = part("name=x", "y");
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(good));
  EXPECT_TRUE(refused("--c--"));
  EXPECT_TRUE(refused(good + "--bb--"));
  EXPECT_TRUE(refused("--b\r\n\r\ny\r\n--b--"));
  EXPECT_TRUE(refused(part("filename=x", "y") + "--b--"));
  EXPECT_TRUE(refused(part("name=\"x", "y") + "--b--"));
  EXPECT_TRUE(refused("--b\r\nContent-Disposition: attachment; name=x\r\n\r\ny\r\n--b--"));
  EXPECT_TRUE(refused("--b\r\nno colon\r\n\r\ny\r\n--b--"));
  EXPECT_TRUE(refused("preamble" + good + "--b--"));
  for (const auto* of :
       {"", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
        "text/plain; boundary=b", "multipart/form-data; boundary=\"b",
        "multipart/form-data; boundary=b\t"
        "ä"})
    EXPECT_TRUE(refused(good + "--b--", of)) << of;
  EXPECT_TRUE(refused(good + "--b--", "multipart/form-data; boundary=" + std::string(71, 'b')));
}

TEST(Multipart, HasLimits) {
  std::string many;
  for (std::size_t i = 0; i < most_form_parts; ++i) many += part("name=x", "y");
  EXPECT_FALSE(refused(many + "--b--"));
  EXPECT_TRUE(refused(many + part("name=x", "y") + "--b--"));
  EXPECT_TRUE(refused(part("name=" + std::string(longest_part_head, 'x'), "y") + "--b--"));
}

TEST(Multipart, WorkIsLinearInTheBody) {
  std::string hard = part("name=x", "");
  hard.resize(hard.size() - 2);
  while (hard.size() < 6'000'000) hard += "\r\n--\r\n--\r\n-";
  auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(refused(hard + "\r\n--b--"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds{1});
}

TEST(Multipart, SurvivesAnything) {
  std::mt19937 random{11};
  auto good = part("name=\"x\"; filename=\"a.png\"", "content") + part("name=y", "") + "--b--\r\n";
  for (int round = 0; round < 20'000; ++round) {
    auto body = good;
    for (auto n = random() % 6 + 1; n > 0; --n) {
      auto at = random() % body.size();
      switch (random() % 3) {
      case 0:
        body[at] = "\r\n-b\";=: \0"[random() % 10];
        break;
      case 1:
        body.erase(at, random() % 4);
        break;
      default:
        body.insert(at, good.substr(random() % good.size(), random() % 12));
      }
      if (body.empty()) break;
    }
    auto parts = parse_form(type, body);
    if (!parts) continue;
    for (auto& p : *parts) {
      EXPECT_EQ(p.content.find("\r\n--b"), p.content.npos);
      EXPECT_LE(p.content.data() + p.content.size(), body.data() + body.size());
    }
  }
}

} // namespace
} // namespace binnacle::http
