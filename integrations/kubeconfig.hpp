/// Reads a kubeconfig without doing anything it says: no `exec`, no auth plugins, no files.
#pragma once

#include "config/base/errors.hpp"
#include "integrations/http_client.hpp"

#include <string>

namespace binnacle::integrations {

/// How to reach a cluster's API server.
struct kube_access {
  std::string server{}; // https://host[:port][/path], no trailing slash
  secret token{};       // empty when a client certificate is used
  tls_options tls{};
};

/// The access that `current-context` names (the only context, when none is named). bad_request
/// with field "kubeconfig" and a text that says what to change for: no YAML, more than 256 KiB,
/// deeper than 16 levels, aliases, a missing context, cluster or user; `exec`, `auth-provider`,
/// `tokenFile`, `certificate-authority`, `client-certificate`, `client-key`, user name and
/// password, `proxy-url`, impersonation; a server that is not https; bad base64 or PEM.
result<kube_access> parse_kubeconfig(std::string_view yaml);

} // namespace binnacle::integrations
