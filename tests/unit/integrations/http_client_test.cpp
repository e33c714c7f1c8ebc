#include "integrations/http_client.hpp"
#include "local_server.hpp"
#include "support.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <thread>

namespace binnacle::integrations {
namespace {

using namespace testing;
using namespace std::chrono_literals;

http_call get(const std::string& url) {
  http_call out;
  out.url = url;
  out.deadline = 60s;
  return out;
}

/// Answers every request of a connection with 200 and the request itself.
void echo(server_connection& c) {
  for (auto request = c.request(); !request.empty(); request = c.request())
    c.answer("200 OK", request);
}

local_server::behaviour always(const std::string& status, const std::string& body,
                               const std::string& headers = {}) {
  return [=](server_connection& c) {
    while (!c.request().empty()) c.answer(status, body, headers);
  };
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The detail of the failure; a test failure when there is an answer.
std::string failure(const result<http_answer>& r) {
  if (r) {
    ADD_FAILURE() << "answered " << r->status;
    return {};
  }
  EXPECT_EQ(r.error().code, errc::upstream_failed);
  EXPECT_EQ(classify(r), outcome::unreachable);
  return r.error().detail;
}

TEST(HttpClient, GivesStatusHeadersInLowerCaseAndBody) {
  local_server server{
      always("203 Fine", "hello", "X-Thing:  One \r\nx-thing: two\r\nX-Empty:\r\n")};
  auto r = http_client{}.send(get(server.url()));

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->status, 203);
  EXPECT_EQ(r->body, "hello");
  EXPECT_EQ(r->header("x-thing"), "One");
  EXPECT_EQ(r->header("x-empty"), "");
  EXPECT_EQ(r->header("absent"), "");
}

TEST(HttpClient, GivesEveryStatusAsAnAnswer) {
  for (auto status : {"200", "404", "429", "500", "503"}) {
    local_server server{always(std::string{status} + " X", "")};
    auto r = http_client{}.send(get(server.url()));
    ASSERT_TRUE(r) << status;
    EXPECT_EQ(std::to_string(r->status), status);
  }
}

TEST(HttpClient, SendsMethodHeadersBearerAndBody) {
  local_server server{echo};
  auto call = get(server.url("/a?b=c"));
  call.method = "POST";
  call.headers = {{"Accept", "application/json"}, {"X-Empty", ""}};
  call.bearer = secret{"t0ken"};
  call.body = std::string{"a\0b", 3};

  auto r = http_client{}.send(call);

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_TRUE(r->body.starts_with("POST /a?b=c HTTP/1.1\r\n"));
  EXPECT_TRUE(contains(r->body, "\r\nAccept: application/json\r\n"));
  EXPECT_TRUE(contains(r->body, "\r\nAuthorization: Bearer t0ken\r\n"));
  EXPECT_TRUE(contains(r->body, "\r\nX-Empty:"));
  EXPECT_TRUE(r->body.ends_with(call.body));
  for (auto unwanted : {"Accept-Encoding", "Expect", "Content-Type"})
    EXPECT_FALSE(contains(r->body, unwanted)) << unwanted;
}

TEST(HttpClient, SpeaksEveryMethod) {
  local_server server{echo};
  http_client client;
  for (std::string method : {"GET", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    auto call = get(server.url());
    call.method = method;
    auto r = client.send(call);
    ASSERT_TRUE(r) << method;
    EXPECT_TRUE(r->body.starts_with(method + " / ")) << method;
  }
  auto call = get(server.url());
  call.method = "DELETE";
  call.body = "x";
  auto r = client.send(call);
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->body.starts_with("DELETE / "));
  EXPECT_TRUE(r->body.ends_with("\r\n\r\nx"));
}

TEST(HttpClient, ReadsNoBodyAfterHead) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    c.request();
  }};
  auto call = get(server.url());
  call.method = "HEAD";
  auto r = http_client{}.send(call);
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->body, "");
}

TEST(HttpClient, KeepsItsConnectionButNothingOfTheCallBefore) {
  local_server server{echo};
  http_client client;
  auto first = get(server.url());
  first.method = "POST";
  first.bearer = secret{"t0ken"};
  first.body = "body";
  first.headers = {{"X-One", "1"}};
  ASSERT_TRUE(client.send(first));

  auto r = client.send(get(server.url()));

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(server.connections(), 1);
  EXPECT_TRUE(r->body.starts_with("GET "));
  for (auto unwanted : {"t0ken", "X-One", "body"}) EXPECT_FALSE(contains(r->body, unwanted));
}

TEST(HttpClient, GoesOnAfterAServerClosedItsConnection) {
  local_server server{[](server_connection& c) {
    c.request();
    c.answer("200 OK", "x");
  }};
  http_client client;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.send(get(server.url())));
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpClient, TakesOnlyTheHeadersOfTheFinalAnswer) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n");
    c.answer("200 OK", "x");
  }};
  auto r = http_client{}.send(get(server.url()));
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->status, 200);
  EXPECT_EQ(r->header("x-early"), "");
}

