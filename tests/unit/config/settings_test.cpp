#include "config/settings.hpp"

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace {

using namespace binnacle;

environment of(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    auto found = values.find(name);
    if (found == values.end()) return {};
    return found->second;
  };
}

class a_file {
public:
  explicit a_file(const std::string& text) { std::ofstream{name} << text; }
  ~a_file() { std::remove(name.c_str()); }
  std::string name = testing::TempDir() + "binnacle-settings-" +
                     testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST(Settings, TakeTheEnvironmentOverTheFileOverTheDefault) {
  a_file file{"[http]\nlisten = \"127.0.0.1:1\"\nmax_connections = 5\n"};

  auto s = load_settings(file.name, of({{"BINNACLE_LISTEN", "127.0.0.1:2"}}));

  ASSERT_TRUE(s);
  EXPECT_EQ(s->http.listen, "127.0.0.1:2");
  EXPECT_EQ(s->http.max_connections, 5);
  EXPECT_EQ(s->database.connections, 4);
}

TEST(Settings, NameEveryFaultAtOnce) {
  a_file file{"[http]\nprot = 1\nmax_connections = 0\n"};

  auto s = load_settings(file.name, of({{"BINNACLE_HTTP_IDLE_TIMEOUT", "5"},
                                        {"BINNACLE_LIMITS_GATEWAY_LOGIN", "many"}}));

  ASSERT_FALSE(s);
  for (auto* name :
       {"http.prot", "http.max_connections", "BINNACLE_HTTP_IDLE_TIMEOUT", "limits.gateway_login"})
    EXPECT_NE(s.error().text.find(name), std::string::npos) << name << " in\n" << s.error().text;
}

TEST(Settings, KeepSecretsOutOfFilesAndPrintouts) {
  a_file file{"cron_secret = \"hunter2\"\n"};
  auto refused = load_settings(file.name, of({}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text.find("hunter2"), std::string::npos);

  auto s = load_settings("", of({{"CRON_SECRET", "hunter2"}}));
  ASSERT_TRUE(s);
  for (auto& o : options_of(*s)) EXPECT_EQ(show(o).find("hunter2"), std::string::npos);
}

TEST(Settings, ReadASecretFromAFile) {
  a_file file{"hunter2\n"};

  auto s = load_settings("", of({{"CRON_SECRET_FILE", file.name}}));

  ASSERT_TRUE(s);
  EXPECT_EQ(s->cron_secret.reveal(), "hunter2");
}

TEST(Settings, TakeTwoWebhookSecretsDuringARotation) {
  auto s = load_settings("", of({{"STRIPE_WEBHOOK_SECRET", "whsec_old\n, whsec_new\r\n"}}));

  ASSERT_TRUE(s);
  auto secrets = s->stripe.signing_secrets();
  ASSERT_EQ(secrets.size(), 2u);
  EXPECT_EQ(secrets[0].reveal(), "whsec_old");
  EXPECT_EQ(secrets[1].reveal(), "whsec_new");
  EXPECT_TRUE(settings{}.stripe.signing_secrets().empty());
}

TEST(Settings, KnowStripesKeyByItsOldNames) {
  EXPECT_FALSE(settings{}.stripe.configured());
  for (auto* name : {"BINNACLE_STRIPE_SECRET_KEY", "STRIPE_SECRET_KEY", "STRIPE_SECRET"}) {
    auto s = load_settings("", of({{name, "sk_test_1\n"}}));

    ASSERT_TRUE(s);
    EXPECT_TRUE(s->stripe.configured()) << name;
    EXPECT_EQ(s->stripe.secret_key.reveal(), "sk_test_1");
  }
}

TEST(Settings, MultiplyEveryLimitByTheScale) {
  auto s = load_settings("", of({{"BINNACLE_RATE_LIMIT_SCALE", "1000"}}));

  ASSERT_TRUE(s);
  EXPECT_EQ(s->limits[static_cast<std::size_t>(limit_class::gateway_login)].max, 10'000U);
}

TEST(Settings, HaveDistinctNamesAndPrintWhatTheyReadBack) {
  settings s;
  std::set<std::string> names;
  for (auto& o : options_of(s)) {
    EXPECT_TRUE(names.insert(o.name).second) << o.name;
    for (auto& env : o.env) EXPECT_TRUE(names.insert(env).second) << env;
    if (std::holds_alternative<secret*>(o.target)) continue;
    auto before = show(o);
    EXPECT_TRUE(assign(o, before)) << o.name;
    EXPECT_EQ(show(o), before) << o.name;
  }
}

TEST(Settings, TurnAFirebaseProjectIntoAnIssuer) {
  auto s = load_settings("", of({{"FIREBASE_PROJECT_ID", "demo"}}));

  ASSERT_TRUE(s);
  ASSERT_EQ(s->identity.issuers.size(), 1U);
  EXPECT_EQ(s->identity.issuers[0].issuer, "https://securetoken.google.com/demo");
  EXPECT_TRUE(s->identity.issuers[0].require_auth_time);
}

} // namespace
