#include "config/catalogue.hpp"

#include "config/base/json.hpp"

#include <boost/json.hpp>

namespace binnacle {
namespace {

std::optional<catalogue::table> read_table(const std::string& text) {
  catalogue::table out;
  if (text.empty()) return out;
  auto parsed = json::parse(text);
  const auto* entries = parsed ? parsed->if_object() : nullptr;
  if (!entries) return {};
  for (const auto& [key, value] : *entries) {
    const auto* price = value.if_string();
    if (!price) return {};
    out.emplace(std::string{key.data(), key.size()}, std::string{price->data(), price->size()});
  }
  return out;
}

} // namespace

std::string catalogue::plan_of(const std::string& price) const {
  for (const auto* prices : {&monthly, &annual})
    for (const auto& [plan, id] : *prices)
      if (id == price) return plan;
  return {};
}

catalogue catalogue_of(const stripe_settings& s, std::vector<std::string>* problems) {
  auto read = [problems](const std::string& text, const char* name) {
    auto table = read_table(text);
    if (!table && problems)
      problems->push_back(std::string{name} + ": not a JSON object of price ids");
    return table.value_or(catalogue::table{});
  };
  return {.monthly = read(s.pricing_table, "stripe.pricing_table"),
          .annual = read(s.pricing_table_annual, "stripe.pricing_table_annual"),
          .credits = read(s.credits_pricing_table, "stripe.credits_pricing_table")};
}

} // namespace binnacle
