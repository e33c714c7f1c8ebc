#include "actors/exchange.hpp"

#include "config/base/utf8.hpp"

namespace binnacle {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

std::string_view to_string(method m) {
  static constexpr std::array names{"GET",   "HEAD",   "POST",    "PUT",
                                    "PATCH", "DELETE", "OPTIONS", "OTHER"};
  return names[static_cast<std::size_t>(m)];
}

std::optional<std::string> percent_decode(std::string_view text, bool plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return {};
      auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return {};
      c = static_cast<char>(high * 16 + low);
      if (c == '\0') return {};
      i += 2;
    } else if (c == '+' && plus) {
      c = ' ';
    }
    out.push_back(c);
  }
  return out;
}

std::optional<std::string> request::parameter(std::string_view name) const {
  auto rest = query;
  while (!rest.empty()) {
    auto amp = rest.find('&');
    auto pair = rest.substr(0, amp);
    rest.remove_prefix(amp == rest.npos ? rest.size() : amp + 1);
    auto equals = pair.find('=');
    auto key = percent_decode(pair.substr(0, equals), true);
    if (!key || *key != name) continue;
    return percent_decode(equals == pair.npos ? std::string_view{} : pair.substr(equals + 1), true);
  }
  return {};
}

bool request::has_clean_query() const {
  if (query.empty()) return true;
  auto decoded = percent_decode(query, true);
  return decoded && is_utf8(*decoded);
}

std::string_view request::cookie(std::string_view name) const {
  auto rest = at(field::cookie);
  while (!rest.empty()) {
    auto semicolon = rest.find(';');
    auto pair = rest.substr(0, semicolon);
    rest.remove_prefix(semicolon == rest.npos ? rest.size() : semicolon + 1);
    while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
    auto equals = pair.find('=');
    if (equals == pair.npos || pair.substr(0, equals) != name) continue;
    auto value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

bool exchange::answer(response r) {
  // The first caller wins the right to write `res_`; readers wait for on_answer.
  if (answered_.exchange(true, std::memory_order_acq_rel)) return false;
  res_ = std::move(r);
  on_answer();
  return true;
}

void exchange::reset() {
  req.params.clear();
  req.body.clear();
  req.client_address.clear();
  req.fields.fill({});
  matched = nullptr;
  method_known = true;
  target_clean = true;
  presented.reset();
  credential_rejected = false;
  link.reset();
  answered_for.value.clear();
  limit.reset();
  origin_judged = false;
  shown_to.clear();
  res_ = response{};
  begun_.store(false, std::memory_order_relaxed);
  answered_.store(false, std::memory_order_release);
}

} // namespace binnacle
