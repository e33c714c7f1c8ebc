/// How referral codes are made. hub.md §3.
#pragma once

#include "config/base/ids.hpp"

#include <string>
#include <vector>

namespace binnacle {

/// Codes for a user to have, the one to try first in front: from the user's id, then the same with
/// eight random hexadecimal digits. All match ^[a-z0-9]{6,64}$.
std::vector<std::string> referral_codes(const user_id&);

} // namespace binnacle
