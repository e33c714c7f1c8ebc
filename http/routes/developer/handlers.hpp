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
task<result<response>> post_developer_login(context& ctx);
task<result<response>> post_refresh(context& ctx);
task<result<response>> post_end_refresh(context& ctx);

task<result<response>> get_own_projects(context& ctx);
task<result<response>> post_project(context& ctx);
task<result<response>> get_project(context& ctx);
task<result<response>> patch_project(context& ctx);
task<result<response>> delete_project(context& ctx);

task<result<response>> get_project_users(context& ctx);
task<result<response>> post_project_user(context& ctx);
task<result<response>> patch_project_user(context& ctx);
task<result<response>> delete_project_user(context& ctx);

} // namespace binnacle::http