TEST(HttpClient, DoesNotFollowRedirects) {
  local_server target{always("200 OK", "secret place")};
  local_server server{always("302 Found", "", "Location: " + target.url() + "\r\n")};
  auto r = http_client{}.send(get(server.url()));
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->status, 302);
  EXPECT_EQ(target.connections(), 0);
}

TEST(HttpClient, IgnoresProxiesFromTheEnvironment) {
  local_server proxy{always("200 OK", "from the proxy")};
  local_server server{always("200 OK", "direct")};
  for (auto name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"})
    ::setenv(name, proxy.url().c_str(), 1);

  auto r = http_client{}.send(get(server.url()));

  for (auto name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->body, "direct");
  EXPECT_EQ(proxy.connections(), 0);
}

TEST(HttpClient, TakesACutOffBodyForNoAnswer) {
  for (auto bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
                     "HTTP/1.1 200 OK\r\nContent-Le", ""}) {
    local_server server{[=](server_connection& c) {
      c.request();
      c.send(bytes);
    }};
    EXPECT_NE(failure(http_client{}.send(get(server.url()))), "") << bytes;
  }
}

TEST(HttpClient, ReadsAChunkedBody) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  }};
  auto r = http_client{}.send(get(server.url()));
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->body, "abcde");
}

TEST(HttpClient, TakesAResetForNoAnswer) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    c.reset();
  }};
  EXPECT_NE(failure(http_client{}.send(get(server.url()))), "");
}

TEST(HttpClient, TakesGarbageAndOldHttpForNoAnswer) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("220 smtp.example.com ESMTP\r\n");
  }};
  EXPECT_NE(failure(http_client{}.send(get(server.url()))), "");
}

TEST(HttpClient, SaysThatNobodyListens) {
  auto port = [] { return local_server{[](server_connection&) {}}.port(); }();
  auto detail = failure(http_client{}.send(get("http://127.0.0.1:" + std::to_string(port))));
  EXPECT_TRUE(contains(detail, "127.0.0.1")) << detail;
}

TEST(HttpClient, EndsAtItsDeadline) {
  const local_server* self = nullptr;
  local_server server{[&](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    c.wait_for_the_end(self->stopping());
  }};
  self = &server;
  auto call = get(server.url());
  call.deadline = 200ms;

  auto detail = failure(http_client{}.send(call));

  EXPECT_TRUE(contains(detail, "timed out")) << detail;
}

TEST(HttpClient, EndsWhenItIsCancelledAndCanBeUsedAgain) {
  const local_server* self = nullptr;
  std::atomic<bool> hang{true}, reached{false}, cancel{false};
  local_server server{[&](server_connection& c) {
    c.request();
    reached = true;
    if (hang)
      c.wait_for_the_end(self->stopping());
    else
      c.answer("200 OK", "x");
  }};
  self = &server;
  std::thread canceller{[&] {
    while (!reached) std::this_thread::yield();
    cancel = true;
  }};
  http_client client;

  auto detail = failure(client.send(get(server.url()), &cancel));
  canceller.join();

  EXPECT_TRUE(contains(detail, "cancelled")) << detail;
  hang = false;
  EXPECT_TRUE(client.send(get(server.url())));
}

TEST(HttpClient, RefusesABodyBeyondTheLimitAnnouncedOrNot) {
  auto body = std::string(1001, 'x');
  local_server announced{always("200 OK", body)};
  local_server unannounced{[&](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\n\r\n" + body);
  }};
  for (const auto* server : {&announced, &unannounced}) {
    auto call = get(server->url());
    call.max_body = 1000;
    EXPECT_TRUE(contains(failure(http_client{}.send(call)), "larger than 1000"));
    call.max_body = 1001;
    EXPECT_TRUE(http_client{}.send(call));
  }
}

