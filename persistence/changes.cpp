#include "persistence/transaction.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace binnacle::persistence {
namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, topic_count> names{
    "identity", "usage", "billing", "prices", "clusters", "subscriber", "api_keys"};

// PostgreSQL refuses a payload of 8,000 bytes.
constexpr std::size_t payload_limit = 7'500;

std::optional<topic> topic_of(std::string_view name) {
  auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return {};
  return static_cast<topic>(at - names.begin());
}

} // namespace

std::string_view name_of(topic t) { return names[static_cast<std::size_t>(t)]; }

std::vector<change> everything_of(const user_id& who) {
  std::vector<change> out;
  for (std::size_t i = 0; i < names.size(); ++i) out.push_back({static_cast<topic>(i), who});
  return out;
}

std::vector<std::string> to_payloads(const std::vector<change>& changes) {
  auto sorted = changes;
  std::sort(sorted.begin(), sorted.end(), [](const change& a, const change& b) {
    return std::tie(a.what, a.who) < std::tie(b.what, b.who);
  });
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());

  std::vector<std::string> out;
  auto last = topic{};
  bool open = false; // the last payload may take another id
  for (const auto& c : sorted) {
    if (open && c.what == last && out.back().size() + 1 + c.who.value.size() < payload_limit) {
      out.back().append(",").append(c.who.value);
      continue;
    }
    out.push_back(std::string{name_of(c.what)} + ":" + c.who.value);
    last = c.what;
    open = !c.who.empty(); // "prices:" is everybody and stands alone
  }
  return out;
}

std::vector<change> from_payload(const std::string& payload) {
  std::string_view rest{payload};
  auto colon = rest.find(':');
  auto what = topic_of(rest.substr(0, colon));
  if (colon == rest.npos || !what) return {}; // from a newer node
  rest.remove_prefix(colon + 1);

  std::vector<change> out;
  for (;;) {
    auto comma = rest.find(',');
    out.push_back({*what, user_id{std::string{rest.substr(0, comma)}}});
    if (comma == rest.npos) return out;
    rest.remove_prefix(comma + 1);
  }
}

} // namespace binnacle::persistence
