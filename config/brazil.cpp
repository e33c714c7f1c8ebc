#include "config/brazil.hpp"

#include <algorithm>
#include <array>

namespace binnacle::brazil {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The text with '#' for every digit.
std::string shape_of(std::string_view text) {
  std::string out{text};
  std::ranges::replace_if(out, is_digit, '#');
  return out;
}

/// The digits of a text of nothing but digits and `also`.
std::optional<std::string> digits_of(std::string_view text, std::string_view also) {
  std::string out;
  for (auto c : text) {
    if (is_digit(c))
      out.push_back(c);
    else if (also.find(c) == also.npos)
      return {};
  }
  return out;
}

char check_digit(std::string_view digits) {
  auto weight = static_cast<int>(digits.size()) + 1;
  auto sum = 0;
  for (auto c : digits) sum += (c - '0') * weight--;
  auto rest = 11 - sum % 11;
  return static_cast<char>('0' + (rest >= 10 ? 0 : rest));
}

constexpr std::array<std::string_view, 27> states{
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA",
    "PB", "PE", "PI", "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO"};

} // namespace

std::optional<std::string> cpf_of(std::string_view text) {
  auto shape = shape_of(text);
  if (shape != "###########" && shape != "###.###.###-##") return {};
  auto digits = digits_of(text, ".-").value_or("");
  if (digits.empty() || digits.find_first_not_of(digits.front()) == digits.npos) return {};
  std::string_view all{digits};
  if (check_digit(all.substr(0, 9)) != all[9] || check_digit(all.substr(0, 10)) != all[10])
    return {};
  return digits;
}

std::optional<std::string> phone_of(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (!text.starts_with("55")) return {};
  }
  auto digits = digits_of(text, " ()-.");
  if (!digits) return {};
  if (digits->size() >= 12 && digits->starts_with("55")) digits->erase(0, 2);
  auto& d = *digits;
  auto mobile = d.size() == 11 && d[2] == '9';
  auto landline = d.size() == 10;
  if ((!mobile && !landline) || d[0] == '0' || d[1] == '0') return {};
  return "55" + d;
}

std::optional<std::string> postal_code_of(std::string_view text) {
  auto shape = shape_of(text);
  if (shape != "########" && shape != "#####-###") return {};
  return std::string{text.substr(0, 5)}.append("-").append(text.substr(text.size() - 3));
}

bool is_state(std::string_view text) { return std::ranges::find(states, text) != states.end(); }

} // namespace binnacle::brazil
