#include "integrations/hubspot.hpp"

#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "integrations/stripe/form.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace binnacle::hubspot {
namespace {

namespace bj = boost::json;
using integrations::http_answer;
using integrations::http_call;

constexpr std::size_t largest_answer = 1'048'576;

fault unintelligible(std::string what) {
  return {errc::upstream_failed, {}, {}, "HubSpot: " + std::move(what)};
}

http_call get(const account& at, std::string path) {
  http_call out;
  out.url = at.api_url + "/crm/v3/objects/" + std::move(path);
  out.bearer = at.key;
  out.max_body = largest_answer;
  return out;
}

const bj::object* object_member(const bj::object& o, std::string_view name) {
  const auto* member = o.if_contains({name.data(), name.size()});
  return member ? member->if_object() : nullptr;
}

/// Absent, null and anything but text are empty.
std::string text_member(const bj::object& o, std::string_view name) {
  const auto* member = o.if_contains({name.data(), name.size()});
  if (!member || !member->is_string()) return {};
  return {member->get_string().data(), member->get_string().size()};
}

result<bj::object> read_object(std::string_view body) {
  auto parsed = json::parse(body);
  if (!parsed || !parsed->is_object()) return unintelligible("an answer that is no JSON object");
  return std::move(parsed->get_object());
}

result<bj::object> read_properties(std::string_view body) {
  auto from = read_object(body);
  if (!from) return from.error();
  const auto* properties = object_member(*from, "properties");
  if (!properties) return unintelligible("an object without properties");
  return *properties;
}

/// The ids of {"results":[{"id"}]}, each once: an association of two kinds is listed twice.
std::vector<std::string> ids_of(const bj::object& from) {
  std::vector<std::string> out;
  const auto* results = from.if_contains("results");
  if (!results || !results->is_array()) return out;
  for (const auto& each : results->get_array()) {
    if (!each.is_object()) continue;
    auto id = text_member(each.get_object(), "id");
    if (is_id(id) && std::ranges::find(out, id) == out.end()) out.push_back(std::move(id));
  }
  return out;
}

/// "acme.com" of "https://www.acme.com/about"; empty for what is no host name.
std::string host_of(std::string_view website) {
  if (auto scheme = website.find("://"); scheme != website.npos) website.remove_prefix(scheme + 3);
  website = website.substr(0, website.find_first_of("/?#:"));
  auto out = lower_case(website);
  if (out.starts_with("www.")) out.erase(0, 4);
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  };
  return std::ranges::all_of(out, allowed) && out.find('.') != out.npos ? out : std::string{};
}

} // namespace

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

http_call get_deal(const account& at, std::string_view id) {
  return get(at, "deals/" + std::string{id} + "?associations=company");
}

http_call get_company(const account& at, std::string_view id) {
  return get(at, "companies/" + std::string{id} + "?properties=name,company,logo,website,domain");
}

http_call get_contacts_of_deal(const account& at, std::string_view deal, std::string_view after) {
  stripe::form query;
  query.add("limit", contacts_per_page).add_given("after", after);
  return get(at, "deals/" + std::string{deal} + "/associations/contacts?" + query.str());
}

http_call read_emails_of(const account& at, const std::vector<std::string>& contacts) {
  json::array inputs;
  for (const auto& id : contacts) inputs.push_back(json::object{{"id", id}});
  json::array properties{"email"};
  json::object body{{"properties", std::move(properties)}, {"inputs", std::move(inputs)}};
  auto out = get(at, "contacts/batch/read");
  out.method = "POST";
  out.headers = {{"Content-Type", "application/json"}};
  out.body = json::to_text(body);
  return out;
}

result<std::string> body_of(const http_answer& answer) {
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  auto detail = "HubSpot answers " + std::to_string(answer.status);
  return fault{answer.status == 404 ? errc::not_found : errc::upstream_failed, {}, {}, detail};
}

result<deal> read_deal(std::string_view body) {
  auto from = read_object(body);
  if (!from) return from.error();
  const auto* properties = object_member(*from, "properties");
  if (!properties) return unintelligible("a deal without properties");
  deal out{.id = text_member(*from, "id"),
           .name = text_member(*properties, "dealname"),
           .stage = text_member(*properties, "dealstage")};
  // Asked for in the singular, answered in the plural.
  if (const auto* associations = object_member(*from, "associations"))
    if (const auto* companies = object_member(*associations, "companies"))
      out.companies = ids_of(*companies);
  return out;
}

result<company> read_company(std::string_view body) {
  auto from = read_properties(body);
  if (!from) return from.error();
  company out{.name = text_member(*from, "name"), .logo = text_member(*from, "logo")};
  if (out.name.empty()) out.name = text_member(*from, "company");
  out.domain = host_of(text_member(*from, "domain"));
  if (out.domain.empty()) out.domain = host_of(text_member(*from, "website"));
  if (!out.logo.starts_with("https://")) out.logo.clear();
  return out;
}

result<contact_page> read_contacts(std::string_view body) {
  auto from = read_object(body);
  if (!from) return from.error();
  contact_page out{.ids = ids_of(*from)};
  if (out.ids.size() > contacts_per_page)
    return unintelligible("more contacts than were asked for");
  if (const auto* paging = object_member(*from, "paging"))
    if (const auto* next = object_member(*paging, "next")) out.next = text_member(*next, "after");
  return out;
}

result<std::vector<std::string>> read_emails(std::string_view body) {
  auto from = read_object(body);
  if (!from) return from.error();
  const auto* results = from->if_contains("results");
  if (!results || !results->is_array()) return unintelligible("a batch without results");
  std::vector<std::string> out;
  for (const auto& each : results->get_array()) {
    if (!each.is_object()) continue;
    const auto* properties = object_member(each.get_object(), "properties");
    auto email = properties ? lower_case(text_member(*properties, "email")) : std::string{};
    if (!email.empty()) out.push_back(std::move(email));
  }
  return out;
}

std::string logo_of_domain(std::string_view domain) {
  return "https://logo.clearbit.com/" + std::string{domain};
}

} // namespace binnacle::hubspot
