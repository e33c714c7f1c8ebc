#include "integrations/oidc.hpp"

#include "config/base/json.hpp"
#include "config/base/utf8.hpp"
#include "integrations/encoding.hpp"
#include "integrations/stripe/form.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace binnacle::integrations {
namespace {

namespace bj = boost::json;
using form = stripe::form;

constexpr std::size_t largest_document = 1'048'576;

fault wrong(std::string why) {
  return {errc::upstream_failed, {}, {}, "login provider: " + std::move(why)};
}

std::string text_member(const bj::object& o, std::string_view name) {
  const auto* member = o.if_contains({name.data(), name.size()});
  if (!member || !member->is_string()) return {};
  return {member->get_string().data(), member->get_string().size()};
}

/// Whether a list of texts has that one; `otherwise` when there is no list.
bool lists(const bj::object& o, std::string_view name, std::string_view wanted, bool otherwise) {
  const auto* member = o.if_contains({name.data(), name.size()});
  if (!member || !member->is_array()) return otherwise;
  return std::ranges::any_of(member->get_array(), [&](const bj::value& v) {
    return v.is_string() &&
           std::string_view{v.get_string().data(), v.get_string().size()} == wanted;
  });
}

std::string_view without_slash(std::string_view url) {
  if (url.ends_with('/')) url.remove_suffix(1);
  return url;
}

/// A URL that may stand in a Location, and is no weaker than the issuer's own.
bool is_endpoint(std::string_view url, std::string_view issuer) {
  auto secure = url.starts_with("https://");
  if (!secure && (issuer.starts_with("https://") || !url.starts_with("http://"))) return false;
  return std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string with_query(const std::string& endpoint, const form& fields) {
  auto joint = endpoint.find('?') == endpoint.npos ? "?" : "&";
  return endpoint + joint + fields.str();
}

std::string form_encoded(std::string_view text) { return form{}.add("", text).str().substr(1); }

} // namespace

http_call discover(std::string_view issuer_url, std::chrono::milliseconds deadline) {
  http_call out;
  out.url = std::string{without_slash(issuer_url)} + "/.well-known/openid-configuration";
  out.deadline = deadline;
  out.max_body = largest_document;
  return out;
}

result<login_provider> read_login_provider(std::string_view document, std::string_view issuer_url) {
  auto parsed = json::parse(document);
  if (!parsed || !parsed->is_object()) return wrong("its configuration is no JSON object");
  const auto& from = parsed->get_object();
  login_provider out;
  out.issuer = text_member(from, "issuer");
  out.authorization_endpoint = text_member(from, "authorization_endpoint");
  out.token_endpoint = text_member(from, "token_endpoint");
  out.keys_url = text_member(from, "jwks_uri");
  out.userinfo_endpoint = text_member(from, "userinfo_endpoint");
  out.end_session_endpoint = text_member(from, "end_session_endpoint");
  if (without_slash(out.issuer) != without_slash(issuer_url)) return wrong("it is another issuer");
  for (const auto* url : {&out.authorization_endpoint, &out.token_endpoint, &out.keys_url})
    if (!is_endpoint(*url, out.issuer)) return wrong("an endpoint is missing or not secure");
  for (auto* url : {&out.userinfo_endpoint, &out.end_session_endpoint})
    if (!is_endpoint(*url, out.issuer)) url->clear();
  auto signs = [&](std::string_view algorithm) {
    return lists(from, "id_token_signing_alg_values_supported", algorithm, algorithm == "RS256");
  };
  if (!signs("RS256") && !signs("ES256")) return wrong("it signs with neither RS256 nor ES256");
  if (!signs("RS256")) out.algorithm = "ES256";
  constexpr auto methods = "token_endpoint_auth_methods_supported";
  out.secret_in_header = lists(from, methods, "client_secret_basic", true) ||
                         !lists(from, methods, "client_secret_post", false);
  return out;
}

std::string authorization_url(const login_provider& provider, const login_client& client,
                              const authorization_request& wanted) {
  form fields;
  fields.add("response_type", "code");
  fields.add("client_id", client.id);
  fields.add("redirect_uri", wanted.redirect_uri);
  fields.add("scope", "openid profile email");
  fields.add("state", wanted.state);
  fields.add("nonce", wanted.nonce);
  fields.add("code_challenge", to_base64url(sha256(wanted.verifier)));
  fields.add("code_challenge_method", "S256");
  fields.add_given("login_hint", wanted.login_hint);
  if (wanted.sign_up) fields.add("screen_hint", "signup");
  return with_query(provider.authorization_endpoint, fields);
}

http_call redeem_code(const login_provider& provider, const login_client& client,
                      std::string_view code, std::string_view redirect_uri,
                      std::string_view verifier, std::chrono::milliseconds deadline) {
  form fields;
  fields.add("grant_type", "authorization_code");
  fields.add("code", code);
  fields.add("redirect_uri", redirect_uri);
  fields.add("code_verifier", verifier);
  http_call out;
  out.method = "POST";
  out.url = provider.token_endpoint;
  out.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                 {"Accept", "application/json"}};
  if (!client.key.empty() && provider.secret_in_header) {
    // RFC 6749 §2.3.1: both are form-encoded before they are joined.
    auto pair = form_encoded(client.id) + ":" + form_encoded(client.key.reveal());
    out.headers.emplace_back("Authorization", "Basic " + to_base64(pair));
  } else {
    fields.add("client_id", client.id);
    fields.add_given("client_secret", client.key.reveal());
  }
  out.body = fields.str();
  out.deadline = deadline;
  out.max_body = largest_document;
  return out;
}

result<login_tokens> read_tokens(const http_answer& answer) {
  auto parsed = json::parse(answer.body);
  if (!parsed || !parsed->is_object())
    return wrong("its token endpoint answers " + std::to_string(answer.status) + " without JSON");
  const auto& from = parsed->get_object();
  if (answer.status != 200) {
    auto code = text_member(from, "error");
    if (code == "invalid_grant")
      return fault{errc::unauthenticated, {}, {}, "login provider: the code is no good"};
    return wrong("its token endpoint answers " + std::to_string(answer.status) + " " +
                 text_of_others(code, 100));
  }
  login_tokens out{text_member(from, "id_token"), secret{text_member(from, "access_token")}};
  if (out.id_token.empty()) return wrong("its token endpoint gives no ID token");
  return out;
}

http_call ask_userinfo(const login_provider& provider, const secret& access_token,
                       std::chrono::milliseconds deadline) {
  http_call out;
  out.url = provider.userinfo_endpoint;
  out.headers = {{"Accept", "application/json"}};
  out.bearer = access_token;
  out.deadline = deadline;
  out.max_body = largest_document;
  return out;
}

result<token_claims> read_userinfo(const http_answer& answer, std::string_view subject) {
  if (answer.status != 200)
    return wrong("its userinfo endpoint answers " + std::to_string(answer.status));
  auto out = read_userinfo(answer.body);
  if (out && out->subject != subject)
    return fault{errc::unauthenticated, {}, {}, "login provider: the userinfo is another's"};
  return out;
}

std::string end_session_url(const login_provider& provider, const login_client& client,
                            std::string_view return_to) {
  form fields;
  fields.add("client_id", client.id);
  fields.add("post_logout_redirect_uri", return_to);
  return with_query(provider.end_session_endpoint, fields);
}

} // namespace binnacle::integrations
