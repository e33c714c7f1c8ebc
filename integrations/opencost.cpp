#include "integrations/opencost.hpp"

#include "config/base/json.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

namespace bj = boost::json;

constexpr std::size_t longest_detail = 500;

std::string clipped(std::string text) {
  if (text.size() > longest_detail) text.resize(longest_detail);
  return text;
}

fault wrong_shape(const std::string& why) {
  return {errc::upstream_failed, "OpenCost answered in an unknown form", {}, "OpenCost: " + why};
}

/// The message of an OpenCost error or of a Kubernetes Status; both call it that. Other bodies are
/// plain text, or HTML of something in between.
std::string message_of(const http_answer& answer) {
  auto parsed = json::parse(answer.body);
  if (parsed && parsed->is_object())
    if (const auto* message = parsed->get_object().if_contains("message");
        message && message->is_string())
      return clipped(std::string{message->get_string().data(), message->get_string().size()});
  return clipped(answer.body);
}

/// A failure comes from the API server itself when its body is a Kubernetes Status.
bool is_from_api_server(const http_answer& answer) {
  auto parsed = json::parse(answer.body);
  if (!parsed || !parsed->is_object()) return false;
  const auto* kind = parsed->get_object().if_contains("kind");
  return kind && kind->is_string() && kind->get_string() == "Status";
}

/// What an admin should look at.
std::string advice(const http_answer& answer) {
  switch (answer.status) {
  case 401:
    return "The cluster rejected the token; put a valid one into the kubeconfig";
  case 403:
    return "The token may not use the service proxy; allow it get on services/proxy in namespace "
           "opencost";
  case 404:
    return is_from_api_server(answer)
               ? "The cluster has no service opencost in namespace opencost; install OpenCost"
               : "OpenCost has no allocation API at this path; update OpenCost";
  case 429:
    return "The cluster asks for fewer requests; it is tried again later";
  case 503:
    return "The cluster has no running OpenCost; check its pods";
  default:
    break;
  }
  if (answer.status >= 300 && answer.status < 400)
    return "The cluster answered with a redirect; put the final address into the kubeconfig";
  if (answer.status >= 400 && answer.status < 500)
    return "The cluster refused the request (" + std::to_string(answer.status) + ")";
  return "OpenCost failed (" + std::to_string(answer.status) + ")";
}

/// Nothing when the field is null or absent, negative where that makes no sense, or beyond what a
/// decimal holds: OpenCost is known to report absurd numbers for a while after a restart of its
/// database, and an unknown value is collected again while a wrong one is billed.
result<std::optional<decimal>> number(const bj::object& row, const char* name,
                                      bool may_be_negative) {
  const auto* member = row.if_contains(name);
  std::optional<decimal> out;
  if (!member || member->is_null()) return out;
  if (member->is_int64())
    out = decimal{member->get_int64()};
  else if (member->is_uint64())
    out = decimal::parse(std::to_string(member->get_uint64()));
  else if (member->is_double())
    out = decimal::from_double(member->get_double());
  else
    return wrong_shape(std::string{name} + " is no number");
  if (out && *out < decimal{} && !may_be_negative) out.reset();
  return out;
}

struct field {
  const char* name;
  std::optional<decimal> allocation::*value;
  bool may_be_negative = false;
};
constexpr std::array fields{
    field{"cpuCoreHours", &allocation::cpu_core_hours},
    field{"gpuHours", &allocation::gpu_hours},
    field{"ramByteHours", &allocation::ram_byte_hours},
    field{"pvByteHours", &allocation::pv_byte_hours},
    field{"cpuEfficiency", &allocation::cpu_efficiency},
    field{"ramEfficiency", &allocation::ram_efficiency},
    field{"totalCost", &allocation::total_cost, true}, // credits and adjustments
};

result<allocation> read_row(std::string name, const bj::value& from) {
  const auto* row = from.if_object();
  if (!row) return wrong_shape("an allocation is no object");
  allocation out;
  out.name_space = std::move(name);
  for (const auto& f : fields) {
    auto value = number(*row, f.name, f.may_be_negative);
    if (!value) return value.error();
    out.*f.value = *value;
  }
  return out;
}

