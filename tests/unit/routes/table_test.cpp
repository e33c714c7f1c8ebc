#include "http/routes/table.hpp"

#include "actors/admission.hpp"
#include "http/router.hpp"
#include "http/routes/hub/handlers.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/surfaces.hpp"

#include <gtest/gtest.h>
#include <set>

namespace binnacle::http {
namespace {

std::string name_of(const route& r) {
  return std::string{to_string(r.verb)} + " " + std::string{r.path};
}

TEST(RouteTable, DeclaresAccessSurfaceAndHandlerOfEveryRoute) {
  ASSERT_FALSE(all_routes().empty());

  for (const auto& r : all_routes()) {
    EXPECT_NE(r.who, access::undeclared) << name_of(r);
    EXPECT_NE(r.face, nullptr) << name_of(r);
    EXPECT_NE(r.run, nullptr) << name_of(r);
    EXPECT_TRUE(r.path.starts_with('/')) << name_of(r);
    EXPECT_FALSE(r.path.ends_with('/')) << name_of(r);
  }
}

TEST(RouteTable, GuardsEveryWriteThatACookieCouldAuthorise) {
  for (const auto& r : all_routes()) {
    auto by_cookie =
        !r.face->session_cookie.empty() && (r.who == access::user || r.who == access::admin);
    if (is_unsafe(r.verb) && by_cookie) {
      EXPECT_NE(r.csrf, csrf::none) << name_of(r);
    }
  }
}

TEST(RouteTable, DemandsAnAdministratorBelowAdmin) {
  for (const auto& r : all_routes()) {
    if (r.path.starts_with("/api/admin/")) {
      EXPECT_EQ(r.who, access::admin) << name_of(r);
    }
  }
}

TEST(RouteTable, LimitsEveryRouteThatChecksAPassword) {
  for (const auto& r : all_routes()) {
    auto checks = r.path == "/api/auth/login" || r.path == "/api/auth/change-password" ||
                  (r.path == "/api/setup" && r.verb == method::post);
    if (checks) {
      EXPECT_NE(r.limit, limit_class::none) << name_of(r);
    }
  }
}

TEST(RouteTable, HasEveryMethodAndPathOnce) {
  std::set<std::string> seen;

  for (const auto& r : all_routes())
    EXPECT_TRUE(seen.insert(std::string{r.face->name} + " " + name_of(r)).second) << name_of(r);
  for (const auto& r : direct_routes())
    EXPECT_TRUE(seen.insert(std::string{r.path}).second) << r.path;
}

TEST(RouteTable, KeepsOnlyAnswersToGet) {
  for (const auto& r : all_routes()) {
    if (r.cache.keep) {
      EXPECT_EQ(r.verb, method::get) << name_of(r);
      EXPECT_NE(r.cache.topics, 0) << name_of(r);
    }
  }
}

TEST(RouteTable, PrefersALiteralToAUserId) {
  settings config;
  router find{all_routes(), config};

  auto literal = find.find(method::get, "/api/admin/usage/check-database", "localhost");
  auto user = find.find(method::get, "/api/admin/usage/usr_1", "localhost");

  ASSERT_EQ(literal.what, match::outcome::found);
  EXPECT_EQ(literal.to->run, &get_check_database);
  ASSERT_EQ(user.what, match::outcome::found);
  EXPECT_EQ(user.to->run, &get_user_usage);
  EXPECT_EQ(user.params, std::vector<std::string>{"usr_1"});
}

TEST(RouteTable, NeverTakesTheWordCollectForAUserId) {
  settings config;
  router find{all_routes(), config};

  auto wrong = find.find(method::get, "/api/admin/usage/collect", "localhost");

  EXPECT_EQ(wrong.what, match::outcome::wrong_method);
  EXPECT_EQ(wrong.to->run, &post_admin_collect);
}

TEST(RouteTable, GivesTheRestOfAPathToItsLastParameter) {
  settings config;
  router find{all_routes(), config};

  auto deep = find.find(method::head, "/r2-ai/ai-video/results/a%2Db", "localhost");

  ASSERT_EQ(deep.what, match::outcome::found);
  EXPECT_EQ(deep.to->run, &get_ai_object);
  EXPECT_EQ(deep.params, std::vector<std::string>{"ai-video/results/a-b"});
  EXPECT_EQ(find.find(method::get, "/r2/a", "localhost").params, std::vector<std::string>{"a"});
  EXPECT_EQ(find.find(method::get, "/r2", "localhost").what, match::outcome::not_found);
  EXPECT_EQ(find.find(method::post, "/r2/a/b", "localhost").what, match::outcome::wrong_method);
}

TEST(RouteTable, TakesNoDetourForTheRestOfAPath) {
  settings config;
  router find{all_routes(), config};

  for (const auto* path :
       {"/r2/", "/r2/a/", "/r2//a", "/r2/a/../b", "/r2/%2e%2e/a", "/r2/./a", "/r2/a%2Fb",
        "/r2/a%5Cb", "/r2/a%00", "/r2/a%0A", "/r2/%zz", "/r2/%ff"}) {
    auto found = find.find(method::get, path, "localhost");
    EXPECT_EQ(found.what, match::outcome::bad_parameter) << path;
    EXPECT_EQ(found.params.size(), 1U) << path;
  }
}

} // namespace
} // namespace binnacle::http
