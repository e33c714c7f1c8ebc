/// How many requests wait in mailboxes. CAF 0.17 cannot tell from outside an actor, so the sender
/// of a request counts it in and its receiver counts it out.
#pragma once

#include "config/base/metrics.hpp"

namespace binnacle::mailboxes {

inline prometheus::Gauge& depth(const char* actor) {
  return metrics::gauge("binnacle_mailbox_depth", "Requests waiting in mailboxes",
                        {{"actor", actor}});
}
inline prometheus::Gauge& front_end() {
  static auto& gauge = depth("front-end");
  return gauge;
}
inline prometheus::Gauge& identity() {
  static auto& gauge = depth("identity");
  return gauge;
}
/// Of all sessions together.
inline prometheus::Gauge& sessions() {
  static auto& gauge = depth("sessions");
  return gauge;
}

} // namespace binnacle::mailboxes
