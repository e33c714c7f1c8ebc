#include "http/routes/platform/opencost_probe.hpp"

#include "config/base/metrics.hpp"
#include "integrations/vault.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

constexpr milliseconds longest_probe{15'000};

/// What a worker brings back. No result<…>: a result of a result could be made from a fault in two
/// ways.
struct probe_outcome {
  std::optional<integrations::allocation_set> set{};
  fault failure{};
};

/// All a compute worker needs; it must not touch the context.
struct probe {
  std::shared_ptr<const integrations::vault> vault{};
  persistence::cluster which{};
  time_point from{}, to{};
  milliseconds deadline{};

  result<integrations::allocation_set> run() const {
    auto kubeconfig = vault->unseal(which.kubeconfig_sealed, "kubeconfig:" + which.id.value);
    if (!kubeconfig) return kubeconfig.error();
    auto cluster = integrations::parse_kubeconfig(kubeconfig->reveal());
    if (!cluster) return cluster.error();
    integrations::http_client client;
    auto answer = client.send(integrations::allocation_call(*cluster, from, to, deadline));
    if (!answer) { // the detail of a failed call holds no secret, and is what the admin asks for
      const auto& why = answer.error().detail;
      return fault{errc::upstream_failed, "The cluster cannot be reached: " + why, {}, why};
    }
    auto set = integrations::read_allocations(*answer);
    if (set && !set->known)
      return fault{errc::upstream_failed, "OpenCost has no data for this window yet", {}, {}};
    return set;
  }
};

} // namespace

task<result<integrations::allocation_set>> probe_opencost(context& ctx, persistence::cluster which,
                                                          time_point from, time_point to) {
  probe job;
  job.vault = ctx.app.vault;
  job.which = std::move(which);
  job.from = from;
  job.to = to;
  job.deadline = std::min(longest_probe, std::chrono::duration_cast<milliseconds>(ctx.patience()));
  auto ask = [job] {
    auto set = job.run();
    return set ? probe_outcome{std::move(*set), {}} : probe_outcome{{}, set.error()};
  };
  auto asked = co_await ctx.compute(ask);
  if (!asked) co_return asked.error();
  metrics::counter("binnacle_upstream_calls_total", "Calls to upstreams",
                   {{"upstream", "opencost"}, {"outcome", asked->set ? "success" : "failure"}})
      .Increment();
  if (!asked->set) co_return std::move(asked->failure);
  co_return std::move(*asked->set);
}

} // namespace binnacle::http