std::optional<decimal> sum(const std::optional<decimal>& a, const std::optional<decimal>& b) {
  if (!a || !b) return {};
  return *a + *b;
}

/// Ratios do not add up: the mean, weighted by the hours they are ratios of.
std::optional<decimal> mean(const std::optional<decimal>& a, const std::optional<decimal>& weight_a,
                            const std::optional<decimal>& b,
                            const std::optional<decimal>& weight_b) {
  auto weight = sum(weight_a, weight_b);
  if (!a || !b || !weight || weight->is_zero()) return {};
  return (*a * *weight_a + *b * *weight_b) / *weight;
}

void add(allocation& to, const allocation& more) {
  to.cpu_efficiency =
      mean(to.cpu_efficiency, to.cpu_core_hours, more.cpu_efficiency, more.cpu_core_hours);
  to.ram_efficiency =
      mean(to.ram_efficiency, to.ram_byte_hours, more.ram_efficiency, more.ram_byte_hours);
  to.cpu_core_hours = sum(to.cpu_core_hours, more.cpu_core_hours);
  to.gpu_hours = sum(to.gpu_hours, more.gpu_hours);
  to.ram_byte_hours = sum(to.ram_byte_hours, more.ram_byte_hours);
  to.pv_byte_hours = sum(to.pv_byte_hours, more.pv_byte_hours);
  to.total_cost = sum(to.total_cost, more.total_cost);
}

result<allocation_set> read_sets(const bj::array& sets) {
  std::map<std::string, allocation> rows;
  for (const auto& set : sets) {
    // One step without data makes the whole window incomplete.
    if (set.is_null()) return allocation_set{false, {}};
    const auto* by_name = set.if_object();
    if (!by_name) return wrong_shape("a set is no object");
    for (const auto& [key, value] : *by_name) {
      std::string name{key.data(), key.size()};
      if (name.empty() || is_system_namespace(name)) continue;
      auto row = read_row(name, value);
      if (!row) return row.error();
      auto [at, is_new] = rows.try_emplace(name, *row);
      if (!is_new) add(at->second, *row);
    }
  }
  allocation_set out{!sets.empty(), {}};
  for (auto& [name, row] : rows) out.rows.push_back(std::move(row));
  return out;
}

} // namespace

bool is_system_namespace(std::string_view name) {
  static constexpr std::array<std::string_view, 6> system{
      "kube-system", "kube-public", "kube-node-lease", "opencost", "hopsworks", "ingress-nginx"};
  // OpenCost's own rows are `__idle__` and the like; no Kubernetes name begins so.
  if (name.starts_with("__")) return true;
  return std::find(system.begin(), system.end(), name) != system.end();
}

http_call allocation_call(const kube_access& cluster, time_point from, time_point to,
                          std::chrono::milliseconds deadline) {
  http_call out;
  out.url = cluster.server +
            "/api/v1/namespaces/opencost/services/opencost:9003/proxy/allocation/compute?window=" +
            format_iso_s(from) + "," + format_iso_s(to) + "&aggregate=namespace&accumulate=false";
  out.headers = {{"Accept", "application/json"}};
  out.bearer = cluster.token;
  out.deadline = deadline;
  out.tls = cluster.tls;
  return out;
}

result<allocation_set> read_allocations(const http_answer& answer) {
  if (answer.status != 200)
    return fault{errc::upstream_failed, advice(answer), {}, message_of(answer)};
  auto parsed = json::parse(answer.body);
  if (!parsed) return wrong_shape("no JSON");
  const auto* envelope = parsed->if_object();
  const auto* code = envelope ? envelope->if_contains("code") : nullptr;
  if (!code || !code->is_int64()) return wrong_shape("no envelope with a code");
  if (code->get_int64() != 200)
    return fault{errc::upstream_failed,
                 "OpenCost failed (" + std::to_string(code->get_int64()) + ")",
                 {},
                 message_of(answer)};
  const auto* data = envelope->if_contains("data");
  if (!data) return wrong_shape("no data");
  if (data->is_null()) return allocation_set{false, {}};
  if (!data->is_array()) return wrong_shape("data is no array");
  try {
    return read_sets(data->get_array());
  } catch (const std::overflow_error&) {
    return wrong_shape("a sum is out of range");
  }
}

} // namespace binnacle::integrations
