/// Prepaid credits: their unit, and how long a pack lasts.
#pragma once

#include "config/base/time.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace binnacle {

/// Credits are counted in whole tenths.
inline constexpr std::int64_t tenths_per_credit = 10;
/// At most this much at once, so that sums stay in range: 100 billion credits.
inline constexpr std::int64_t most_tenths = 1'000'000'000'000;

/// What is sold at once, in credits.
inline constexpr std::array<std::int64_t, 3> credit_packs{100, 500, 1'500};

/// In credits, for people: 125 is "12.5", 120 is "12".
std::string format_credits(std::int64_t tenths);

/// When a pack bought at `created` expires (hub.md §10): six calendar months later, on the last
/// day of a month that is too short, and then fourteen days. UTC; keeps the time of day.
time_point pack_expiry(time_point created);

/// How long credits can be used that a refund returns after their grant has expired: what a pack
/// has beyond its six months.
inline constexpr hours refund_grace{14 * 24};

} // namespace binnacle
