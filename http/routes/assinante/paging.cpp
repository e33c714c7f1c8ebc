#include "http/routes/assinante/paging.hpp"

#include "config/base/text.hpp"

#include <algorithm>
#include <charconv>

namespace binnacle::http {
namespace {

/// A whole number without a sign; as much as fits for one that is larger.
std::optional<std::int64_t> number_of(const std::string& text) {
  constexpr std::int64_t largest = 1'000'000'000'000'000;
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !std::ranges::all_of(text, digit)) return {};
  std::int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} ? std::min(out, largest) : largest;
}

} // namespace

std::int64_t page_query::limit(std::int64_t otherwise, std::int64_t most) {
  auto given = req_->parameter("limit");
  if (!given) return otherwise;
  auto n = number_of(*given);
  if (n && *n >= 1) return std::min(*n, most);
  problems_.push_back({"limit", "Deve ser um número inteiro maior que zero"});
  return otherwise;
}

std::int64_t page_query::offset() {
  auto given = req_->parameter("offset");
  if (!given) return 0;
  if (auto n = number_of(*given)) return *n;
  problems_.push_back({"offset", "Deve ser um número inteiro maior ou igual a zero"});
  return 0;
}

std::optional<std::int64_t> page_query::year() {
  auto given = req_->parameter("year");
  if (!given) return {};
  auto n = number_of(*given);
  if (given->size() == 4 && n && *n >= 1970 && *n < 2200) return n;
  problems_.push_back({"year", "Ano inválido"});
  return {};
}

std::string page_query::status(std::initializer_list<std::string_view> of) {
  auto given = req_->parameter("status");
  if (!given) return {};
  if (std::ranges::find(of, *given) != of.end()) return lower_case(*given);
  problems_.push_back({"status", "Status inválido"});
  return {};
}

std::string upper_case(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out;
}

} // namespace binnacle::http
