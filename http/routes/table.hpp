/// Every route of the service: the one place where a route's access is declared.
#pragma once

#include "actors/route.hpp"
#include "actors/services.hpp"

#include <span>
#include <string_view>

namespace binnacle::http {

std::span<const route> all_routes();

/// Answered on the connection, to GET and HEAD, without session, database or any other actor.
struct direct_route {
  std::string_view path;
  response (*answer)(const request&, services&);
};
std::span<const direct_route> direct_routes();

} // namespace binnacle::http
