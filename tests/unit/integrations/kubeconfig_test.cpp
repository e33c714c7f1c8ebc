#include "integrations/encoding.hpp"
#include "integrations/kubeconfig.hpp"
#include "support.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace testing;

/// A kubeconfig with these lines in its cluster and user.
std::string config(const std::string& cluster_lines, const std::string& user_lines) {
  auto indented = [](std::string text) {
    std::string out = "    ";
    for (char c : text) out += c == '\n' ? "\n    " : std::string(1, c);
    return out + "\n";
  };
  return "apiVersion: v1\nkind: Config\ncurrent-context: main\n"
         "clusters:\n- name: other\n  cluster: {server: \"http://ignored\"}\n"
         "- name: c1\n  cluster:\n" +
         indented(cluster_lines) +
         "contexts:\n- name: main\n  context: {cluster: c1, user: u1, namespace: default}\n"
         "- name: second\n  context: {cluster: other, user: other}\n"
         "users:\n- name: u1\n  user:\n" +
         indented(user_lines) + "- name: other\n  user:\n    exec: {command: aws}\n";
}

const std::string server_line = "server: https://k8s.example.com:6443";
const std::string token_line = "token: abc.def";

const std::string& ca() {
  static const auto pem = certificate(an_rsa_key(), {"CA", "", true, false});
  return pem;
}

std::string refusal(const std::string& yaml) {
  auto r = parse_kubeconfig(yaml);
  if (r) return "accepted";
  EXPECT_EQ(r.error().code, errc::bad_request);
  EXPECT_EQ(r.error().field, "kubeconfig");
  return r.error().text;
}
std::string refusal_of_cluster(const std::string& lines) {
  return refusal(config(lines, token_line));
}
std::string refusal_of_user(const std::string& lines) {
  return refusal(config(server_line, lines));
}

TEST(Kubeconfig, ReadsServerTokenAndAuthority) {
  auto r = parse_kubeconfig(config(server_line + "/prefix/\ncertificate-authority-data: " +
                                       to_base64(ca()) + "\ntls-server-name: k8s.internal",
                                   token_line));

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->server, "https://k8s.example.com:6443/prefix");
  EXPECT_EQ(r->token.reveal(), "abc.def");
  EXPECT_EQ(r->tls.ca_pem, ca());
  EXPECT_EQ(r->tls.server_name, "k8s.internal");
  EXPECT_FALSE(r->tls.insecure);
}

TEST(Kubeconfig, ReadsAClientCertificate) {
  auto pem = certificate(an_rsa_key());
  auto r = parse_kubeconfig(
      config(server_line, "client-certificate-data: " + to_base64(pem) +
                              "\nclient-key-data: " + to_base64(private_pem(an_rsa_key()))));

  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_TRUE(r->token.empty());
  EXPECT_EQ(r->tls.client_cert_pem, pem);
  EXPECT_EQ(r->tls.client_key_pem.reveal(), private_pem(an_rsa_key()));
}

TEST(Kubeconfig, ReadsJsonAsWell) {
  auto r = parse_kubeconfig(
      R"({"clusters":[{"name":"c","cluster":{"server":"https://h","insecure-skip-tls-verify":true}}],
          "contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],
          "users":[{"name":"u","user":{"token":"t"}}]})");
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->server, "https://h");
  EXPECT_TRUE(r->tls.insecure);
}

TEST(Kubeconfig, DropsALineEndAfterTheToken) {
  auto r = parse_kubeconfig(config(server_line, "token: |\n  abc"));
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_EQ(r->token.reveal(), "abc");
}

