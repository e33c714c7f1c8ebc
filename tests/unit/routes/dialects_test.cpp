#include "config/base/json.hpp"
#include "exchange_stub.hpp"
#include "http/surfaces.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

using testing::exchange_stub;

constexpr std::array all_surfaces{&hub, &assinante, &gateway, &platform, &developer, &operations};

fault failing(errc code) { return {code, {}, {}, "internals: 10.0.0.7"}; }

TEST(Dialects, RenderEveryErrorOfEverySurfaceAsValidJson) {
  for (const auto* face : all_surfaces)
    for (int i = 1; i < static_cast<int>(errc::count_); ++i) {
      exchange_stub x{"/api/auth/login"};
      auto code = static_cast<errc>(i);

      auto out = face->render(failing(code), x);

      auto body = json::parse(out.body); // validates UTF-8 as well
      ASSERT_TRUE(body) << face->name << " " << out.body;
      EXPECT_TRUE(body->is_object());
      EXPECT_GE(out.status, 400) << face->name << " " << i;
      EXPECT_EQ(out.cache, caching::no_store);
      EXPECT_EQ(out.body.find("10.0.0.7"), std::string::npos) << out.body;
      EXPECT_TRUE(out.content_type.starts_with("application/json"));
    }
}

TEST(Dialects, KeepTheStatusOfTheCode) {
  exchange_stub x{"/api/anything"};

  for (const auto* face : all_surfaces)
    for (int i = 1; i < static_cast<int>(errc::count_); ++i) {
      auto code = static_cast<errc>(i);
      EXPECT_EQ(face->render(failing(code), x).status, describe(code).status) << face->name;
    }
}

TEST(Dialects, RenderProblemDetailsWhenAskedForAndNothingElse) {
  exchange_stub x{"/api/usage"};
  x.req.fields[static_cast<std::size_t>(field::accept)] =
      "text/html, Application/Problem+JSON;q=0.5";

  for (const auto* face : all_surfaces) {
    auto out = face->render(failing(errc::not_found), x);
    auto body = json::parse(out.body);
    ASSERT_TRUE(body);
    EXPECT_EQ(out.content_type, "application/problem+json");
    EXPECT_EQ(body->at("type"), "about:blank");
    EXPECT_EQ(body->at("title"), "Not Found");
    EXPECT_EQ(body->at("status"), 404);
    EXPECT_EQ(body->at("instance"), "01JTESTREQUEST");
    EXPECT_TRUE(body->at("detail").is_string());
    EXPECT_EQ(body->get_object().size(), 5U);
  }
}

TEST(Dialects, RecogniseTheWishForProblemDetails) {
  EXPECT_TRUE(wants_problem("application/problem+json"));
  EXPECT_TRUE(wants_problem("application/json;q=0.9 , application/problem+json ; q=0.1"));
  EXPECT_FALSE(wants_problem("application/problem+json;q=0"));
  EXPECT_FALSE(wants_problem("application/problem+json; q=0.000"));
  EXPECT_FALSE(wants_problem("application/json"));
  EXPECT_FALSE(wants_problem("*/*"));
  EXPECT_FALSE(wants_problem(""));
}

TEST(Dialects, RenderProtocolErrorsThatHaveNoCode) {
  exchange_stub x{""};

  for (const auto* face : all_surfaces) {
    auto out = render_status(*face, 431, {}, x);
    EXPECT_EQ(out.status, 431) << face->name;
    EXPECT_TRUE(json::parse(out.body)) << out.body;
    EXPECT_NE(out.body.find("Request Header Fields Too Large"), std::string::npos) << out.body;
  }
}

TEST(Dialects, RenderProtocolErrorsAsProblemsWithTheirOwnStatus) {
  exchange_stub x{"/api/usage"};
  x.req.fields[static_cast<std::size_t>(field::accept)] = "application/problem+json";

  auto out = render_status(platform, 414, {}, x);

  EXPECT_EQ(json::parse(out.body)->at("status"), 414);
  EXPECT_EQ(json::parse(out.body)->at("title"), "URI Too Long");
}

// -- platform ------------------------------------------------------------------------------------

std::string platform_says(std::string path, const fault& f) {
  exchange_stub x{std::move(path)};
  return platform.render(f, x).body;
}

