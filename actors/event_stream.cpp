#include "actors/event_stream.hpp"

#include "config/base/metrics.hpp"

namespace binnacle {
namespace {

prometheus::Gauge& open_streams() {
  static auto& gauge = metrics::gauge("binnacle_event_streams", "Listeners of GET /api/events");
  return gauge;
}

} // namespace

std::string to_event(std::string_view id, std::string_view name, std::string_view data) {
  std::string out;
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  out.append("event: ").append(name);
  out.append("\ndata: ").append(data).append("\n\n");
  return out;
}

event_stream::event_stream(std::shared_ptr<const credential> who, std::uint64_t now)
    : generation{now}, who_{std::move(who)} {
  open_streams().Increment();
}

event_stream::~event_stream() { open_streams().Decrement(); }

void event_stream::push(std::string_view text) {
  std::lock_guard lock{guard_};
  append(text);
}

void event_stream::append(std::string_view text) {
  if (ended_) return;
  if (waiting_.size() + text.size() > most_waiting) {
    waiting_.clear();
    ended_ = true;
  } else {
    waiting_.append(text);
  }
  if (wake_) wake_();
}

void event_stream::end() {
  std::lock_guard lock{guard_};
  if (ended_) return;
  ended_ = true;
  if (wake_) wake_();
}

bool event_stream::ended() const {
  std::lock_guard lock{guard_};
  return ended_;
}

void event_stream::attach(std::function<void()> wake) {
  std::lock_guard lock{guard_};
  wake_ = std::move(wake);
  wake_();
}

event_stream::next event_stream::take(std::string& out) {
  std::lock_guard lock{guard_};
  if (writing_) return next::nothing;
  if (waiting_.empty()) return ended_ ? next::over : next::nothing;
  out = std::exchange(waiting_, {});
  writing_ = true;
  last_use_ = steady::now();
  return next::bytes;
}

void event_stream::written() {
  std::lock_guard lock{guard_};
  writing_ = false;
}

bool event_stream::check(steady::time_point now, steady::duration patience) {
  std::lock_guard lock{guard_};
  if (writing_) return now - last_use_ < patience;
  if (now - last_use_ >= heartbeat && waiting_.empty()) append(":\n\n");
  return true;
}

} // namespace binnacle
