/// Successful answers.
#pragma once

#include "actors/exchange.hpp"
#include "config/base/json.hpp"

namespace binnacle::http {

inline response json_reply(const json::object& body, int status = 200,
                           caching how = caching::private_revalidate) {
  response out;
  out.status = status;
  out.body = json::to_text(body);
  out.cache = how;
  return out;
}

/// The answer to a write.
inline response written(const json::object& body, int status = 200) {
  return json_reply(body, status, caching::no_store);
}

/// 302 to a location that is written as a URL.
inline response redirect(std::string location) {
  response out;
  out.status = 302;
  out.cache = caching::no_store;
  out.headers.emplace_back("Location", std::move(location));
  return out;
}

} // namespace binnacle::http
