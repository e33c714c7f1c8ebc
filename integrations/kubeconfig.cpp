#include "integrations/kubeconfig.hpp"

#include "integrations/encoding.hpp"
#include "integrations/pem.hpp"

#include <curl/curl.h>
#include <set>
#include <sstream>
#include <stdexcept>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace binnacle::integrations {
namespace {

constexpr std::size_t largest = 256 * 1024;
constexpr int deepest = 16;
constexpr int most_nodes = 20'000;

/// What is wrong with a kubeconfig; leaves parse_kubeconfig as its fault.
struct problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Looks at a document as the parser reads it, before a tree exists, and stops it when the tree
/// would be too deep, too large, or hold references to parts of itself.
class gate final : public YAML::EventHandler {
public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t anchor) override { node(anchor); }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { refuse_references(); }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                const std::string&) override {
    node(anchor);
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(anchor);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(anchor);
  }
  void OnMapEnd() override { --depth_; }

private:
  [[noreturn]] static void refuse_references() {
    throw problem{"The kubeconfig uses YAML anchors or aliases; write the values out"};
  }
  void node(YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse_references();
    if (++nodes_ > most_nodes) throw problem{"The kubeconfig has too many entries"};
  }
  void open(YAML::anchor_t anchor) {
    node(anchor);
    if (++depth_ > deepest)
      throw problem{"The kubeconfig is nested deeper than " + std::to_string(deepest) + " levels"};
  }

  int depth_ = 0;
  int nodes_ = 0;
};

YAML::Node read_document(std::string_view text) {
  if (text.size() > largest) throw problem{"The kubeconfig is larger than 256 KiB"};
  try {
    std::istringstream stream{std::string{text}};
    YAML::Parser parser{stream};
    gate checks;
    if (!parser.HandleNextDocument(checks)) throw problem{"The kubeconfig is empty"};
    gate others;
    if (parser.HandleNextDocument(others))
      throw problem{"The kubeconfig holds more than one YAML document; send one"};
    return YAML::Load(std::string{text});
  } catch (const YAML::Exception& e) {
    // The parser's own message may quote the text, and the text holds credentials.
    throw problem{"The kubeconfig is not valid YAML (line " + std::to_string(e.mark.line + 1) +
                  ")"};
  }
}

/// A mapping and where it stands, for messages.
struct entry {
  YAML::Node node{};
  std::string path{};

  [[noreturn]] void refuse(const std::string& name, const std::string& why) const {
    throw problem{(path.empty() ? name : path + "." + name) + ": " + why};
  }

  bool has(const char* name) const {
    auto member = node[name];
    return member && !member.IsNull();
  }
  /// Empty when absent or null.
  std::string text(const char* name) const {
    auto member = node[name];
    if (!member || member.IsNull()) return {};
    if (!member.IsScalar()) refuse(name, "must be a text");
    return member.Scalar();
  }
  bool flag(const char* name) const {
    auto value = text(name);
    if (value.empty() || value == "false") return false;
    if (value != "true") refuse(name, "must be true or false");
    return true;
  }
  void must_not_have(const char* name, const char* instead) const {
    if (has(name)) refuse(name, instead);
  }
};

/// kubectl refuses a name given twice; so do we, rather than guess which is meant.
void check_names(const entry& map) {
  if (!map.node.IsMap()) throw problem{map.path + ": must be a mapping"};
  std::set<std::string> names;
  for (const auto& member : map.node) {
    if (!member.first.IsScalar()) throw problem{map.path + ": names must be texts"};
    if (!names.insert(member.first.Scalar()).second)
      map.refuse(member.first.Scalar(), "is given twice; remove one");
  }
}

/// The mapping `kind` of the entry called `name` in the list `list`, such as clusters[].cluster.
entry find(const entry& root, const std::string& list, const std::string& kind,
           const std::string& name) {
  auto items = root.node[list];
  if (!items || !items.IsSequence()) throw problem{list + ": must be a list"};
  for (std::size_t i = 0; i < items.size(); ++i) {
    entry item{items[i], list + "[" + std::to_string(i) + "]"};
    check_names(item);
    if (item.text("name") != name) continue;
    entry found{item.node[kind], item.path + "." + kind};
    if (!item.has(kind.c_str())) item.refuse(kind, "is missing");
    check_names(found);
    return found;
  }
  throw problem{list + ": there is no entry named \"" + name + "\""};
}

std::string current_context(const entry& root) {
  auto named = root.text("current-context");
  if (!named.empty()) return named;
  auto contexts = root.node["contexts"];
  if (!contexts || !contexts.IsSequence() || contexts.size() == 0)
    throw problem{"contexts: there is none; send a complete kubeconfig"};
  if (contexts.size() > 1) throw problem{"current-context: is missing; name one of the contexts"};
  entry only{contexts[0], "contexts[0]"};
  check_names(only);
  return only.text("name");
}

/// The bytes of a `…-data` field; empty when it is absent.
std::string data(const entry& from, const char* name) {
  auto text = from.text(name);
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
  auto bytes = from_base64(text);
  if (!bytes) from.refuse(name, "is not valid base64; paste the field unchanged");
  return *bytes;
}

