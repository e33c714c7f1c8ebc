#include "actors/known_keys.hpp"

#include "config/base/json.hpp"
#include "integrations/tokens.hpp"

#include <algorithm>
#include <mutex>

namespace binnacle {
namespace {

bool is_hex_after(std::string_view prefix, std::size_t digits, std::string_view text) {
  if (!text.starts_with(prefix) || text.size() != prefix.size() + digits) return false;
  text.remove_prefix(prefix.size());
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// {…} without its braces.
std::string members_of(const persistence::verifiable_key& key) {
  json::array scopes{key.scopes.begin(), key.scopes.end()};
  auto text = json::to_text(json::object{{"valid", true},
                                         {"projectId", key.project.value},
                                         {"keyId", key.id},
                                         {"name", key.name},
                                         {"scopes", std::move(scopes)}});
  return text.substr(1, text.size() - 2);
}

} // namespace

known_key::known_key(persistence::verifiable_key from)
    : is{std::move(from)}, told{members_of(is)}, used_{is.last_used_at
                                                           ? unix_seconds(*is.last_used_at)
                                                           : 0} {}

bool known_key::use(time_point now) const {
  auto at = unix_seconds(now);
  auto last = used_.load(std::memory_order_relaxed);
  if (at - last < use_interval.count()) return false;
  return used_.compare_exchange_strong(last, at, std::memory_order_relaxed);
}

bool is_client_id(std::string_view text) { return is_hex_after("pk_", 32, text); }
bool is_client_secret(std::string_view text) { return is_hex_after("sk_", 64, text); }

bool is_scope(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return c > 0x20 && c < 0x7F && c != '"' && c != '\\';
  });
}

key_verdict verify(const known_key& key, const secret& client_secret, time_point now) {
  auto digest = integrations::sha256(client_secret.reveal());
  // Both comparisons always: how long it takes must not tell that a key was rotated.
  auto present = constant_time_equal(digest, key.is.digest);
  auto previous = constant_time_equal(digest, key.is.previous_digest);
  if (present) return {true, {}};
  if (previous && now < key.is.previous_until) return {true, key.is.previous_until};
  return {};
}

bool has_scopes(const known_key& key, std::string_view scopes) {
  while (!scopes.empty()) {
    auto space = scopes.find(' ');
    auto wanted = scopes.substr(0, space);
    if (!wanted.empty() && std::ranges::find(key.is.scopes, wanted) == key.is.scopes.end())
      return false;
    scopes.remove_prefix(space == scopes.npos ? scopes.size() : space + 1);
  }
  return true;
}

std::optional<std::shared_ptr<const known_key>> known_keys::find(std::string_view client_id) const {
  const auto& in = slices_[slice_of(client_id)];
  std::shared_lock lock{in.guard};
  if (auto found = in.keys.find(client_id); found != in.keys.end()) return found->second;
  if (in.of_nobody.contains(client_id)) return std::shared_ptr<const known_key>{};
  return {};
}

void known_keys::keep(const std::string& client_id, std::shared_ptr<const known_key> key,
                      std::uint64_t version) {
  auto& in = slices_[slice_of(client_id)];
  std::unique_lock lock{in.guard};
  // Whoever forgets has raised the version before it takes this lock.
  if (version_.load(std::memory_order_acquire) != version) return;
  const auto most = std::max<std::size_t>(1, most_ / slices);
  if (!key) {
    if (in.of_nobody.size() >= most) in.of_nobody.clear();
    in.of_nobody.insert(client_id);
    return;
  }
  if (in.keys.size() >= most) {
    in.keys.clear();
    in.of_owner.clear();
  }
  auto owner = key->is.owner.value;
  if (in.keys.insert_or_assign(client_id, std::move(key)).second)
    in.of_owner.emplace(std::move(owner), client_id);
}

void known_keys::forget(const user_id& owner) {
  version_.fetch_add(1, std::memory_order_acq_rel);
  for (auto& in : slices_) {
    std::unique_lock lock{in.guard};
    // Such a name may be a key's by now: its owner was suspended.
    in.of_nobody.clear();
    if (owner.empty()) {
      in.keys.clear();
      in.of_owner.clear();
      continue;
    }
    auto [begin, end] = in.of_owner.equal_range(owner.value);
    for (auto it = begin; it != end; ++it) in.keys.erase(it->second);
    in.of_owner.erase(begin, end);
  }
}

void known_keys::forget(const std::vector<persistence::change>& changes) {
  using persistence::topic;
  for (const auto& c : changes)
    if (c.what == topic::api_keys || c.what == topic::identity) forget(c.who);
}

} // namespace binnacle
