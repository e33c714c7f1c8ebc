/// Handlers of the AI-gateway dashboard.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

task<result<response>> get_setup(context& ctx);
task<result<response>> post_setup(context& ctx);
task<result<response>> post_login(context& ctx);
task<result<response>> post_logout(context& ctx);
task<result<response>> get_me(context& ctx);
task<result<response>> post_change_password(context& ctx);

} // namespace binnacle::http
