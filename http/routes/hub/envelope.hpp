/// The hub's envelopes, and what its routes say of wrong bodies and of a database that is away.
#pragma once

#include "http/routes/replies.hpp"

namespace binnacle::http {

/// {"success":true,"data":…}
inline json::object in_envelope(json::value data) {
  return {{"success", true}, {"data", std::move(data)}};
}

/// Whatever is wrong with a body, the message is the same (hub.md §1.6); what it is stands in the
/// details.
fault invalid_body(const fault& f);

/// A database that is away is a 500 here (hub.md §2, §3), and `otherwise` the text of what else is
/// our fault; empty: none of its own.
fault not_loaded(const fault& why, std::string otherwise = {});

} // namespace binnacle::http
