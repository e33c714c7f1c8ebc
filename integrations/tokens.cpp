#include "integrations/tokens.hpp"

#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "integrations/encoding.hpp"
#include "integrations/token_keys.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cmath>

namespace binnacle::integrations {
namespace {

namespace bj = boost::json;

constexpr std::size_t longest_token = 8 * 1024;
constexpr std::size_t longest_subject = 255;
constexpr std::size_t longest_email = 320;

fault refused(std::string why) {
  return {errc::unauthenticated, {}, {}, "token: " + std::move(why)};
}

/// The member when it is a string without control characters (PostgreSQL could not store a NUL).
std::string clean_text(const bj::object& o, std::string_view name) {
  const auto* member = o.if_contains({name.data(), name.size()});
  if (!member || !member->is_string()) return {};
  std::string out{member->get_string().data(), member->get_string().size()};
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return std::any_of(out.begin(), out.end(), is_control) ? std::string{} : out;
}

struct token_parts {
  bj::object header{};
  bj::object claims{};
  std::size_t signature_bytes = 0;
};

std::optional<bj::object> read_part(std::string_view part) {
  auto text = from_base64url(part);
  if (!text) return {};
  auto parsed = json::parse(*text);
  if (!parsed || !parsed->is_object()) return {};
  return std::move(parsed->get_object());
}

std::optional<token_parts> split(std::string_view token) {
  if (token.size() > longest_token) return {};
  auto first = token.find('.');
  if (first == token.npos) return {};
  auto second = token.find('.', first + 1);
  if (second == token.npos) return {};
  auto header = read_part(token.substr(0, first));
  auto claims = read_part(token.substr(first + 1, second - first - 1));
  auto signature = from_base64url(token.substr(second + 1)); // a third dot is no base64url
  if (!header || !claims || !signature) return {};
  return token_parts{std::move(*header), std::move(*claims), signature->size()};
}

bool has_valid_signature(std::string_view token, const verification_key& key) {
  cjose_err error{};
  jws_ptr signature{cjose_jws_import(token.data(), token.size(), &error)};
  return signature && cjose_jws_verify(signature.get(), key.key.get(), &error);
}

/// A NumericDate (RFC 7519 §2), possibly with a fraction, up to the year 9999.
std::optional<time_point> date_member(const bj::object& claims, std::string_view name) {
  const auto* member = claims.if_contains({name.data(), name.size()});
  if (!member || !member->is_number()) return {};
  auto seconds_since_epoch = member->to_number<double>();
  if (!std::isfinite(seconds_since_epoch) || seconds_since_epoch < 0 ||
      seconds_since_epoch >= 253'402'300'800.0)
    return {};
  return time_point{std::chrono::microseconds{std::llround(seconds_since_epoch * 1e6)}};
}

bool is_for(const bj::object& claims, std::string_view audience) {
  const auto* member = claims.if_contains("aud");
  if (!member || audience.empty()) return false;
  auto equal = [&](const bj::value& v) {
    return v.is_string() &&
           std::string_view{v.get_string().data(), v.get_string().size()} == audience;
  };
  if (const auto* list = member->if_array()) return std::any_of(list->begin(), list->end(), equal);
  return equal(*member);
}

/// Why the times of a token do not fit; nothing when they do.
std::optional<std::string> problem_with_times(const bj::object& claims,
                                              const issuer_settings& issuer, time_point now,
                                              milliseconds leeway) {
  auto expires = date_member(claims, "exp");
  if (!expires) return "no exp";
  if (now >= *expires + leeway) return "expired";
  for (std::string_view name : {"nbf", "iat", "auth_time"}) {
    auto needed = name == "auth_time" && issuer.require_auth_time;
    if (!claims.contains({name.data(), name.size()}) && !needed) continue;
    auto at = date_member(claims, name);
    if (!at) return "bad or missing " + std::string{name};
    if (*at > now + leeway) return std::string{name} + " lies in the future";
  }
  return {};
}

/// Only what can be none for certain is refused: whether an address is there, its issuer knows.
bool can_be_email(std::string_view text) {
  auto at = text.find('@');
  return text.size() <= longest_email && text.find(' ') == text.npos && at != text.npos && at > 0 &&
         at + 1 < text.size();
}

token_claims read_claims(const bj::object& from) {
  token_claims out;
  out.issuer = clean_text(from, "iss");
  out.subject = clean_text(from, "sub");
  out.email = lower_case(clean_text(from, "email"));
  if (!can_be_email(out.email)) out.email.clear();
  // Some issuers write the string "true".
  const auto* verified = from.if_contains("email_verified");
  out.email_verified = verified && !out.email.empty() &&
                       (*verified == true || (verified->is_string() && *verified == "true"));
  out.email_judged = verified && !out.email.empty();
  out.name = clean_text(from, "name");
  out.kind = clean_text(from, "typ");
  out.nonce = clean_text(from, "nonce");
  out.authorized_party = clean_text(from, "azp");
  const auto* audience = from.if_contains("aud");
  out.several_audiences = audience && audience->is_array() && audience->get_array().size() > 1;
  const auto* version = from.if_contains("sv");
  if (version && version->is_int64()) out.session_version = version->get_int64();
  out.issued_at = date_member(from, "iat").value_or(time_point{});
  out.expires_at = date_member(from, "exp").value_or(time_point{});
  return out;
}

} // namespace

std::optional<token_preview> preview_token(std::string_view token) {
  auto parts = split(token);
  if (!parts) return {};
  return token_preview{clean_text(parts->header, "alg"), clean_text(parts->header, "kid"),
                       clean_text(parts->claims, "iss")};
}

result<token_claims> verify_token(std::string_view token, const issuer_settings& issuer,
                                  const key_set& keys, time_point now, milliseconds leeway) {
  auto parts = split(token);
  if (!parts) return refused("no compact JWS");
  // The algorithm is the issuer's, never the token's: otherwise a token could have the public key
  // taken for an HMAC secret, or say "none" (RFC 8725 §2.1).
  if (issuer.algorithm != "RS256" && issuer.algorithm != "ES256")
    return refused("the issuer's algorithm " + issuer.algorithm + " is not supported");
  if (clean_text(parts->header, "alg") != issuer.algorithm) return refused("wrong algorithm");
  if (parts->header.contains("crit")) return refused("critical headers are not supported");
  auto kid = clean_text(parts->header, "kid");
  const auto* key = kid.empty() ? nullptr : key_set_access::find(keys, kid);
  if (key == nullptr) return refused("unknown kid");
  if (key->algorithm != issuer.algorithm) return refused("the key is of another kind");
  // cjose halves an ECDSA signature wherever its middle is; RFC 7518 §3.4 wants 64 bytes.
  if (key->algorithm == "ES256" && parts->signature_bytes != 64) return refused("bad signature");
  if (!has_valid_signature(token, *key)) return refused("bad signature");

  auto claims = read_claims(parts->claims);
  if (issuer.issuer.empty() || claims.issuer != issuer.issuer) return refused("wrong issuer");
  if (!is_for(parts->claims, issuer.audience)) return refused("wrong audience");
  if (auto problem = problem_with_times(parts->claims, issuer, now, leeway))
    return refused(std::move(*problem));
  if (claims.subject.empty() || characters_of(claims.subject) > longest_subject)
    return refused("bad subject");
  return claims;
}

bool is_given_to(const token_claims& claims, std::string_view client) {
  const auto& party = claims.authorized_party;
  return party.empty() ? !claims.several_audiences : party == client;
}

result<token_claims> read_userinfo(std::string_view text) {
  auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object())
    return fault{errc::upstream_failed, {}, {}, "userinfo: no JSON object"};
  return read_claims(parsed->get_object());
}

seconds keys_lifetime(std::string_view cache_control) {
  constexpr seconds least{60}, most{24 * 3600}, usual{3600};
  constexpr std::string_view wanted = "max-age=";
  auto text = lower_case(cache_control);
  std::string_view rest{text};
  while (!rest.empty()) {
    auto comma = rest.find(',');
    auto directive = rest.substr(0, comma);
    rest = comma == rest.npos ? std::string_view{} : rest.substr(comma + 1);
    directive.remove_prefix(std::min(directive.find_first_not_of(" \t"), directive.size()));
    if (!directive.starts_with(wanted)) continue;
    directive.remove_prefix(wanted.size());
    if (directive.starts_with('"')) directive.remove_prefix(1);
    std::int64_t age = 0;
    auto [end, error] = std::from_chars(directive.data(), directive.data() + directive.size(), age);
    if (error == std::errc::result_out_of_range) return most;
    if (error != std::errc{} || age < 0) return usual;
    return std::clamp(seconds{age}, least, most);
  }
  return usual;
}

} // namespace binnacle::integrations
