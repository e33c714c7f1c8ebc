#include "config/base/metrics.hpp"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace binnacle::metrics {
namespace {

prometheus::Registry& registry() {
  // Merge: a second BuildCounter() of the same name gives the first family again.
  static prometheus::Registry instance{prometheus::Registry::InsertBehavior::Merge};
  return instance;
}

const prometheus::Histogram::BucketBoundaries bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                     0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                     1,      2.5,     5,      10};

} // namespace

prometheus::Counter& counter(const std::string& name, const std::string& help, const labels& with) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry()).Add(with);
}

prometheus::Gauge& gauge(const std::string& name, const std::string& help, const labels& with) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry()).Add(with);
}

prometheus::Histogram& latency(const std::string& name, const std::string& help,
                               const labels& with) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry()).Add(with, bounds);
}

std::string exposition() { return prometheus::TextSerializer{}.Serialize(registry().Collect()); }

} // namespace binnacle::metrics
