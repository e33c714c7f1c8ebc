/// OpenCost's allocation API behind the Kubernetes API server's service proxy.
/// Source: opencost.io, "Allocation API"; field names as in opencost/core/pkg/opencost.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "integrations/http_client.hpp"
#include "integrations/kubeconfig.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::integrations {

/// One namespace in one window. An empty optional means that OpenCost sent null or nothing: the
/// value is unknown, not zero.
struct allocation {
  std::string name_space{};
  std::optional<decimal> cpu_core_hours{};
  std::optional<decimal> gpu_hours{};
  std::optional<decimal> ram_byte_hours{};
  std::optional<decimal> pv_byte_hours{};
  std::optional<decimal> cpu_efficiency{};
  std::optional<decimal> ram_efficiency{};
  std::optional<decimal> total_cost{};
};

/// All namespaces of one window; synthetic rows (`__…__`) and system namespaces left out. `known`
/// is false when OpenCost answered null for the window: it has no data (yet), which is not zero.
struct allocation_set {
  bool known = true;
  std::vector<allocation> rows{};
};

/// kube-system, kube-public, kube-node-lease, opencost, hopsworks, ingress-nginx and `__…__`.
bool is_system_namespace(std::string_view name);

/// GET …/services/opencost:9003/proxy/allocation/compute?window=<from>,<to>&aggregate=namespace
/// &accumulate=false for [from, to), RFC 3339 in seconds.
http_call allocation_call(const kube_access& cluster, time_point from, time_point to,
                          std::chrono::milliseconds deadline);

/// Reads an answer. One set is expected; several are added up (a value unknown in one of them is
/// unknown in the sum). upstream_failed for anything but the documented shape, with OpenCost's
/// own message as detail; a 4xx of the API server becomes upstream_failed with a text that tells an
/// admin what is wrong (token rejected, service not found …).
result<allocation_set> read_allocations(const http_answer& answer);

} // namespace binnacle::integrations
