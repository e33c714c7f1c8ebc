#include "integrations/hopsworks.hpp"

#include "config/base/json.hpp"
#include "config/base/time.hpp"
#include "config/base/utf8.hpp"
#include "integrations/stripe/form.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>

namespace binnacle::hopsworks {
namespace {

namespace bj = boost::json;
using integrations::http_answer;

constexpr std::string_view api_path = "/hopsworks-api/api";
constexpr std::size_t longest_detail = 500;

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Thrown by the accessors below and caught where a document begins to be read.
struct nonsense {
  std::string why;
};

const bj::value* member(const bj::object& o, const char* name) {
  const auto* out = o.if_contains(name);
  return out && !out->is_null() ? out : nullptr;
}

std::string text(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return {};
  if (const auto* s = value->if_string()) return {s->data(), s->size()};
  throw nonsense{std::string{name} + " is no text"};
}

std::int64_t integer(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (!value) return 0;
  if (const auto* n = value->if_int64()) return *n;
  throw nonsense{std::string{name} + " is no whole number"};
}

/// A time is text, or milliseconds since 1970.
std::string instant(const bj::object& o, const char* name) {
  const auto* value = member(o, name);
  if (value && value->is_int64())
    return format_iso_ms(from_unix(0) + std::chrono::milliseconds{value->get_int64()});
  return text(o, name);
}

std::int64_t required_id(const bj::object& o) {
  auto out = integer(o, "id");
  if (out <= 0) throw nonsense{"id is missing"};
  return out;
}

std::string required(const bj::object& o, const char* name) {
  auto out = text(o, name);
  if (out.empty()) throw nonsense{std::string{name} + " is missing"};
  return out;
}

const bj::object& object_of(const bj::value& v) {
  if (const auto* o = v.if_object()) return *o;
  throw nonsense{"an object is missing"};
}

user user_of(const bj::value& v) {
  const auto& o = object_of(v);
  return {.id = required_id(o),
          .username = required(o, "username"),
          .email = text(o, "email"),
          .account_type = text(o, "accountType"),
          .status = integer(o, "status"),
          .max_projects = integer(o, "maxNumProjects"),
          .active_projects = integer(o, "numActiveProjects"),
          .activated = instant(o, "activated")};
}

project project_of(const bj::value& v) {
  const auto& o = object_of(v);
  project out{.id = required_id(o),
              .name = required(o, "name"),
              .owner = {},
              .created = instant(o, "created")};
  if (const auto* creator = member(o, "creator")) out.owner = text(object_of(*creator), "username");
  return out;
}

fault wrong_shape(const std::string& why) {
  return {errc::upstream_failed, "Hopsworks answered in an unknown form", {}, "Hopsworks: " + why};
}

template <class T>
result<std::vector<T>> each(const bj::value& document, T (*read)(const bj::value&)) {
  const auto& o = object_of(document);
  std::vector<T> out;
  // An empty list is left out.
  const auto* items = member(o, "items");
  if (!items && !o.if_contains("href") && !o.if_contains("count") && !o.if_contains("items"))
    throw nonsense{"no list"};
  if (!items) return out;
  if (!items->is_array()) throw nonsense{"items is no array"};
  for (const auto& item : items->get_array()) out.push_back(read(item));
  return out;
}

/// {errorCode, errorMsg, usrMsg}; other bodies are what some proxy says.
std::string message_of(const http_answer& answer) {
  if (auto parsed = json::parse(answer.body); parsed && parsed->is_object())
    for (const auto* name : {"usrMsg", "errorMsg"})
      if (const auto* said = parsed->get_object().if_contains(name); said && said->is_string())
        return text_of_others({said->get_string().data(), said->get_string().size()},
                              longest_detail);
  return text_of_others(answer.body, longest_detail);
}

fault refusal(const http_answer& answer) {
  auto detail = std::to_string(answer.status) + ": " + message_of(answer);
  switch (answer.status) {
  case 401:
  case 403:
    return {errc::upstream_failed, "Hopsworks rejected the API key of the cluster", {}, detail};
  case 404:
    return {errc::not_found, "Hopsworks does not know it", {}, detail};
  case 429:
    return {errc::upstream_failed, "Hopsworks asks for fewer requests", {}, detail};
  default:
    return {errc::upstream_failed,
            answer.status >= 500 ? "Hopsworks failed" : "Hopsworks refused the request",
            {},
            detail};
  }
}

template <class Read>
auto document_of(const http_answer& answer, Read read) -> decltype(read(bj::value{})) {
  if (auto fine = read_done(answer); !fine) return fine.error();
  auto parsed = json::parse(answer.body);
  if (!parsed) return wrong_shape("no JSON");
  try {
    return read(*parsed);
  } catch (const nonsense& n) {
    return wrong_shape(n.why);
  }
}

call put_user(std::int64_t id, const char* field, std::int64_t value) {
  return {"PUT", "/admin/users/" + std::to_string(id), json::to_text(json::object{{field, value}})};
}

} // namespace

std::string address_of(std::string_view api_url) {
  auto strip_slashes = [&] {
    while (api_url.ends_with('/')) api_url.remove_suffix(1);
  };
  strip_slashes();
  if (api_url.ends_with(api_path)) api_url.remove_suffix(api_path.size());
  strip_slashes();
  return std::string{api_url};
}

integrations::http_call to_http(const call& what, const site& where,
                                std::chrono::milliseconds deadline) {
  integrations::http_call out;
  out.method = what.method;
  out.url = address_of(where.api_url).append(api_path).append(what.path);
  out.headers = {{"Accept", "application/json"}};
  if (!what.body.empty()) out.headers.emplace_back("Content-Type", "application/json");
  out.bearer = where.api_key;
  out.scheme = "ApiKey";
  out.body = what.body;
  out.deadline = deadline;
  out.tls.insecure = !where.verify_tls;
  return out;
}

call list_users() { return {.path = "/admin/users"}; }
call get_user(std::int64_t id) { return {.path = "/admin/users/" + std::to_string(id)}; }

call create_user(const new_user& u) {
  stripe::form query;
  query.add("accountType", "REMOTE_ACCOUNT_TYPE")
      .add("email", u.email)
      .add("givenName", u.given_name)
      .add("surname", u.surname)
      .add("maxNumProjects", u.max_projects)
      .add("subject", u.subject)
      .add("clientId", u.client_id)
      .add("type", "OAUTH2");
  return {"POST", "/admin/users?" + query.str(), {}};
}

call set_status(std::int64_t id, std::int64_t status) { return put_user(id, "status", status); }
call set_max_projects(std::int64_t id, std::int64_t most) {
  return put_user(id, "maxNumProjects", most);
}

result<std::vector<user>> read_users(const http_answer& answer) {
  return document_of(answer, [](const bj::value& v) { return each(v, user_of); });
}
result<user> read_user(const http_answer& answer) {
  return document_of(answer, [](const bj::value& v) -> result<user> { return user_of(v); });
}

std::optional<user> user_with_email(const std::vector<user>& all, std::string_view email) {
  auto wanted = lower(email);
  auto found = std::ranges::find_if(all, [&](const user& u) {
    return (u.account_type == "OAUTH2" || u.account_type == "REMOTE_ACCOUNT_TYPE") &&
           lower(u.email) == wanted;
  });
  if (wanted.empty() || found == all.end()) return {};
  return *found;
}

call list_projects() { return {.path = "/admin/projects?expand=creator"}; }
result<std::vector<project>> read_projects(const http_answer& answer) {
  return document_of(answer, [](const bj::value& v) { return each(v, project_of); });
}

bool is_project_role(std::string_view role) {
  static constexpr std::array<std::string_view, 3> roles{"Data owner", "Data scientist",
                                                         "Observer"};
  return std::ranges::find(roles, role) != roles.end();
}

call add_member(std::int64_t project_id, std::string_view email, std::string_view role) {
  return {"POST",
          "/project/" + std::to_string(project_id) + "/projectMembers/" +
              stripe::path_segment(email),
          json::to_text(json::object{{"projectTeam", role}})};
}

result<done> read_added(const http_answer& answer) {
  auto fine = read_done(answer);
  if (fine || answer.status < 400 || answer.status >= 500) return fine;
  auto said = lower(answer.body);
  auto says = [&](const char* word) { return said.find(word) != said.npos; };
  auto is_absent = says("not exist") || says("n't exist");
  if (says("already") || (says("exist") && !is_absent)) return done{};
  return fine;
}

result<done> read_done(const http_answer& answer) {
  if (answer.status >= 200 && answer.status < 300) return done{};
  return refusal(answer);
}

} // namespace binnacle::hopsworks
