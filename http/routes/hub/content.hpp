/// What the hub's dashboard suggests to everybody: texts, not data. All of them are here.
#pragma once

#include "config/base/json.hpp"

#include <string_view>

namespace binnacle::http {

/// The dashboard's shortcuts; each names an action of POST /api/dashboard/perform-action.
json::array quick_actions();

/// Tools to try and documents to read, in German for "de" and otherwise in English.
json::object recommendations(std::string_view locale);

} // namespace binnacle::http