TEST(Kubeconfig, SaysWhatToDoInsteadOfEachCredentialItDoesNotUse) {
  EXPECT_EQ(refusal_of_user("exec: {command: aws}"),
            "users[0].user.exec: plugins are not run; use a token of a service account");
  EXPECT_EQ(refusal_of_user(token_line + "\nexec: {command: sh, args: [-c, reboot]}"),
            "users[0].user.exec: plugins are not run; use a token of a service account")
      << "even beside a token";
  struct row {
    const char* line;
    const char* begins;
  };
  for (const auto& [line, begins] :
       {row{"auth-provider: {name: gcp}", "users[0].user.auth-provider: plugins are not run"},
        row{"tokenFile: /etc/shadow", "users[0].user.tokenFile: files are not read"},
        row{"client-certificate: /a.pem", "users[0].user.client-certificate: files are not read"},
        row{"client-key: /a.key", "users[0].user.client-key: files are not read"},
        row{"username: a", "users[0].user.username: user name and password are not supported"},
        row{"password: a", "users[0].user.password: user name and password are not supported"},
        row{"as: root", "users[0].user.as: impersonation is not supported"},
        row{"as-groups: [a]", "users[0].user.as-groups: impersonation is not supported"},
        row{"extensions: []", "users[0].user: has no credential"},
        row{"token: \"\"", "users[0].user: has no credential"},
        row{"token: a b", "users[0].user.token: holds characters"},
        row{"token: \"a\\0b\"", "users[0].user.token: holds characters"},
        row{"token: [a]", "users[0].user.token: must be a text"}})
    EXPECT_TRUE(refusal_of_user(line).starts_with(begins)) << refusal_of_user(line);
}

TEST(Kubeconfig, SaysWhatIsWrongWithTheCluster) {
  struct row {
    std::string lines;
    const char* begins;
  };
  auto junk_pem = to_base64("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const std::vector<row> rows{
      {"server: http://k8s", "clusters[1].cluster.server: must start with https://"},
      {"server: k8s.example.com", "clusters[1].cluster.server: must be a URL"},
      {"server: file:///etc/passwd", "clusters[1].cluster.server: must start with https://"},
      {"x: y", "clusters[1].cluster.server: must be a URL"},
      {"server: https://u:p@k8s", "clusters[1].cluster.server: must be only"},
      {"server: https://k8s/?a=b", "clusters[1].cluster.server: must be only"},
      {"server: https://k8s/#a", "clusters[1].cluster.server: must be only"},
      {server_line + "\ncertificate-authority: /ca.pem",
       "clusters[1].cluster.certificate-authority: files are not read"},
      {server_line + "\nproxy-url: http://p", "clusters[1].cluster.proxy-url: proxies"},
      {server_line + "\ninsecure-skip-tls-verify: maybe",
       "clusters[1].cluster.insecure-skip-tls-verify: must be true or false"},
      {server_line + "\ncertificate-authority-data: '***'",
       "clusters[1].cluster.certificate-authority-data: is not valid base64"},
      {server_line + "\ncertificate-authority-data: aGVsbG8=",
       "clusters[1].cluster.certificate-authority-data: is no PEM certificate"},
      {server_line + "\ncertificate-authority-data: " + junk_pem,
       "clusters[1].cluster.certificate-authority-data: is no PEM certificate"},
      {server_line + "\ncertificate-authority-data: " + to_base64(private_pem(an_rsa_key())),
       "clusters[1].cluster.certificate-authority-data: holds a private key"},
      {server_line +
           "\ninsecure-skip-tls-verify: true\ncertificate-authority-data: " + to_base64(ca()),
       "clusters[1].cluster.insecure-skip-tls-verify: contradicts"},
      {server_line + "\n" + server_line, "clusters[1].cluster.server: is given twice"},
  };
  for (const auto& row : rows)
    EXPECT_TRUE(refusal_of_cluster(row.lines).starts_with(row.begins))
        << refusal_of_cluster(row.lines);
}

TEST(Kubeconfig, SaysWhatIsWrongWithAClientCertificate) {
  auto cert = "client-certificate-data: " + to_base64(certificate(an_rsa_key()));
  auto key = "client-key-data: " + to_base64(private_pem(an_rsa_key()));
  auto with_key = [&](const std::string& pem) {
    return refusal_of_user(cert + "\nclient-key-data: " + to_base64(pem));
  };
  EXPECT_TRUE(refusal_of_user(cert).starts_with("users[0].user.client-key-data: is missing"));
  EXPECT_TRUE(
      refusal_of_user(key).starts_with("users[0].user.client-certificate-data: is missing"));
  EXPECT_EQ(with_key(private_pem(make_p256())),
            "users[0].user.client-key-data: does not belong to the client certificate");
  EXPECT_EQ(with_key("junk"), "users[0].user.client-key-data: is no PEM private key");

  temporary_folder folder;
  write_file(folder.file("plain"), private_pem(an_rsa_key()));
  ASSERT_EQ(run("openssl pkey -in " + folder.file("plain") + " -aes128 -passout pass:x -out " +
                folder.file("locked")),
            0);
  EXPECT_TRUE(with_key(read_file(folder.file("locked")))
                  .starts_with("users[0].user.client-key-data: is encrypted"));
}

