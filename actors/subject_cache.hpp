/// Which user a token's subject is, remembered between requests; bounded.
#pragma once

#include "config/base/ids.hpp"

#include <string>
#include <unordered_map>

namespace binnacle {

class subject_cache {
public:
  explicit subject_cache(std::size_t most) : most_{most} {}

  /// Null when it is not known.
  const user_id* find(const std::string& subject) const {
    auto known = users_.find(subject);
    return known == users_.end() ? nullptr : &known->second;
  }
  /// A full cache starts anew.
  void remember(const std::string& subject, const user_id& who) {
    if (users_.size() >= most_) clear();
    if (users_.emplace(subject, who).second) subjects_.emplace(who.value, subject);
  }
  /// All subjects of this user.
  void forget(const user_id& who) {
    auto [begin, end] = subjects_.equal_range(who.value);
    for (auto it = begin; it != end; ++it) users_.erase(it->second);
    subjects_.erase(begin, end);
  }
  void clear() {
    users_.clear();
    subjects_.clear();
  }

private:
  std::size_t most_;
  std::unordered_map<std::string, user_id> users_{};
  std::unordered_multimap<std::string, std::string> subjects_{}; // by user
};

} // namespace binnacle
