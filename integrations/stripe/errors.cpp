#include "integrations/stripe/errors.hpp"

#include "config/base/json.hpp"
#include "config/base/utf8.hpp"

#include <boost/json.hpp>

namespace binnacle::stripe {
namespace {

namespace bj = boost::json;

constexpr std::size_t longest_message = 500;

std::string text_at(const bj::object& o, const char* name) {
  const auto* member = o.if_contains(name);
  const auto* text = member ? member->if_string() : nullptr;
  return text ? text_of_others({text->data(), text->size()}, longest_message) : std::string{};
}

errc meaning(const refusal& r) {
  if (r.status < 400 || r.status == 408 || r.status == 429 || r.status >= 500)
    return errc::upstream_failed;
  if (already_exists(r)) return errc::conflict;
  // The key is in use by an earlier attempt of ours, whose outcome is open.
  if (r.status == 409) return errc::upstream_failed;
  // Some other 404, such as one of a proxy, says nothing of the object.
  if (r.code == "resource_missing") return errc::not_found;
  return errc::unprocessable;
}

} // namespace

refusal read_refusal(const integrations::http_answer& answer) {
  refusal out;
  out.status = answer.status;
  auto parsed = json::parse(answer.body);
  const auto* body = parsed ? parsed->if_object() : nullptr;
  const auto* member = body ? body->if_contains("error") : nullptr;
  const auto* error = member ? member->if_object() : nullptr;
  if (!error) {
    out.message = text_of_others(answer.body, longest_message); // a proxy's page, perhaps
    return out;
  }
  out.type = text_at(*error, "type");
  out.code = text_at(*error, "code");
  out.param = text_at(*error, "param");
  out.message = text_at(*error, "message");
  return out;
}

bool already_exists(const refusal& r) {
  return r.code == "resource_already_exists" ||
         r.message.find("already exists with identifier") != std::string::npos;
}

bool rejects_key(const refusal& r) { return r.status == 401 || r.status == 403; }

fault to_fault(const refusal& r) {
  static constexpr auto texts = [](errc code) {
    switch (code) {
    case errc::not_found:
      return "Stripe does not know this object";
    case errc::conflict:
      return "Stripe has this already";
    case errc::unprocessable:
      return "Stripe refused the request";
    default:
      return "Stripe failed";
    }
  };
  auto code = meaning(r);
  auto detail = "Stripe answered " + std::to_string(r.status);
  for (const auto* part : {&r.type, &r.code, &r.message})
    if (!part->empty()) detail.append(part == &r.message ? ": " : " ").append(*part);
  return {code, texts(code), r.param, std::move(detail)};
}

} // namespace binnacle::stripe
