#include "integrations/mail.hpp"

#include "integrations/encoding.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace {

using namespace binnacle;

const auto noon = *parse_iso("2026-03-01T12:00:00Z");

mail::message some_mail() {
  return {.id = "mail_1",
          .from = "Harbour Master <office@harbour.example>",
          .to = "you@example.com",
          .subject = "Hello",
          .text = "Good day",
          .html = "<p>Good day</p>"};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

TEST(Mail, GoesToResendUnderItsIdAsKey) {
  auto call = mail::to_resend(some_mail(), "https://api.resend.com", secret{"re_1"}, seconds{5});

  EXPECT_EQ(call.method, "POST");
  EXPECT_EQ(call.url, "https://api.resend.com/emails");
  EXPECT_EQ(call.bearer.reveal(), "re_1");
  EXPECT_NE(std::find(call.headers.begin(), call.headers.end(),
                      std::pair<std::string, std::string>{"Idempotency-Key", "mail_1"}),
            call.headers.end());
  EXPECT_EQ(boost::json::parse(call.body), boost::json::parse(R"({
    "from": "Harbour Master <office@harbour.example>", "to": ["you@example.com"],
    "subject": "Hello", "text": "Good day", "html": "<p>Good day</p>"})"));
}

TEST(Mail, IsAWholeMessageForAMailServer) {
  auto text = mail::to_mime(some_mail(), noon);

  EXPECT_TRUE(has(text, "Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n")) << text;
  EXPECT_TRUE(has(text, "From: Harbour Master <office@harbour.example>\r\n"));
  EXPECT_TRUE(has(text, "To: you@example.com\r\nSubject: Hello\r\n"));
  EXPECT_TRUE(has(text, "Message-ID: <mail_1@harbour.example>\r\n"));
  EXPECT_TRUE(has(text, "\r\n\r\n" + integrations::to_base64("Good day") + "\r\n"));
  EXPECT_TRUE(text.ends_with("--b-mail_1--\r\n"));
}

TEST(Mail, EncodesHeadersThatAreNotAscii) {
  auto m = some_mail();
  m.from = "Büro <office@harbour.example>";
  m.subject =
      "Bestätige bitte dein Abonnement – es dauert nur einen kurzen Augenblick, versprochen";
  auto text = mail::to_mime(m, noon);

  EXPECT_TRUE(has(text, "From: =?UTF-8?B?" + integrations::to_base64("Büro") +
                            "?= <office@harbour.example>\r\n"))
      << text;
  for (std::size_t at = 0; at < text.size();) {
    auto end = text.find("\r\n", at);
    EXPECT_LE(end - at, 78u) << text.substr(at, end - at);
    at = end + 2;
  }
}

TEST(Mail, LetsNobodyAddHeaders) {
  auto m = some_mail();
  m.subject = "Hello\r\nBcc: everybody@example.com";

  EXPECT_FALSE(has(mail::to_mime(m, noon), "\r\nBcc:"));
}

TEST(Mail, SaysWhyItWasNotSent) {
  using integrations::http_answer;
  EXPECT_EQ(mail::reason_of(http_answer{
                .status = 422, .headers = {}, .body = R"({"message":"Invalid `to` field"})"}),
            "status 422: Invalid `to` field");
  EXPECT_EQ(mail::reason_of(http_answer{.status = 503, .headers = {}, .body = "451 later\r\n"}),
            "status 503: 451 later");
  EXPECT_EQ(mail::reason_of(fault{errc::upstream_failed, {}, {}, "reset"}), "reset");
}

TEST(Mail, SaysItInTextThatCanBeStored) {
  integrations::http_answer latin_1{
      .status = 422, .headers = {}, .body = "550 unbekannter Empf\xE4nger\r\n"};
  EXPECT_EQ(mail::reason_of(latin_1), "status 422: 550 unbekannter Empf\uFFFDnger");
}

} // namespace
