#include "web/documents.hpp"
#include "actors/body.hpp"
#include "http/routes/operations/handlers.hpp"

#include <map>

namespace binnacle::http {
namespace {

/// Nothing of the page is from elsewhere, and it talks to nobody but us.
constexpr const char* content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct kept_document {
  std::string_view content_type;
  std::shared_ptr<const shared_body> body;
};

/// By path; with their validators and compressed forms, made once.
const std::map<std::string_view, kept_document>& kept_documents() {
  static const auto all = [] {
    std::map<std::string_view, kept_document> out;
    for (const auto& d : web::documents())
      out.emplace(d.path, kept_document{d.content_type, make_shared_body(std::string{d.text})});
    return out;
  }();
  return all;
}

} // namespace

response get_document(const request& req, services&) {
  const auto& found = kept_documents().at(req.path);
  response out;
  out.content_type = found.content_type;
  out.shared = found.body;
  out.cache = caching::public_short;
  out.headers.emplace_back("Content-Security-Policy", content_security_policy);
  if (matches(req.at(field::if_none_match), found.body->etag())) out.status = 304;
  return out;
}

} // namespace binnacle::http
