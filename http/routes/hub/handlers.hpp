/// Handlers of the creator dashboard.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

task<result<response>> get_csrf(context& ctx);

} // namespace binnacle::http
