#include "integrations/object_cache.hpp"

namespace binnacle::integrations {
namespace {

std::string text_of(const object_name& name) { return name.bucket + "/" + name.key; }

} // namespace

std::shared_ptr<const object> object_cache::find(const object_name& name, instant now) {
  std::lock_guard lock{guard_};
  auto at = by_name_.find(text_of(name));
  if (at == by_name_.end()) return {};
  if (now - at->second->kept_at >= limits_.age) {
    drop(at->second);
    return {};
  }
  latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
  return at->second->what;
}

void object_cache::keep(const object_name& name, std::shared_ptr<const object> what, instant now) {
  std::lock_guard lock{guard_};
  auto text = text_of(name);
  if (auto at = by_name_.find(text); at != by_name_.end()) drop(at->second);
  if (what->bytes_in_memory() > limits_.bytes / 8) return; // one must not drive out all others
  bytes_ += what->bytes_in_memory();
  latest_first_.push_front({std::move(text), std::move(what), now});
  by_name_.emplace(latest_first_.front().name, latest_first_.begin());
  while (latest_first_.size() > limits_.objects || bytes_ > limits_.bytes)
    drop(std::prev(latest_first_.end()));
}

void object_cache::forget(const object_name& name) {
  std::lock_guard lock{guard_};
  if (auto at = by_name_.find(text_of(name)); at != by_name_.end()) drop(at->second);
}

void object_cache::drop(entries::iterator which) {
  bytes_ -= which->what->bytes_in_memory();
  by_name_.erase(which->name);
  latest_first_.erase(which);
}

} // namespace binnacle::integrations
