#include "http/routes/operations/handlers.hpp"

#include "config/base/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

TEST(Readiness, IsThereWhenTheDatabaseAnswersAndWeListen) {
  services app;
  app.database_up = true;
  app.listening = true;

  auto out = get_readyz(request{}, app);

  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.body, R"({"status":"ready"})");
}

TEST(Readiness, SaysEverythingThatIsMissing) {
  services app;
  app.draining = true;

  auto out = get_readyz(request{}, app);

  EXPECT_EQ(out.status, 503);
  auto body = json::parse(out.body);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->at("status"), "not ready");
  EXPECT_EQ(body->at("reasons").as_array().size(), 3U);
}

TEST(Operations, AnswerWithoutAnythingRunning) {
  services app;

  EXPECT_EQ(get_healthz(request{}, app).body, R"({"status":"ok"})");
  EXPECT_EQ(json::parse(get_version(request{}, app).body)->at("name"), "binnacle");
  EXPECT_TRUE(get_metrics(request{}, app).content_type.starts_with("text/plain; version=0.0.4"));
}

} // namespace
} // namespace binnacle::http