TEST(HttpClient, RefusesEndlessHeaders) {
  local_server server{[](server_connection& c) {
    c.request();
    c.send("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 4000; ++i)
      c.send("X-" + std::to_string(i) + ": " + std::string(90, 'x') + "\r\n");
    c.send("\r\n");
  }};
  EXPECT_TRUE(contains(failure(http_client{}.send(get(server.url()))), "too large"));
}

TEST(HttpClient, RefusesCallsThatCannotBeMeant) {
  local_server server{echo};
  http_client client;
  auto refuses = [&](auto change) {
    auto call = get(server.url());
    change(call);
    failure(client.send(call));
  };
  refuses([](http_call& c) { c.url = "file:///etc/passwd"; });
  refuses([](http_call& c) { c.url = "gopher://127.0.0.1/"; });
  refuses([](http_call& c) { c.url = ""; });
  refuses([](http_call& c) { c.url = "http://"; });
  refuses([](http_call& c) { c.url = "http://user:pw@127.0.0.1/"; });
  refuses([](http_call& c) { c.url += " HTTP/1.1\r\nX: y"; });
  refuses([](http_call& c) { c.method = "GET /x HTTP/1.1\r\nX:"; });
  refuses([](http_call& c) { c.method = ""; });
  refuses([](http_call& c) { c.headers = {{"X", "a\r\nY: b"}}; });
  refuses([](http_call& c) { c.headers = {{"X: y\r\nZ", "a"}}; });
  refuses([](http_call& c) { c.bearer = secret{"a\r\nY: b"}; });
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClient, NeverPutsASecretIntoAFault) {
  http_client client;
  for (auto url : {"http://127.0.0.1:1/", "http://no-such-host.invalid/", "nonsense://x"}) {
    auto call = get(url);
    call.bearer = secret{"s3cr3t"};
    EXPECT_FALSE(contains(failure(client.send(call)), "s3cr3t")) << url;
  }
}

// -- TLS -----------------------------------------------------------------------------------------

struct authority {
  pkey_ptr key = make_p256();
  std::string pem = certificate(key, {"Test CA", "", true, false});

  /// A certificate and its key, ready for a server or client.
  server_tls issue(const certificate_wishes& wishes) const {
    auto leaf = make_p256();
    return {certificate(leaf, wishes, &key, "Test CA"), private_pem(leaf), {}};
  }
};

class HttpClientTls : public ::testing::Test {
protected:
  authority ca_{};
  http_client client_{};

  http_call trusting(const local_server& server) const {
    auto call = get(server.url());
    call.tls.ca_pem = ca_.pem;
    return call;
  }
};

TEST_F(HttpClientTls, TrustsTheGivenAuthorityAndNoOther) {
  local_server server{echo, ca_.issue({})};
  EXPECT_TRUE(client_.send(trusting(server)));

  auto call = trusting(server);
  call.tls.ca_pem = authority{}.pem;
  EXPECT_NE(failure(client_.send(call)), "") << "although a connection is open already";
  call.tls.ca_pem = "";
  EXPECT_NE(failure(client_.send(call)), "") << "the system does not know it";
}

TEST_F(HttpClientTls, RefusesACertificateOfAnotherNameOrOfThePast) {
  local_server other{echo, ca_.issue({"x", "DNS:other.example", false, false})};
  EXPECT_NE(failure(client_.send(trusting(other))), "");
  local_server past{echo, ca_.issue({"x", "IP:127.0.0.1", false, true})};
  EXPECT_NE(failure(client_.send(trusting(past))), "");
}

TEST_F(HttpClientTls, ChecksAndSendsTheServerNameItIsGivenButKeepsTheHost) {
  std::string seen;
  local_server server{[&](server_connection& c) {
                        seen = c.server_name();
                        echo(c);
                      },
                      ca_.issue({"x", "DNS:kubernetes.default", false, false})};
  auto call = trusting(server);
  EXPECT_NE(failure(client_.send(call)), "");

  call.tls.server_name = "kubernetes.default";
  auto r = client_.send(call);

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(seen, "kubernetes.default");
  EXPECT_TRUE(contains(r->body, "\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"))
      << r->body;
}

TEST_F(HttpClientTls, ShowsItsClientCertificateWhenItHasOne) {
  auto tls = ca_.issue({});
  tls.client_authority = ca_.pem;
  std::string seen;
  local_server server{[&](server_connection& c) {
                        seen = c.client_name();
                        echo(c);
                      },
                      tls};
  auto me = ca_.issue({"admin", "DNS:admin", false, false});
  auto call = trusting(server);
  EXPECT_NE(failure(client_.send(call)), "");

  call.tls.client_cert_pem = me.certificate;
  call.tls.client_key_pem = secret{me.key};
  auto r = client_.send(call);

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(seen, "admin");
  call.tls.client_cert_pem.clear();
  EXPECT_NE(failure(client_.send(call)), "") << "an open connection is not used for a stranger";
}

TEST_F(HttpClientTls, VerifiesNothingOnlyWhereItIsToldSo) {
  local_server server{echo, ca_.issue({"x", "DNS:other.example", false, true})};
  auto call = get(server.url());
  call.tls.insecure = true;
  EXPECT_TRUE(client_.send(call));
  call.tls.insecure = false;
  EXPECT_NE(failure(client_.send(call)), "");
}

TEST_F(HttpClientTls, TakesACutOffBodyForNoAnswer) {
  local_server server{[](server_connection& c) {
                        c.request();
                        c.send("HTTP/1.1 200 OK\r\n\r\nno length, no closing alert");
                        c.reset();
                      },
                      ca_.issue({})};
  EXPECT_NE(failure(client_.send(trusting(server))), "");
}

TEST_F(HttpClientTls, IsNotKilledByAServerThatClosesWhileItSends) {
  local_server server{[](server_connection& c) { c.reset(); }, ca_.issue({})};
  auto call = trusting(server);
  call.method = "POST";
  call.body = std::string(8 * 1024 * 1024, 'x');
  for (int i = 0; i < 5; ++i) EXPECT_NE(failure(client_.send(call)), "");
}

} // namespace
} // namespace binnacle::integrations
