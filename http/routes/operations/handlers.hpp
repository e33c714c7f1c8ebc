/// What operators and other services ask. All but the key set are answered without any actor, so
/// that they work when nothing else does.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"

namespace binnacle::http {

task<result<response>> get_jwks(context& ctx);
task<result<response>> get_events(context& ctx);

response get_version(const request& req, services& app);
response get_healthz(const request& req, services& app);
response get_readyz(const request& req, services& app);
response get_metrics(const request& req, services& app);
/// A document of web/documents.hpp, by its path.
response get_document(const request& req, services& app);

} // namespace binnacle::http