TEST(Kubeconfig, FollowsTheCurrentContextOnly) {
  auto base = config(server_line, token_line);
  auto with = [&](const std::string& from, const std::string& to) {
    auto text = base;
    text.replace(text.find(from), from.size(), to);
    return refusal(text);
  };
  EXPECT_EQ(refusal(base), "accepted") << "what other contexts use does not matter";
  EXPECT_TRUE(with("current-context: main", "current-context: second").starts_with("clusters[0]"));
  EXPECT_EQ(with("current-context: main", "current-context: none"),
            "contexts: there is no entry named \"none\"");
  EXPECT_EQ(with("current-context: main\n", ""),
            "current-context: is missing; name one of the contexts");
  EXPECT_EQ(with("cluster: c1", "cluster: c9"), "clusters: there is no entry named \"c9\"");
  EXPECT_EQ(with("user: u1", "user: u9"), "users: there is no entry named \"u9\"");
}

TEST(Kubeconfig, RefusesWhatIsNoKubeconfigWithoutRepeatingIt) {
  for (auto text : {"", "   ", "just text", "[]", "a: [", "a: {b: s3cr3t", "\t\ts3cr3t: {",
                    "clusters: 7", "users: [s3cr3t]", "\"s3cr3t", "%YAML 9\n---\n@s3cr3t",
                    "contexts: []", "contexts: [{name: {}}]", "contexts: [{name: a, context: 7}]",
                    "? [a]\n: b", "--- a\n--- b\n", "clusters: {}\ncontexts: {}"}) {
    auto why = refusal(text);
    EXPECT_NE(why, "accepted") << text;
    EXPECT_FALSE(why.empty()) << text;
    EXPECT_EQ(why.find("s3cr3t"), std::string::npos) << why;
  }
}

TEST(Kubeconfig, RefusesAnchorsAndAliases) {
  EXPECT_TRUE(refusal("a: &x 1\nb: 2").find("anchors") != std::string::npos);
  EXPECT_TRUE(refusal("a: &x [1]\nb: 2").find("anchors") != std::string::npos);
  EXPECT_TRUE(refusal("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]").find("anchors") !=
              std::string::npos);
}

TEST(Kubeconfig, RefusesATextThatIsTooLargeTooDeepOrTooFull) {
  EXPECT_EQ(refusal(std::string(256 * 1024 + 1, '#')), "The kubeconfig is larger than 256 KiB");
  auto nested = [](std::size_t n) { return "a: " + std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(refusal(nested(15)).find("nested") == std::string::npos);
  EXPECT_TRUE(refusal(nested(16)).find("nested deeper than 16") != std::string::npos);
  EXPECT_TRUE(refusal(nested(100'000)).find("nested deeper than 16") != std::string::npos);
  std::string many = "a: [";
  for (int i = 0; i < 60'000; ++i) many += "1,";
  EXPECT_EQ(refusal(many + "1]"), "The kubeconfig has too many entries");
}

RC_GTEST_PROP(Kubeconfig, SurvivesAnyText, (const std::string& text)) {
  RC_ASSERT(!parse_kubeconfig(text).has_value());
}

RC_GTEST_PROP(Kubeconfig, SurvivesAnyDamage, ()) {
  auto text = config(server_line, token_line);
  auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  auto length = *rc::gen::inRange<std::size_t>(0, 20);
  text.replace(at, length, *rc::gen::arbitrary<std::string>());
  auto r = parse_kubeconfig(text);
  if (r) RC_ASSERT(r->server.starts_with("https://"));
}

} // namespace
} // namespace binnacle::integrations
