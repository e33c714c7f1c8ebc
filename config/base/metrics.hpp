/// Metrics in the Prometheus data model. Families are made once, at first use; a reference to a
/// counter, gauge or histogram stays valid for the life of the process and may be used from any
/// thread. Look it up once and keep it on a hot path.
#pragma once

#include <map>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <string>

namespace binnacle::metrics {

using labels = std::map<std::string, std::string>;

prometheus::Counter& counter(const std::string& name, const std::string& help,
                             const labels& with = {});
prometheus::Gauge& gauge(const std::string& name, const std::string& help, const labels& with = {});
/// Latencies, in seconds, from 100 µs to 10 s.
prometheus::Histogram& latency(const std::string& name, const std::string& help,
                               const labels& with = {});

/// Everything, in the text exposition format 0.0.4.
std::string exposition();

} // namespace binnacle::metrics