TEST(PlatformDialect, SaysWhoIsNotAuthenticatedByFamilyOfRoutes) {
  fault f{errc::unauthenticated};

  EXPECT_EQ(platform_says("/api/usage", f), R"({"error":"Not authenticated"})");
  EXPECT_EQ(platform_says("/api/billing", f), R"({"error":"Not authenticated"})");
  EXPECT_EQ(platform_says("/api/user/corporate-info", f), R"({"error":"Not authenticated"})");
  EXPECT_EQ(platform_says("/api/admin/test-opencost", f), R"({"error":"Not authenticated"})");
  EXPECT_EQ(platform_says("/api/usage/collect-opencost", f), R"({"error":"Unauthorized"})");
  EXPECT_EQ(platform_says("/api/admin/clusters", f), R"({"error":"Unauthorized"})");
  EXPECT_EQ(platform_says("/api/team/members", f), R"({"error":"Unauthorized"})");
}

TEST(PlatformDialect, SaysWhoIsForbiddenByFamilyOfRoutes) {
  fault f{errc::forbidden};

  EXPECT_EQ(platform_says("/api/admin/clusters", f), R"({"error":"Forbidden"})");
  EXPECT_EQ(platform_says("/api/admin/test-opencost", f), R"({"error":"Admin access required"})");
}

TEST(PlatformDialect, NamesTheFieldOfABadRequestOnly) {
  EXPECT_EQ(platform_says("/api/admin/clusters", bad_field("name", "name must not be empty")),
            R"({"error":"name must not be empty","details":"name"})");
  EXPECT_EQ(
      platform_says("/api/admin/clusters", {errc::conflict, "This name is taken", "name", {}}),
      R"({"error":"This name is taken"})");
}

TEST(PlatformDialect, SaysWhatItFailedAt) {
  EXPECT_EQ(platform_says("/api/usage", {errc::internal}),
            R"({"error":"Failed to fetch usage data"})");
  EXPECT_EQ(platform_says("/api/admin/usage/check-opencost",
                          {errc::internal, "Failed to check OpenCost", "token rejected", {}}),
            R"({"error":"Failed to check OpenCost","message":"token rejected"})");
}

TEST(PlatformDialect, TellsWhenToComeBack) {
  exchange_stub x{"/api/usage"};
  x.limit = limit_report{.retry_after = 17};

  EXPECT_EQ(platform.render({errc::rate_limited}, x).body,
            R"({"error":"Too many requests, please try again later","retryAfter":17})");
}

// -- gateway -------------------------------------------------------------------------------------

std::string gateway_says(std::string path, const fault& f) {
  exchange_stub x{std::move(path)};
  return gateway.render(f, x).body;
}

TEST(GatewayDialect, HasAPlainFormatForMostRoutes) {
  EXPECT_EQ(gateway_says("/api/auth/me", {errc::unauthenticated}), R"({"error":"Unauthorized"})");
  EXPECT_EQ(gateway_says("/api/quota", {errc::not_found}), R"({"error":"Not found"})");
  EXPECT_EQ(gateway_says("/api/providers/keys/abc", {errc::internal}),
            R"({"error":"Internal error"})");
}

TEST(GatewayDialect, HasAStructuredFormatForSomeRoutes) {
  EXPECT_EQ(gateway_says("/api/auth/login", {errc::unauthenticated, "whatever", {}, {}}),
            R"({"error":{"code":"AUTH_FAILED","message":"Invalid credentials"}})");
  EXPECT_EQ(gateway_says("/api/auth/change-password", {errc::unauthenticated}),
            R"({"error":{"code":"AUTH_UNAUTHORIZED","message":"Unauthorized"}})");
  EXPECT_EQ(gateway_says("/api/auth/change-password",
                         {errc::unauthenticated, "Invalid current password", {}, {}}),
            R"({"error":{"code":"AUTH_FAILED","message":"Invalid current password"}})");
  EXPECT_EQ(gateway_says("/api/auth/login", {errc::rate_limited}),
            R"({"error":{"code":"RATE_LIMIT_EXCEEDED",)"
            R"("message":"Too many login attempts. Try again later."}})");
}

