/// Handlers of the assinante surface: the subscriber dashboard, in Brazilian Portuguese.
/// Contract: assinante.md.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/settings.hpp"
#include "persistence/assinante.hpp"

#include <string>

namespace binnacle::http {

task<result<response>> get_subscription(context& ctx);
task<result<response>> put_subscription(context& ctx);
task<result<response>> get_orders(context& ctx);
task<result<response>> get_invoices(context& ctx);
task<result<response>> get_invoice_pdf(context& ctx);
task<result<response>> post_register(context& ctx);

/// Where an invoice's PDF is: the path of its route, after http.public_url when that is set.
std::string invoice_url(const settings& config, const std::string& id);

/// Who sends the request, for the history.
persistence::assinante::author author_of(const context& ctx);

} // namespace binnacle::http
