/// The pictures of users, and the objects that are to be removed from the store.
///
/// plan_avatar, then the object is put, then adopt_avatar: whatever is cut off in between, the
/// user's picture is one that is in the store, and every object that is nobody's is removed in the
/// end.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/transaction.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace binnacle::persistence {

struct stored_object {
  std::string bucket{};
  std::string key{};
};

/// Notes that the object is about to be put, and is to be removed at `unless_adopted_by`. False
/// when the name is taken, by this or by another of the user's pictures.
result<bool> plan_avatar(transaction&, const user_id&, const stored_object&,
                         const std::string& image, time_point unless_adopted_by);
/// It has been put: it is the user's picture from now on, and its predecessor is due to be removed.
/// conflict: it came too late, its removal has begun. Touches identity.
result<done> adopt_avatar(transaction&, const user_id&, const stored_object&,
                          const std::string& image, time_point now);

struct unwanted_object {
  stored_object what{};
  std::int64_t attempt = 0; // 1 for the first
};
/// At most `most` that are due. Whoever has them must remove them; after `lease` they are due
/// again. Removing one twice does no harm.
result<std::vector<unwanted_object>> hold_unwanted_objects(transaction&, milliseconds lease,
                                                           std::int64_t most, time_point now);
/// It has been removed.
result<done> forget_unwanted_object(transaction&, const stored_object&);

} // namespace binnacle::persistence
