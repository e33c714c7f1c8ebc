/// Handlers of the developer dashboard.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

task<result<response>> get_api_keys(context& ctx);
task<result<response>> post_api_key(context& ctx);
task<result<response>> delete_api_key(context& ctx);
task<result<response>> post_rotate_api_key(context& ctx);

task<result<response>> post_verify_key(context& ctx);
task<result<response>> post_refresh(context& ctx);
task<result<response>> post_end_refresh(context& ctx);

} // namespace binnacle::http
