#include "http/routes/return_to.hpp"

#include "integrations/stripe/form.hpp"

#include <algorithm>

namespace binnacle::http {
namespace {

constexpr std::size_t longest = 512;

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

} // namespace

std::string sanitize_return_to(std::string_view text) {
  if (text.empty() || text.size() > longest || text[0] != '/') return {};
  if (text.size() > 1 && text[1] == '/') return {};
  if (text.find('\\') != text.npos || std::ranges::any_of(text, is_control)) return {};
  return std::string{text};
}

std::string with_parameter(std::string_view target, std::string_view name, std::string_view value) {
  auto fragment = target.substr(std::min(target.find('#'), target.size()));
  target.remove_suffix(fragment.size());
  auto question = std::min(target.find('?'), target.size());
  std::string out{target.substr(0, question)};
  auto joint = '?';
  auto add = [&](std::string_view pair) { out.append(1, std::exchange(joint, '&')).append(pair); };
  for (auto query = target.substr(std::min(question + 1, target.size())); !query.empty();) {
    auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (!pair.empty() && pair.substr(0, pair.find('=')) != name) add(pair);
  }
  add(std::string{name}.append("=").append(value));
  return out.append(fragment);
}

std::string escape_target(std::string_view target) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (auto c : target) {
    auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F)
      out += c;
    else
      out.append({'%', digits[byte >> 4], digits[byte & 0xF]});
  }
  return out;
}

std::string dashboard_of(std::string_view workspace) {
  return "/dashboard?ws=" + stripe::path_segment(workspace);
}

} // namespace binnacle::http
