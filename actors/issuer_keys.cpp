#include "actors/issuer_keys.hpp"

#include <algorithm>

namespace binnacle {
namespace {

constexpr hours good_when_stale{24};
constexpr seconds refetch_interval{30};
constexpr seconds first_pause{1};
constexpr seconds longest_pause{30};

} // namespace

issuer_keys::advice issuer_keys::look_for(const std::string& kid, time_point now) {
  auto usable = keys_ && now < fresh_until_ + good_when_stale;
  auto known = usable && keys_->has(kid);
  auto stale = now >= fresh_until_;
  advice out;
  if (!fetching_ && now >= retry_at_ && (stale || (!known && now >= refetch_at_))) {
    if (!stale) refetch_at_ = now + refetch_interval;
    out.fetch = fetching_ = true;
  }
  if (known)
    out.what = outlook::known;
  else if (fetching_)
    out.what = outlook::coming;
  else
    out.what = usable ? outlook::unknown : outlook::unavailable;
  return out;
}

void issuer_keys::end_fetch(std::shared_ptr<const integrations::key_set> fetched, seconds lifetime,
                            time_point now) {
  fetching_ = false;
  if (!fetched) {
    pause_ = std::clamp(2 * pause_, first_pause, longest_pause);
    retry_at_ = now + pause_;
    return;
  }
  keys_ = std::move(fetched);
  fresh_until_ = now + lifetime;
  pause_ = seconds{0};
  retry_at_ = {};
}

} // namespace binnacle
