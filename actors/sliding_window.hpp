/// A true sliding-window limiter for one key: in no window of the stated length are more than
/// `max` requests admitted, and waiting `retry_after` always suffices (if nobody else asks).
///
/// Memory is bounded whatever `max` is: up to 64 admissions are remembered exactly; beyond that,
/// they are counted in slots of window/64, each admission being dated to the END of its slot. That
/// errs on the safe side only: an admission is never forgotten early, at most one slot late.
#pragma once

#include "actors/exchange.hpp"
#include "config/base/time.hpp"
#include "config/limits.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle {

class sliding_window {
public:
  static constexpr std::uint32_t slots = 64;

  struct verdict {
    bool admitted = false;
    std::uint32_t remaining = 0;
    milliseconds retry_after{0}; // 0 when admitted
    milliseconds reset_after{0}; // until the whole budget is back
  };

  /// Admits and counts one request, or refuses it without counting. `now` may not run backwards
  /// by more than a clock correction; an earlier `now` is treated as the latest one seen.
  verdict admit(const rate_limit& limit, time_point now);

  /// Where it stands, with nothing counted.
  verdict peek(const rate_limit& limit, time_point now) const;

  /// The newest admission is not to count after all.
  void take_back();

  /// True when nothing admitted is inside the window any more.
  bool expired(const rate_limit& limit, time_point now) const;
  time_point expires_at(const rate_limit& limit) const;

  /// Compact text "<ms>x<count>,…" and back; used to carry a window over a restart.
  void append_to(std::string& out) const;
  static sliding_window from_text(std::string_view text);

private:
  struct mark {
    std::int64_t at = 0; // milliseconds since 1970; the end of its slot
    std::uint32_t count = 0;
  };
  void forget_before(std::int64_t horizon);
  std::vector<mark> marks_{}; // ascending by `at`
};

/// What the headers of an answer say about a verdict.
limit_report report_of(limit_class name, const rate_limit& limit,
                       const sliding_window::verdict& said, time_point now);

} // namespace binnacle
