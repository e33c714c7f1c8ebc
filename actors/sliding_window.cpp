#include "actors/sliding_window.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace binnacle {
namespace {

std::int64_t to_ms(time_point t) {
  return std::chrono::floor<milliseconds>(t.time_since_epoch()).count();
}

} // namespace

void sliding_window::forget_before(std::int64_t horizon) {
  auto keep = std::ranges::find_if(marks_, [&](const mark& m) { return m.at > horizon; });
  marks_.erase(marks_.begin(), keep);
}

sliding_window::verdict sliding_window::admit(const rate_limit& limit, time_point now) {
  auto length = std::chrono::duration_cast<milliseconds>(limit.window).count();
  auto slot = limit.max > slots ? std::max<std::int64_t>(1, length / slots) : 1;
  auto present = to_ms(now);
  // Rounded up to the end of its slot, and never before what is remembered already.
  auto at = (present + slot - 1) / slot * slot;
  if (!marks_.empty()) at = std::max(at, marks_.back().at);
  forget_before(present - length);

  std::uint64_t used = 0;
  for (auto& m : marks_) used += m.count;
  verdict out;
  if (used < limit.max) {
    if (!marks_.empty() && marks_.back().at == at)
      ++marks_.back().count;
    else
      marks_.push_back({at, 1});
    ++used;
    out.admitted = true;
  } else {
    // Oldest marks leave first; wait for as many as are in the way of one admission.
    auto excess = used - limit.max + 1;
    for (auto& m : marks_) {
      out.retry_after = milliseconds{m.at + length - present};
      if (m.count >= excess) break;
      excess -= m.count;
    }
  }
  out.remaining = static_cast<std::uint32_t>(limit.max - std::min<std::uint64_t>(used, limit.max));
  if (!marks_.empty()) out.reset_after = milliseconds{marks_.back().at + length - present};
  return out;
}

sliding_window::verdict sliding_window::peek(const rate_limit& limit, time_point now) const {
  auto copy = *this;
  auto out = copy.admit(limit, now);
  if (!out.admitted) return out;
  ++out.remaining;
  auto whole = expired(limit, now);
  out.reset_after =
      whole ? milliseconds{0} : std::chrono::ceil<milliseconds>(expires_at(limit) - now);
  return out;
}

void sliding_window::take_back() {
  if (!marks_.empty() && --marks_.back().count == 0) marks_.pop_back();
}

bool sliding_window::expired(const rate_limit& limit, time_point now) const {
  return marks_.empty() || expires_at(limit) <= now;
}

time_point sliding_window::expires_at(const rate_limit& limit) const {
  if (marks_.empty()) return {};
  return time_point{milliseconds{marks_.back().at}} + limit.window;
}

limit_report report_of(limit_class name, const rate_limit& limit,
                       const sliding_window::verdict& said, time_point now) {
  auto in_seconds = [](milliseconds d) { return std::chrono::ceil<seconds>(d).count(); };
  limit_report out{.name = name,
                   .limit = limit,
                   .remaining = said.remaining,
                   .reset_at = unix_seconds(now) + in_seconds(said.reset_after)};
  if (!said.admitted) out.retry_after = std::max<std::int64_t>(in_seconds(said.retry_after), 1);
  return out;
}

void sliding_window::append_to(std::string& out) const {
  for (auto separator = false; auto& m : marks_) {
    if (std::exchange(separator, true)) out.push_back(',');
    out.append(std::to_string(m.at)).append("x").append(std::to_string(m.count));
  }
}

sliding_window sliding_window::from_text(std::string_view text) {
  sliding_window out;
  auto* at = text.data();
  auto* end = at + text.size();
  while (at < end) {
    mark m;
    auto [after_time, bad_time] = std::from_chars(at, end, m.at);
    if (bad_time != std::errc{} || after_time == end || *after_time != 'x') break;
    auto [after_count, bad_count] = std::from_chars(after_time + 1, end, m.count);
    if (bad_count != std::errc{}) break;
    if (out.marks_.empty() || out.marks_.back().at < m.at) out.marks_.push_back(m);
    at = after_count == end ? end : after_count + 1;
  }
  return out;
}

} // namespace binnacle
