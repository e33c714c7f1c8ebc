#include "integrations/hopsworks.hpp"

#include <gtest/gtest.h>

namespace binnacle::hopsworks {
namespace {

using namespace std::chrono_literals;
using integrations::http_answer;

http_answer said(std::string body, int status = 200) {
  return {.status = status, .headers = {}, .body = std::move(body)};
}

TEST(Hopsworks, IsFoundWhereverItsAddressEnds) {
  for (const auto* url :
       {"https://one.example", "https://one.example/", "https://one.example//",
        "https://one.example/hopsworks-api/api", "https://one.example/hopsworks-api/api/"}) {
    EXPECT_EQ(address_of(url), "https://one.example") << url;
    EXPECT_EQ(to_http(list_users(), {url, secret{"k"}, true}, 1s).url,
              "https://one.example/hopsworks-api/api/admin/users");
  }
  EXPECT_EQ(address_of("https://one.example/base/hopsworks-api/api"), "https://one.example/base");
}

TEST(Hopsworks, IsCalledWithItsKeyAndVerifiedUnlessTheClusterSaysOtherwise) {
  auto call = to_http(set_status(7, 3), {"https://one", secret{"k"}, false}, 2s);

  EXPECT_EQ(call.method, "PUT");
  EXPECT_EQ(call.url, "https://one/hopsworks-api/api/admin/users/7");
  EXPECT_EQ(call.body, R"({"status":3})");
  EXPECT_EQ(call.scheme, "ApiKey");
  EXPECT_EQ(call.bearer.reveal(), "k");
  EXPECT_EQ(call.deadline, 2s);
  EXPECT_TRUE(call.tls.insecure);
  EXPECT_FALSE(to_http(list_users(), {"https://one", secret{"k"}, true}, 2s).tls.insecure);
}

TEST(Hopsworks, MakesUsersByAQueryWithoutABody) {
  auto call = create_user({.email = "a+b@example.com",
                           .given_name = "Ana",
                           .surname = "d'Ávila",
                           .max_projects = 5,
                           .subject = "auth0|1",
                           .client_id = "client"});

  EXPECT_EQ(call.method, "POST");
  EXPECT_TRUE(call.body.empty());
  EXPECT_EQ(call.path, "/admin/users?accountType=REMOTE_ACCOUNT_TYPE&email=a%2Bb%40example.com&"
                       "givenName=Ana&surname=d%27%C3%81vila&maxNumProjects=5&subject=auth0%7C1&"
                       "clientId=client&type=OAUTH2");
}

TEST(Hopsworks, EscapesTheAddressOfAMember) {
  auto call = add_member(3, "a/../b@example.com", "Observer");

  EXPECT_EQ(call.path, "/project/3/projectMembers/a%2F..%2Fb%40example.com");
  EXPECT_EQ(call.body, R"({"projectTeam":"Observer"})");
}

TEST(Hopsworks, ListsUsersAndFindsOneByEmailAmongThoseWhoLogInByAnIssuer) {
  auto users = read_users(said(R"({"count":3,"items":[
    {"id":1,"username":"a1","email":"ana@example.com","accountType":"M_ACCOUNT_TYPE","status":2},
    {"id":2,"username":"a2","email":"Ana@Example.com","accountType":"OAUTH2","status":3,
     "maxNumProjects":5,"numActiveProjects":2,"activated":1738413296000},
    {"id":3,"username":"a3","email":"ana@example.com","accountType":"REMOTE_ACCOUNT_TYPE"}]})"));

  ASSERT_TRUE(users);
  auto found = user_with_email(*users, "ana@EXAMPLE.com");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, 2);
  EXPECT_EQ(found->status, 3);
  EXPECT_EQ(found->active_projects, 2);
  EXPECT_EQ(found->activated, "2025-02-01T12:34:56.000Z");
  EXPECT_FALSE(user_with_email(*users, ""));
  EXPECT_FALSE(user_with_email(*users, "ben@example.com"));
}

TEST(Hopsworks, ListsProjectsWithTheirCreators) {
  auto projects = read_projects(said(R"({"items":[
    {"id":9,"name":"churn","created":"2025-01-15T08:00:00.000Z","creator":{"id":2,"username":"a2"}},
    {"id":10,"name":"fraud","creator":{"href":"x"}}]})"));

  ASSERT_TRUE(projects);
  EXPECT_EQ((*projects)[0].owner, "a2");
  EXPECT_EQ((*projects)[0].created, "2025-01-15T08:00:00.000Z");
  EXPECT_EQ((*projects)[1].owner, "");
}

TEST(Hopsworks, AnEmptyListIsOneWithoutItems) {
  EXPECT_EQ(read_projects(said(R"({"count":0})"))->size(), 0u);
  EXPECT_EQ(read_projects(said(R"({"href":"x"})"))->size(), 0u);
}

TEST(Hopsworks, RefusesWhatIsNotOfTheForm) {
  for (const auto* body :
       {"", "{", "[]", "{}", R"({"items":{}})", R"({"items":[1]})", R"({"items":[{"id":"1"}]})",
        R"({"items":[{"id":1}]})", R"({"items":[{"id":0,"username":"x"}]})",
        R"({"items":[{"id":1,"username":2}]})"}) {
    auto read = read_users(said(body));
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().code, errc::upstream_failed);
  }
}

TEST(Hopsworks, TellsAnAdminWhatIsWrongAndTheLogWhatWasSaid) {
  auto body = R"({"errorCode":160002,"errorMsg":"internal words","usrMsg":"words"})";

  EXPECT_EQ(read_user(said(body, 404)).error().code, errc::not_found);
  EXPECT_EQ(read_user(said(body, 401)).error().text,
            "Hopsworks rejected the API key of the cluster");
  EXPECT_EQ(read_user(said(body, 500)).error().detail, "500: words");
  EXPECT_EQ(read_user(said("<html>", 502)).error().code, errc::upstream_failed);
}

TEST(Hopsworks, WhatWasSaidIsTextThatCanBeStored) {
  auto detail = [](std::string body) {
    return read_done(said(std::move(body), 403)).error().detail;
  };
  std::string many, as_many_as_fit = "403: x";
  for (int i = 0; i < 400; ++i) many += "\u00e4";
  for (int i = 0; i < 249; ++i) as_many_as_fit += "\u00e4";
  EXPECT_EQ(detail(R"({"errorMsg":"x)" + many + R"("})"), as_many_as_fit);
  EXPECT_EQ(detail("Zugriff verweigert f\xFCr alle"), "403: Zugriff verweigert f\uFFFDr alle");
}

TEST(Hopsworks, WhoIsAMemberAlreadyIsAdded) {
  EXPECT_TRUE(read_added(said("", 200)));
  EXPECT_TRUE(read_added(said(R"({"errorMsg":"User is already a member"})", 400)));
  EXPECT_TRUE(read_added(said(R"({"errorMsg":"The member exists."})", 409)));
  EXPECT_FALSE(read_added(said(R"({"errorMsg":"User does not exist."})", 404)));
  EXPECT_FALSE(read_added(said(R"({"errorMsg":"already"})", 500)));
}

} // namespace
} // namespace binnacle::hopsworks