struct free_url {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

bool has_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  auto found = curl_url_get(url, part, &text, 0) == CURLUE_OK;
  curl_free(text);
  return found;
}

std::string read_server(const entry& cluster) {
  auto server = cluster.text("server");
  std::unique_ptr<CURLU, free_url> url{curl_url()};
  if (!url || curl_url_set(url.get(), CURLUPART_URL, server.c_str(), 0) != CURLUE_OK)
    cluster.refuse("server", "must be a URL such as https://k8s.example.com:6443");
  char* scheme = nullptr;
  curl_url_get(url.get(), CURLUPART_SCHEME, &scheme, 0);
  auto is_https = scheme != nullptr && std::string_view{scheme} == "https";
  curl_free(scheme);
  if (!is_https)
    cluster.refuse("server", "must start with https://; credentials are not sent in clear");
  if (has_part(url.get(), CURLUPART_USER) || has_part(url.get(), CURLUPART_PASSWORD) ||
      has_part(url.get(), CURLUPART_QUERY) || has_part(url.get(), CURLUPART_FRAGMENT))
    cluster.refuse("server", "must be only https://host[:port][/path]");
  server.erase(server.find_last_not_of('/') + 1);
  return server;
}

void read_cluster(const entry& cluster, kube_access& out) {
  constexpr auto no_files = "files are not read; put the content into "
                            "certificate-authority-data (kubectl config view --raw --flatten)";
  cluster.must_not_have("certificate-authority", no_files);
  cluster.must_not_have("proxy-url", "proxies are not used; give an address that can be reached");
  out.server = read_server(cluster);
  out.tls.server_name = cluster.text("tls-server-name");
  out.tls.insecure = cluster.flag("insecure-skip-tls-verify");
  out.tls.ca_pem = data(cluster, "certificate-authority-data");
  if (out.tls.ca_pem.empty()) return;
  if (out.tls.insecure)
    cluster.refuse("insecure-skip-tls-verify",
                   "contradicts certificate-authority-data; remove one of them");
  if (auto wrong = problem_with_certificates(out.tls.ca_pem))
    cluster.refuse("certificate-authority-data", *wrong);
}

/// Kinds of credentials that would run, read or ask for something, or act as somebody else.
void refuse_other_credentials(const entry& user) {
  constexpr auto use_token = "plugins are not run; use a token of a service account";
  constexpr auto no_files = "files are not read; put the content into the file "
                            "(kubectl config view --raw --flatten)";
  constexpr auto no_password = "user name and password are not supported; use a token of a "
                               "service account";
  constexpr auto no_impersonation = "impersonation is not supported; use a token of the account "
                                    "itself";
  user.must_not_have("exec", use_token);
  user.must_not_have("auth-provider", use_token);
  user.must_not_have("tokenFile", no_files);
  user.must_not_have("client-certificate", no_files);
  user.must_not_have("client-key", no_files);
  user.must_not_have("username", no_password);
  user.must_not_have("password", no_password);
  user.must_not_have("as", no_impersonation);
  user.must_not_have("as-uid", no_impersonation);
  user.must_not_have("as-groups", no_impersonation);
  user.must_not_have("as-user-extra", no_impersonation);
}

void read_user(const entry& user, kube_access& out) {
  refuse_other_credentials(user);
  auto token = user.text("token");
  token.erase(token.find_last_not_of(" \t\r\n") + 1); // a pasted token often ends in a line end
  for (char c : token)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F)
      user.refuse("token", "holds characters that no token has; paste it again");
  out.token = secret{std::move(token)};
  out.tls.client_cert_pem = data(user, "client-certificate-data");
  out.tls.client_key_pem = secret{data(user, "client-key-data")};
  auto has_certificate = !out.tls.client_cert_pem.empty();
  auto has_key = !out.tls.client_key_pem.empty();
  if (has_certificate != has_key)
    user.refuse(has_key ? "client-certificate-data" : "client-key-data",
                "is missing; a client certificate needs both");
  if (has_certificate) {
    if (auto wrong = problem_with_certificates(out.tls.client_cert_pem))
      user.refuse("client-certificate-data", *wrong);
    if (auto wrong = problem_with_key(out.tls.client_key_pem.reveal(), out.tls.client_cert_pem))
      user.refuse("client-key-data", *wrong);
  } else if (out.token.empty()) {
    throw problem{user.path + ": has no credential; use a token of a service account"};
  }
}

kube_access read_access(std::string_view yaml) {
  entry root{read_document(yaml), ""};
  if (!root.node.IsMap())
    throw problem{"This is no kubeconfig: clusters, contexts and users are missing"};
  check_names(root);
  auto context = find(root, "contexts", "context", current_context(root));
  kube_access out;
  read_cluster(find(root, "clusters", "cluster", context.text("cluster")), out);
  read_user(find(root, "users", "user", context.text("user")), out);
  return out;
}

} // namespace

result<kube_access> parse_kubeconfig(std::string_view yaml) {
  try {
    return read_access(yaml);
  } catch (const problem& e) {
    return bad_field("kubeconfig", e.what());
  } catch (const YAML::Exception&) {
    return bad_field("kubeconfig", "The kubeconfig does not have the usual form");
  }
}

} // namespace binnacle::integrations
