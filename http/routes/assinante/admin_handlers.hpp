/// Handlers for whoever runs the shop: every subscription, order and invoice, to see and to write.
///
/// They answer in the surface's dialect, but are no part of what subscribers' front ends call:
/// admins come with whatever credential they have (surface assinante_admin).
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

task<result<response>> get_subscription_rows(context& ctx);
task<result<response>> get_subscription_row(context& ctx);
task<result<response>> post_subscription_row(context& ctx);
task<result<response>> put_subscription_row(context& ctx);

task<result<response>> get_order_rows(context& ctx);
task<result<response>> get_order_row(context& ctx);
task<result<response>> post_order_row(context& ctx);
task<result<response>> put_order_row(context& ctx);

task<result<response>> get_invoice_rows(context& ctx);
task<result<response>> get_invoice_row(context& ctx);
task<result<response>> post_invoice_row(context& ctx);
task<result<response>> put_invoice_row(context& ctx);

} // namespace binnacle::http
