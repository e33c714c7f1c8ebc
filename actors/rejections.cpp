#include "actors/rejections.hpp"

#include "config/base/metrics.hpp"

namespace binnacle {

prometheus::Counter& rejections(limit_class name) {
  static const auto counters = [] {
    std::array<prometheus::Counter*, limit_class_count> out{};
    for (const auto& row : limit_rows)
      out[static_cast<std::size_t>(row.name)] =
          &metrics::counter("binnacle_rate_limited_total", "Requests over their limit",
                            {{"class", std::string{row.key}}});
    return out;
  }();
  return *counters[static_cast<std::size_t>(name)];
}

} // namespace binnacle
