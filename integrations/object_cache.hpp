/// The objects that were asked for last, open, in memory, or only the facts about them, so that the
/// next request for one needs no worker. For any thread.
#pragma once

#include "integrations/object_store.hpp"

#include <list>
#include <mutex>
#include <unordered_map>

namespace binnacle::integrations {

class object_cache {
public:
  using instant = object_store::instant;
  struct limits {
    std::size_t objects = 256;
    std::uint64_t bytes = 67'108'864; // of those that are not files
    /// An object that another node has removed is gone here after this.
    std::chrono::seconds age{60};
  };

  object_cache() = default;
  explicit object_cache(limits l) : limits_{l} {}

  /// Null when it is not known.
  std::shared_ptr<const object> find(const object_name&, instant now);
  void keep(const object_name&, std::shared_ptr<const object>, instant now);
  void forget(const object_name&);

private:
  struct entry {
    std::string name;
    std::shared_ptr<const object> what;
    instant kept_at;
  };
  using entries = std::list<entry>;
  void drop(entries::iterator);

  limits limits_{};
  std::mutex guard_{};
  entries latest_first_{};
  std::unordered_map<std::string_view, entries::iterator> by_name_{};
  std::uint64_t bytes_ = 0;
};

} // namespace binnacle::integrations