TEST(GatewayDialect, TellsMissingFieldsFromMalformedOnes) {
  EXPECT_EQ(
      gateway_says("/api/auth/login",
                   bad_field("username, password", "Missing required fields: username, password")),
      R"({"error":{"code":"VALIDATION_MISSING_FIELDS",)"
      R"("message":"Missing required fields: username, password",)"
      R"("details":{"fields":["username","password"]}}})");
  EXPECT_EQ(gateway_says("/api/setup", bad_field("password", "too short")),
            R"({"error":{"code":"VALIDATION_INVALID_FORMAT","message":"too short",)"
            R"("details":{"field":"password"}}})");
}

TEST(GatewayDialect, AnswersASecondSetupWith400) {
  exchange_stub x{"/api/setup"};

  auto out = gateway.render({errc::conflict, "Setup is already complete", {}, {}}, x);

  EXPECT_EQ(out.status, 400);
  EXPECT_NE(out.body.find("SETUP_ALREADY_COMPLETED"), std::string::npos);
}

TEST(GatewayDialect, RefusesAForeignOriginPlainlyOnEveryRoute) {
  fault f{errc::forbidden, "Origin not allowed", {}, "csrf_origin_rejected"};

  EXPECT_EQ(gateway_says("/api/auth/logout", f), R"({"error":"Forbidden"})");
  EXPECT_EQ(gateway_says("/api/auth/change-password", f), R"({"error":"Forbidden"})");
}

// -- hub, assinante, developer
// ---------------------------------------------------------------------

TEST(HubDialect, SpeaksGermanWithUmlauts) {
  exchange_stub x{"/api/user/avatar"};

  EXPECT_EQ(
      hub.render({errc::bad_request}, x).body,
      R"({"success":false,"error":{"type":"validation_error","message":"Ungültige Eingabedaten"}})");
  EXPECT_EQ(
      hub.render({errc::method_not_allowed}, x).body,
      R"({"success":false,"error":{"type":"method_not_allowed","message":"Method Not Allowed"}})");
}

TEST(HubDialect, HasABodyOfItsOwnForLimits) {
  exchange_stub x{"/api/csrf"};
  x.limit = limit_report{.retry_after = 5};

  EXPECT_EQ(hub.render({errc::rate_limited}, x).body,
            R"({"error":"Rate limit exceeded","retryAfter":5})");
}

TEST(AssinanteDialect, SpeaksPortugueseWithAccents) {
  exchange_stub x{"/api/assinante/orders"};

  EXPECT_EQ(assinante.render({errc::unauthenticated}, x).body,
            R"({"error":"UNAUTHORIZED","message":"Token de autenticação não fornecido"})");
  EXPECT_EQ(assinante.render({errc::not_found, "Usuário não encontrado", {}, {}}, x).body,
            R"({"error":"NOT_FOUND","message":"Usuário não encontrado"})");
  x.req.fields[static_cast<std::size_t>(field::authorization)] = "Bearer x";
  EXPECT_EQ(assinante.render({errc::unauthenticated}, x).body,
            R"({"error":"UNAUTHORIZED","message":"Token inválido ou expirado"})");
}

TEST(AssinanteDialect, HasACodeForCsrf) {
  exchange_stub x{"/api/assinante/subscription"};

  EXPECT_EQ(
      assinante.render({errc::forbidden, "Invalid CSRF token", {}, "csrf_token_mismatch"}, x).body,
      R"({"error":"CSRF_TOKEN_INVALID","message":"Token CSRF inválido ou ausente"})");
}

TEST(AssinanteDialect, TellsEveryWrongFieldAtOnce) {
  exchange_stub x{"/api/assinante/register"};

  EXPECT_EQ(
      assinante.render(bad_fields({{"cpf", "CPF inválido"}, {"email", "Email inválido"}}), x).body,
      R"({"error":"VALIDATION_ERROR","message":"Dados inválidos","details":[)"
      R"({"field":"cpf","message":"CPF inválido"},{"field":"email","message":"Email inválido"}]})");
  EXPECT_EQ(assinante.render(bad_field("email", "Email já cadastrado"), x).body,
            R"({"error":"VALIDATION_ERROR","message":"Dados inválidos","details":[)"
            R"({"field":"email","message":"Email já cadastrado"}]})");
}

TEST(DeveloperDialect, HasLowerCaseCodes) {
  exchange_stub x{"/dashboard/projects"};

  EXPECT_EQ(developer.render({errc::bad_request, "Invalid JSON body", {}, {}}, x).body,
            R"({"error":{"code":"validation_error","message":"invalid JSON body"}})");
}

} // namespace
} // namespace binnacle::http
