#include "http/routes/hub/envelope.hpp"

namespace binnacle::http {

fault invalid_body(const fault& f) {
  if (f.code != errc::bad_request) return f;
  if (f.field.empty())
    return bad_field("_form",
                     "Invalid JSON body: The body must be a JSON object without duplicates");
  return bad_field(f.field, "Invalid JSON body: " + f.text);
}

fault not_loaded(const fault& why, std::string otherwise) {
  if (why.code == errc::unavailable)
    return {errc::internal, "Database unavailable", {}, why.detail};
  if (why.code == errc::internal || why.code == errc::conflict)
    return {errc::internal, std::move(otherwise), {}, to_string(why)};
  return why;
}

} // namespace binnacle::http
